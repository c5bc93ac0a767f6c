"""The log: bounded, cut, and never in the worker's way."""

from __future__ import annotations

import sys

from enginehouse.keeper.log import LINE_BYTES, TAIL_LINES, Lines, LogFile


def test_lines_pass_through_unchanged():
    lines = Lines()
    assert lines.feed(b"one\ntw") + lines.feed(b"o\r\n\nthree") == b"one\ntwo\r\n\nthree"
    assert lines.tail() == ["one", "two", "", "three"]


def test_a_long_line_is_cut_once_however_it_arrives():
    lines = Lines()
    out = b"".join([lines.feed(b"x" * 1000) for _ in range(20)]) + lines.feed(b"\nnext\n")
    assert out == b"x" * LINE_BYTES + b" [cut]\nnext\n"
    assert lines.tail()[-1] == "next"


def test_of_a_progress_bar_the_tail_keeps_the_last_state():
    lines = Lines()
    for percent in range(101):
        lines.feed(f"\rLoading {percent}%".encode())
    lines.feed(b"\ndone\n")
    assert lines.tail() == ["Loading 100%", "done"]


def test_the_tail_is_bounded():
    lines = Lines()
    lines.feed(b"".join(b"%d " % number + b"y" * 5000 + b"\n" for number in range(200)))
    assert len(lines.tail()) == TAIL_LINES and lines.tail()[-1].startswith("199 ")
    assert sum(map(len, lines.tail())) <= 50_000


def test_files_stay_within_their_bound(tmp_path):
    log = LogFile(str(tmp_path / "worker.log"), 100_000)
    for number in range(10_000):
        log.write(b"line %06d of the log\n" % number)
    log.close()
    new, old = (tmp_path / "worker.log").read_bytes(), (tmp_path / "worker.log.1").read_bytes()
    assert len(new) + len(old) <= 100_000
    assert new.endswith(b"line 009999 of the log\n")
    assert (old + new).count(b"\n") * 23 == len(old + new)


def test_a_full_disk_loses_lines_and_says_how_many(tmp_path):
    path = tmp_path / "worker.log"
    path.symlink_to("/dev/full")
    log = LogFile(str(path), 100_000)
    log.write(b"0123456789\n")
    log.write(b"0123456789\n")
    path.unlink()
    log.write(b"there is room again\n")
    log.close()
    lost, again = path.read_text().splitlines()
    assert lost.startswith("[keeper] 22 bytes of output were lost here: No space left")
    assert again == "there is room again"


def test_a_worker_with_a_full_disk_runs_on(keep, folder):
    (folder / "worker.log").symlink_to("/dev/full")
    kept = keep([sys.executable, "-c", "for number in range(50_000): print('a line of some length', number)"])
    record = kept.ending()
    assert record["code"] == 0 and record["log_tail"][-1] == "a line of some length 49999"
    assert kept.wait() == 0


def test_a_log_that_cannot_even_be_opened_changes_nothing(keep, folder):
    (folder / "worker.log").mkdir()
    record = keep("echo words; exit 3").ending()
    assert (record["code"], record["log_tail"]) == (3, ["words"])


def test_a_flood_of_output_is_bounded_and_the_keeper_still_answers(keep, folder):
    kept = keep("exec yes 'a flood of output'", log_bytes=200_000)
    line = kept.claimed()
    kept.read("worker.log.1")
    line.say(do="stop", grace=5)
    assert line.exit()["cause"] == "stopped"
    assert sum((folder / name).stat().st_size for name in ("worker.log", "worker.log.1")) <= 200_000
