import os
import subprocess
import sys

from enginehouse.host.addresses import is_this_machine
from enginehouse.host.footprint import groups_bytes

MIB = 2**20
CHILD = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
sys.stdin.read()
"""
GRANDCHILD = """
import sys
block = bytearray(b"x") * (64 * 2**20)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_group_counts_with_its_children() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, GRANDCHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as leader:
        assert leader.stdout is not None and leader.stdin is not None
        assert leader.stdout.readline() == "held\n"
        measured = groups_bytes([leader.pid])
        leader.stdin.close()
    assert measured is not None
    assert 64 * MIB < measured < 200 * MIB


def test_nobody_is_no_bytes() -> None:
    assert groups_bytes([2**22 + os.getpid()]) is None


def test_addresses() -> None:
    assert is_this_machine("127.0.0.1:9997") and is_this_machine("LOCALHOST".lower()) and is_this_machine("[::1]:80")
    assert not is_this_machine("192.0.2.1") and not is_this_machine("") and not is_this_machine("no such name")
