"""How workers start and end under a keeper."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from enginehouse.sdk import ExitRecord

SLEEP = "exec sleep 60"
STUBBORN = "trap '' TERM; echo $$ > pid; while :; do sleep 0.05; done"
READS_STDIN = (
    "import os, sys; open('pid', 'w').write(str(os.getpid())); sys.stdin.read(); open('eof', 'w').write('eof')"
)


def test_stop_ends_the_worker_and_leaves_no_socket(keep, folder, alive):
    kept = keep("touch http.sock; echo ready; exec sleep 60")
    kept.read("worker.log")
    line = kept.connect()
    pid = line.claim()["worker_pid"]
    line.say(do="stop", grace=5)
    record = line.exit()
    assert (record["cause"], record["code"], record["signal"]) == ("stopped", None, "SIGTERM")
    assert record["log_tail"] == ["ready"] and record["failure"] is None
    assert kept.wait() == 0 and not alive(pid)
    assert kept.record() == record
    assert {file.name for file in folder.iterdir()} == {"order.json", "worker.log", "exit.json"}


def test_a_worker_that_ignores_sigterm_is_killed_after_the_grace(keep):
    kept = keep(STUBBORN)
    kept.read("pid")
    line = kept.claimed()
    began = time.monotonic()
    line.say(do="stop", grace=0.2)
    record = line.exit()
    assert record["signal"] == "SIGKILL" and record["cause"] == "stopped"
    assert time.monotonic() - began >= 0.2


def test_a_second_stop_can_shorten_the_grace_but_not_lengthen_it(keep):
    kept = keep(STUBBORN)
    kept.read("pid")
    line = kept.claimed()
    line.say(do="stop", grace=60)
    line.say(do="stop", grace=0.1)
    line.say(do="stop", grace=60)
    assert line.exit()["signal"] == "SIGKILL"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_keeper_stops_the_worker(keep, alive, number):
    kept = keep("echo $$ > pid; exec sleep 60")
    pid = int(kept.read("pid"))
    kept.process.send_signal(number)
    assert kept.wait() == 0 and not alive(pid)
    assert kept.record()["cause"] == "stopped"


def test_children_of_the_worker_die_with_it(keep, soon, alive):
    kept = keep("sh -c 'trap \"\" TERM; echo $$ > grandchild; while :; do sleep 0.05; done' & wait")
    grandchild = int(kept.read("grandchild"))
    line = kept.claimed()
    line.say(do="stop", grace=5)
    assert line.exit()["signal"] == "SIGTERM"
    soon(lambda: not alive(grandchild), "the grandchild is gone")


def test_children_of_a_worker_that_crashed_die_too(keep, soon, alive):
    kept = keep("sleep 60 & echo $! > grandchild; exit 3")
    record = kept.ending()
    assert (record["cause"], record["code"], record["signal"]) == ("exited", 3, None)
    soon(lambda: not alive(int(kept.read("grandchild"))), "the grandchild is gone")


def test_a_daemon_that_left_the_group_does_not_hold_the_end_up(keep, alive):
    detach = "import os, sys, time; os.setsid(); open('daemon', 'w').write(str(os.getpid())); time.sleep(60)"
    kept = keep(f'{sys.executable} -c "{detach}" & while ! test -s daemon; do sleep 0.01; done; exit 0')
    daemon = int(kept.read("daemon"))
    try:
        assert kept.ending()["code"] == 0
        assert alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_an_unrenewed_lease_ends_the_worker(keep):
    kept = keep(SLEEP, lease_seconds=0.3)
    line = kept.claimed()
    assert line.exit()["cause"] == "lease"
    assert kept.wait() == 0


def test_renewing_keeps_the_worker_beyond_its_lease(keep):
    kept = keep(SLEEP, lease_seconds=1.5)  # fifteen times the pause between renewals, for machines that stall
    line = kept.claimed()
    for _ in range(18):
        time.sleep(0.1)
        began = time.monotonic()
        line.say(do="renew")
    assert kept.process.poll() is None
    assert line.exit()["cause"] == "lease"
    assert time.monotonic() - began > 1.4


def test_a_server_that_went_away_can_be_followed_by_another(keep):
    kept = keep(SLEEP, lease_seconds=5)
    first = kept.connect()
    pid = first.claim()["worker_pid"]
    first.close()
    assert kept.connect().claim()["worker_pid"] == pid


def test_a_worker_nobody_claims_ends(keep):
    kept = keep(SLEEP, claim_seconds=0.3)
    kept.connect()
    assert kept.wait() == 0
    assert kept.record()["cause"] == "unclaimed"


def test_a_crash_carries_the_failure_the_runner_left(keep):
    failure = {"code": "launch_failed", "message": "No such model.", "detail": "Traceback ..."}
    kept = keep(f"echo '{json.dumps(failure)}' > failure.json; echo dying >&2; kill -9 $$")
    record = kept.ending()
    assert record["failure"] == failure
    assert (record["cause"], record["signal"], record["log_tail"]) == ("exited", "SIGKILL", ["dying"])


def test_a_failure_file_that_makes_no_sense_is_left_out(keep):
    kept = keep("echo '{\"code\": 1' > failure.json; exit 1")
    assert kept.ending()["failure"] is None


def test_who_claims_late_still_hears_of_the_end(keep, soon):
    kept = keep("exit 4")
    soon(lambda: (kept.folder / "exit.json").exists(), "exit.json is written")
    line = kept.connect()
    line.say(do="claim", token="right-token")
    assert line.exit()["code"] == 4
    assert kept.wait() == 0


def test_an_end_nobody_asks_for_is_kept_in_the_file(keep):
    kept = keep("exit 5", claim_seconds=0.3)
    assert kept.wait() == 0
    assert (kept.record()["cause"], kept.record()["code"]) == ("exited", 5)


@pytest.mark.parametrize(
    ("command", "reason"), [("/nowhere/python", "No such file"), ("order.json", "Permission denied")]
)
def test_a_command_that_cannot_be_run_is_reported(keep, folder, command, reason):
    kept = keep([str(folder / command), "-m", "x"])
    line = kept.connect()
    line.say(do="claim", token="right-token")
    record = line.exit()
    assert record["cause"] == "not started" and record["code"] is None
    assert command in record["failure"]["message"] and reason in record["failure"]["message"]
    assert kept.wait() == 0


def test_the_exit_record_is_what_the_host_decodes(keep):
    kept = keep("printf 'bytes \\377\\001 and more\\n'; exit 1")
    record = msgspec.convert(kept.ending(), ExitRecord)
    assert record.code == 1 and record.log_tail == ("bytes \ufffd\x01 and more",)
    assert kept.wait() == 0
    assert msgspec.json.decode((kept.folder / "exit.json").read_bytes(), type=ExitRecord) == record


def test_the_death_of_the_keeper_reaches_the_worker(keep, alive, soon):
    kept = keep(
        ["/usr/bin/env", sys.executable, "-c", f"import signal; signal.signal(15, signal.SIG_IGN); {READS_STDIN}"]
    )
    pid = int(kept.read("pid"))
    line = kept.claimed()
    kept.process.kill()
    assert line.hear() == {}
    assert kept.read("eof") == "eof"
    soon(lambda: not alive(pid), "the worker ended")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a death signal")
def test_the_death_of_the_keeper_ends_a_worker_that_does_not_watch_stdin(keep, alive, soon):
    kept = keep("echo $$ > pid; exec sleep 60")
    pid = int(kept.read("pid"))
    assert alive(pid)
    kept.process.kill()
    soon(lambda: not alive(pid), "the worker ended")


def test_the_worker_starts_in_its_folder_with_its_variables_and_leads_its_group(keep, folder):
    script = (
        "import os; leads = os.getpid() == os.getpgid(0) == os.getsid(0);"
        "print(os.getcwd(), os.environ['COLOUR'], leads, 'PATH' in os.environ)"
    )
    kept = keep([sys.executable, "-c", script], environment={"COLOUR": "blue"})
    assert kept.ending()["log_tail"] == [f"{folder.resolve()} blue True True"]


def test_the_worker_inherits_no_files_and_no_blocked_signals(keep):
    script = (
        "import os, signal; print(sorted(map(int, os.listdir('/proc/self/fd')))[:4], signal.pthread_sigmask(0, ()))"
    )
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    kept = keep([sys.executable, "-S", "-c", script])
    assert kept.ending()["log_tail"] == ["[0, 1, 2, 3] set()"]  # 3 is the listing itself


@pytest.mark.parametrize("order", ["", "{", "[]", '{"worker_id": "w"}'])
def test_an_order_that_makes_no_sense_is_refused_with_a_reason(keep, folder, order):
    (folder / "order.json").write_text(order)
    done = subprocess.run([sys.executable, "-m", "enginehouse.keeper", str(folder)], capture_output=True, timeout=8)
    assert done.returncode == 2 and b"order.json" in done.stderr and b"Traceback" not in done.stderr
