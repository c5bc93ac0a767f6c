"""Which build of PyTorch an environment gets, and what to say where nobody chose one. Pure.

PyPI has one build of torch for Linux, with CUDA. Others lie on PyTorch's own index, which uv asks when it is told to,
and then nothing else for these packages: neither a mirror nor a folder. So only a person can say it.
"""

from __future__ import annotations

from collections.abc import Mapping

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..sdk import EnvironmentNeed, PackageIndexes

VARIABLE = "UV_TORCH_BACKEND"
SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
ADVICE = f"Start the server with {VARIABLE}=cpu, or name an index or a folder that has PyTorch's wheels for CPUs."


def choose_backend(said: str | None, device: str) -> str | None:
    """uv's word for the build. `auto` goes by the device that the model is planned on, not by what the machine has."""
    return "cpu" if said == "auto" and device == "cpu" else said or None


def names_sources(indexes: PackageIndexes, environment: Mapping[str, str]) -> bool:
    """Whether anybody says where packages come from, or which build of PyTorch is wanted."""
    said = (indexes.index_url, indexes.extra_index_url, indexes.find_links, indexes.no_index, indexes.torch_backend)
    return any(said) or any(environment.get(name) for name in (VARIABLE, *SOURCES))


def warn_of_cuda(need: EnvironmentNeed, platform: str, named: bool) -> str | None:
    """A sentence where an environment for a CPU would get CUDA's torch. named: whether sources are named."""
    if named or need.accelerator != "cpu" or platform != "linux":
        return None
    asked = (one for one in map(Requirement, need.requirements) if canonicalize_name(one.name) == "torch")
    if all(one.url or "+" in str(one.specifier) for one in asked):
        return None
    return f"torch comes from PyPI, whose build for Linux is CUDA's: gigabytes that a CPU never uses. {ADVICE}"
