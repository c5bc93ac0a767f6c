import json
import stat
from pathlib import Path

from enginehouse.host.audit import FILES_KEPT, Act, AuditLog


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_line_is_one_act(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.write(Act(act="launch_model", who="Ånn\n%s", model="m", status=200))
    log.close()
    file = tmp_path / "logs" / "audit.jsonl"
    (line,) = lines(file)
    assert line.pop("ts")
    assert line == {"act": "launch_model", "who": "Ånn\n%s", "model": "m", "status": 200}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_large_file_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, file_bytes=400)
    for number in range(100):
        log.write(Act(act="launch_model", who=str(number)))
    log.close()
    files = list((tmp_path / "logs").iterdir())
    assert len(files) == 1 + FILES_KEPT
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 and file.stat().st_size <= 400 for file in files)
    assert lines(tmp_path / "logs" / "audit.jsonl")[-1]["who"] == "99"


def test_a_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    for who in ("one", "two"):
        log = AuditLog(tmp_path)
        log.write(Act(act="x", who=who))
        log.close()
    assert [line["who"] for line in lines(tmp_path / "logs" / "audit.jsonl")] == ["one", "two"]
