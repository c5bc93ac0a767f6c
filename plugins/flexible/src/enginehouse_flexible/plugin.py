"""The light half: the model type, its engine, its launchers, each named by string."""

from __future__ import annotations

from typing import Any

from enginehouse.sdk import Asks, EngineSpec, Example, LauncherSpec, ModelType, SourceSpec, Task, TaskExample, hookimpl

from .options import FlexibleOptions
from .registration import FlexibleRegistration
from .requests import InferEvent, InferRequest

ASKS = Asks(
    network="whatever a launcher's library opens: links in requests where the model is registered with open_links",
    subprocesses="whatever a launcher's library starts",
    remote_code="a launch may name any callable that its environment has, which is imported and run",
)
LAUNCHERS = "enginehouse_flexible.launchers"
THEIRS = "xinference.model.flexible.launchers"

INFER = Task(
    name="infer",
    route="/v1/flexible/infers",
    summary="Whatever a launcher's model makes of the arguments",
    request=InferRequest,
    answer=Any,
    chunk=InferEvent,
    takes_forms=True,
)

REPEAT = Example(
    registration={"launcher": "callable", "launcher_args": {"function": "enginehouse_flexible.repeating:repeat"}},
    launch={"model_name": "repeat"},
    tasks=(
        TaskExample(
            task="infer",
            right=({"args": ["one"]}, {"args": ["two", 3]}, {"text": "by name", "times": 2}),
            wrong=({"args": []}, {"args": ["one"], "loudly": True}, {"args": "no list"}),
            lasting={"args": ["again", 40], "seconds": 0.05},
        ),
    ),
)


@hookimpl
def enginehouse_model_types() -> tuple[ModelType, ...]:
    return (
        ModelType(
            name="flexible",
            own_tasks=(INFER,),
            reports=("model_name", "launcher", "launcher_args"),
            registration=FlexibleRegistration,
            examples=(REPEAT,),
            names_engines=False,  # clients of this API are told nothing about this type
        ),
    )


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="flexible",
            tasks=("infer",),
            model_types=("flexible",),
            formats=("pytorch",),
            devices=("cuda", "mps", "cpu"),
            engine="enginehouse_flexible.engine:FlexibleEngine",
            options=FlexibleOptions,
            summary="Whatever a launcher builds, in a process of its own",
        ),
    )


@hookimpl
def enginehouse_launchers() -> tuple[LauncherSpec, ...]:
    return (
        LauncherSpec(
            name="transformers",
            launcher=f"{LAUNCHERS}.transformers:launcher",
            aliases=(f"{THEIRS}.transformers",),
            requirements=("transformers>=5.0", "torch>=2.9", "pillow>=10"),
            summary="A pipeline of transformers, for every task that the library has",
        ),
        LauncherSpec(
            name="modelscope",
            launcher=f"{LAUNCHERS}.modelscope:launcher",
            aliases=(f"{THEIRS}.modelscope",),
            requirements=("modelscope[framework]>=1.20", "pillow>=10"),
            summary="A pipeline of ModelScope's library",
        ),
        LauncherSpec(
            name="yolo",
            launcher=f"{LAUNCHERS}.yolo:launcher",
            aliases=(f"{THEIRS}.yolo",),
            requirements=("ultralytics>=8.3", "pillow>=10"),
            summary="Detection, segmentation and poses with Ultralytics' models",
        ),
        LauncherSpec(
            name="image_process",
            launcher=f"{LAUNCHERS}.image_process:launcher",
            aliases=(f"{THEIRS}.image_process", "remove_background"),
            requirements=("onnxruntime>=1.22", "numpy>=2.0", "pillow>=10"),
            summary="Removes the background of pictures, with an ONNX model that says what is in front",
        ),
        LauncherSpec(
            name="onnx",
            launcher=f"{LAUNCHERS}.onnx:launcher",
            requirements=("onnxruntime>=1.22", "numpy>=2.0"),
            summary="Any ONNX model, tensors in and out",
        ),
        LauncherSpec(
            name="sklearn",
            launcher=f"{LAUNCHERS}.sklearn:launcher",
            requirements=("skops>=0.11", "scikit-learn>=1.5"),
            summary="An estimator or pipeline of scikit-learn, kept by skops",
        ),
        LauncherSpec(
            name="callable",
            launcher=f"{LAUNCHERS}.function:launcher",
            summary="Any Python function that the worker can import",
        ),
    )


@hookimpl
def enginehouse_sources() -> tuple[SourceSpec, ...]:
    return (
        SourceSpec(
            scheme="none",
            fetch="enginehouse_flexible.sources:fetch_nothing",
            local=True,
            summary="Nothing to fetch, for models without weights",
        ),
    )
