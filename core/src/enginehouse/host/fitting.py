"""Whether a plan fits into the memory that is free, and if not, what would. Pure but for the sizes it asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from ..sdk import EngineSpec, Variant
from .devices import Machine
from .matching import mismatches
from .memory import Estimate, Holdings, Site, context_option, estimate
from .planning import Knowledge, Plan

LEAST_CONTEXT = 256  # tokens; a shorter context is of no use to anybody
Hold = Callable[[Variant], Holdings]


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that would fit. change: fields of the launch, with their new values."""

    change: dict[str, Any]
    needed_bytes: int
    message: str


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Whether all replicas fit into what is free now; None where nobody knows what is free.

    needed_bytes, free_bytes: of all replicas, on all their devices together, or in the machine's memory.
    """

    fits: bool | None
    needed_bytes: int
    free_bytes: int | None
    alternatives: tuple[Alternative, ...] = ()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with what is needed to say how much memory it takes."""

    plan: Plan
    engine: EngineSpec
    held: Holdings
    machine: Machine


def estimate_case(case: Case) -> Estimate:
    """What one replica will take, when all replicas share what is free."""
    plan = case.plan
    return estimate(
        case.engine, plan.options, plan.family, case.held, Site(device=plan.device, free_bytes=_share(case))
    )


def fit(case: Case) -> Fit:
    """Whether it fits, without alternatives."""
    made, plan = estimate_case(case), case.plan
    if not plan.devices:
        needed, free = made.total * plan.request.replica, case.machine.free_bytes
        return Fit(fits=None if free is None else needed <= free, needed_bytes=needed, free_bytes=free)
    needed_by = _needed_by_device(plan, made)
    free_by = {device.label: device.free_bytes for device in case.machine.devices if device.free_bytes}
    known = all(label in free_by for label in needed_by)
    return Fit(
        fits=all(size <= free_by[label] for label, size in needed_by.items()) if known else None,
        needed_bytes=sum(needed_by.values()),
        free_bytes=sum(free_by[label] for label in needed_by) if known else None,
    )


def find_alternatives(case: Case, known: Knowledge, hold: Hold) -> tuple[Alternative, ...]:
    """Changes of the launch, one at a time, with which it would fit: the least painful of each kind."""
    first_of_each = (_fewer_replicas(case), _shorter_context(case))
    return (*(one for kind in first_of_each if (one := next(kind, None))), *_smaller_variants(case, known, hold))


def _share(case: Case) -> int | None:
    plan, machine = case.plan, case.machine
    if not plan.devices:
        return None if machine.free_bytes is None else machine.free_bytes // plan.request.replica
    free = {device.label: device.free_bytes for device in machine.devices}
    users = Counter(label for place in _places(plan) for label in place)
    shares = [sum(free.get(label, 0) // users[label] for label in place) for place in _places(plan)]
    return min(shares) or None


def _places(plan: Plan) -> tuple[tuple[str, ...], ...]:
    return tuple(plan.devices_of(replica_id) for replica_id in range(plan.request.replica))


def _needed_by_device(plan: Plan, made: Estimate) -> Counter[str]:
    """A replica on several devices is taken to lie on them in equal parts."""
    needed: Counter[str] = Counter()
    for place in _places(plan):
        for label in place:
            needed[label] += made.on_device // len(place)
    return needed


def _fewer_replicas(case: Case) -> Iterator[Alternative]:
    plan = case.plan
    for replica in range(plan.request.replica - 1, 0, -1):
        smaller = replace(plan, request=replace(plan.request, replica=replica), spread=plan.spread[:replica])
        yield from _if_it_fits(replace(case, plan=smaller), {"replica": replica}, f"with {replica} of the replicas")


def _shorter_context(case: Case) -> Iterator[Alternative]:
    option, tokens = context_option(case.engine), estimate_case(case).context_length
    while option and tokens and tokens // 2 >= LEAST_CONTEXT:
        tokens //= 2
        shorter = replace(case.plan, options={**case.plan.options, option: tokens})
        yield from _if_it_fits(replace(case, plan=shorter), {option: tokens}, f"with a context of {tokens} tokens")


def _smaller_variants(case: Case, known: Knowledge, hold: Hold) -> Iterator[Alternative]:
    """The largest first."""
    plan = case.plan
    able = (one for one in plan.family.variants if not mismatches(case.engine, plan.family, one, known.machine))
    sized = [(sum((held := hold(one)).weights.values()), held, one) for one in able if one is not plan.variant]
    for size, held, variant in sorted(sized, key=lambda entry: -entry[0]):
        if size < sum(case.held.weights.values()):
            other = replace(case, plan=replace(plan, variant=variant), held=held)
            yield from _if_it_fits(other, _named(variant), _in_words(variant))


def _in_words(variant: Variant) -> str:
    quantized = "" if variant.quantization.lower() == "none" else f", quantized as {variant.quantization}"
    return f"with {variant.size_in_billions.replace('_', '.')} billion parameters{quantized}"


def _named(variant: Variant) -> dict[str, Any]:
    return {
        "model_size_in_billions": variant.size_in_billions,
        "model_format": variant.format,
        "quantization": variant.quantization,
    }


def _if_it_fits(case: Case, change: dict[str, Any], words: str) -> Iterator[Alternative]:
    found = fit(case)
    if found.fits:
        yield Alternative(change=change, needed_bytes=found.needed_bytes, message=f"It would fit {words}.")
