"""The light half: says what the engine can run, and names the heavy half by string."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from enginehouse.sdk import Asks, EngineSpec, hookimpl

from .options import LlamaCppOptions

ASKS = Asks(
    network="a port on loopback, behind a key that only the worker has, where xllamacpp runs the model",
    subprocesses="one that copies the library's words while it loads, below each worker",
)
BINDINGS = {"xllamacpp": "xllamacpp>=2026.10", "llama-cpp-python": "llama-cpp-python>=0.3.36"}
"""By distribution, the better one first: what the engine needs one of."""
REQUIREMENTS = ("jinja2>=3.1", "llguidance>=1.3")


@hookimpl
def enginehouse_engines() -> tuple[EngineSpec, ...]:
    return (
        EngineSpec(
            name="llama.cpp",
            tasks=("generate", "embed", "rerank"),
            model_types=("LLM", "embedding", "rerank"),
            formats=("ggufv2",),
            devices=("cuda", "mps", "cpu"),
            requirements=(_binding(), *REQUIREMENTS),
            engine="enginehouse_llamacpp.engine:LlamaCppEngine",
            options=LlamaCppOptions,
            memory="enginehouse_llamacpp.estimate:estimate_memory",
            summary="llama.cpp: GGUF files on CPUs and GPUs, batched continuously; by xllamacpp or llama-cpp-python",
        ),
    )


def _binding() -> str:
    """The requirement of the binding that is installed beside the server; where none is, the first one's."""
    return next((text for name, text in BINDINGS.items() if _is_installed(name)), BINDINGS["xllamacpp"])


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False
