"""This machine, as its kernel and drivers tell."""

from __future__ import annotations

from enginehouse.sdk import Device
from enginehouse.sdk.this_machine import ThisMachine, machine_memory, read_nvidia_smi, read_processor_time

BOARDS = """\
0, NVIDIA A, 81559, 80000, 37
1, NVIDIA B, 81559, 81000, [N/A]
2, NVIDIA GB10, [N/A], [N/A], 100
"""
MIB = 2**20


def test_boards_that_a_driver_tells_of() -> None:
    assert read_nvidia_smi(BOARDS) == (
        Device(kind="cuda", index=0, name="NVIDIA A", total_bytes=81559 * MIB, free_bytes=80000 * MIB, busy=0.37),
        Device(kind="cuda", index=1, name="NVIDIA B", total_bytes=81559 * MIB, free_bytes=81000 * MIB),
    )
    assert read_nvidia_smi("") == read_nvidia_smi("No devices were found") == ()


def test_this_machine_has_memory() -> None:
    memory = machine_memory()
    assert memory.total is not None and memory.free is not None
    assert 0 < memory.free <= memory.total


def test_it_looks_at_itself() -> None:
    machine = ThisMachine()
    first, second = machine.look("here"), machine.look("here")
    assert (first.name, first.address) == ("here", "") and first.cpus
    assert first.total_bytes == second.total_bytes == machine_memory().total
    assert first.busy is not None and second.busy is not None and 0 <= first.busy <= 1
    now = read_processor_time()
    assert now is None or 0 < now.busy <= now.all
