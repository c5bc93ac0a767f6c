"""Commands and programs of how-to pages, taken from the pages and run against a server with small models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from enginehouse.testing.certifying import RUNNING
from enginehouse.testing.checks.check import named
from enginehouse.testing.reports import Result

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"(?:^(?: {4}| {8})\S.*\n)+", re.M)
ADDRESS = re.compile(r"http://127\.0\.0\.1:9997")
SECONDS = 120.0


def blocks(page: str, language: str) -> list[str]:
    """What stands between fences of this language."""
    return [text for kind, text in FENCE.findall((PAGES / page).read_text()) if kind == language]


def typed(page: str) -> list[str]:
    """Commands of a page, in order: lines of sh, of dialogues what follows a $, and of indented blocks."""
    text = (PAGES / page).read_text()
    shells = [(found.start(), found[2]) for found in FENCE.finditer(text) if found[1] == "sh"]
    bare = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    shells += [(text.find(found[0]), textwrap.dedent(found[0])) for found in INDENTED.finditer(bare)]
    lines: list[str] = []
    for _, shell in sorted(shells):
        dialogue = [line[2:] for line in shell.splitlines() if line.startswith("$ ")]
        lines += dialogue or shell.splitlines()
    return [line for line in lines if re.match(r"(enginehouse|python|pip|curl) ", line)]


class Desk:
    """A folder to work in beside a server. words: of a page, and what they are called here."""

    def __init__(self, house: Any, folder: Path, words: dict[str, str] | None = None) -> None:
        self.house, self.folder, self.words = house, folder, words or {}
        folder.mkdir(exist_ok=True)

    def here(self, text: str) -> str:
        for word, name in self.words.items():
            text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", name, text)
        return ADDRESS.sub(self.house.url, text)

    def run(self, line: str, status: int = 0, **variables: str) -> str:
        """What a command prints, errors and all."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-c", self.here(line)],
            cwd=self.folder,
            env={**self.house.environment, "PATH": path, **variables},
            input="y\n" * 3,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == status, f"{self.here(line)}: {done.returncode}\n{done.stdout[-3000:]}"
        return done.stdout

    def python(self, code: str, *words: str) -> str:
        file = self.folder / "test_snippet.py"
        file.write_text(self.here(code))
        return self.run(" ".join(["python", *words, str(file)]))


@pytest.fixture(scope="module")
def house(new_server_of_module: Any) -> Any:
    return new_server_of_module()


@pytest.fixture
def desk(house: Any, tmp_path: Path) -> Iterator[Desk]:
    """Its models are ended when the test ends."""
    yield Desk(house, tmp_path / "desk", {"stoker": "fake-model"})
    for uid in house.client.get("/v1/models").json()["data"]:
        house.client.delete(f"/v1/models/{uid['id']}")


def test_certify(house: Any, tmp_path: Path) -> None:
    whole, part, with_model = typed("certify.md")
    small = Desk(house, tmp_path / "small", {"NAME": "builtin"})  # a whole engine is certified by test_publish_a_plugin
    assert ": gold (" in small.run(whole)
    assert (house.home / "certificates" / "builtin.json").exists()
    (test,) = blocks("certify.md", "python")
    assert "1 passed" in small.python(test, "-m pytest -q -p no:cacheprovider -c /dev/null")
    desk = Desk(house, tmp_path / "desk", {"NAME": "fake_engine", "MODEL": "fake-model"})
    assert ": bronze in what was looked at" in desk.run(part)
    assert "fake with fake-model" in desk.run(with_model)


def test_certify_shows_a_failure_as_it_is() -> None:
    (shown,) = blocks("certify.md", "")
    (check,) = named(RUNNING, ["completions.stop_cuts"])
    sent, came = 'POST /v1/completions {"model": "checked", ...}', '200 {"choices": [{"text": "one two three ...'
    assert shown.rstrip("\n") == Result(check, "failed", 0.0, sent, came, "the text 'one t'").tell()


def test_debug_a_quarantined_plugin(new_server: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "limping-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "limping.py").write_text("import no_such_library\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: limping\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enginehouse]\nlimping = limping\n")
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    desk = Desk(new_server(PYTHONPATH=paths), tmp_path / "desk", {"NAME": "limping", "MODULE": "limping"})
    listed, local, certified, timed = typed("debug-a-quarantined-plugin.md")
    for line in (listed, local):
        shown = desk.run(line)
        assert re.search(r"limping +1\.0 +quarantined", shown) and "Traceback" in shown
    assert "limping 1.0: no level" in desk.run(certified, status=1)
    assert "No module named 'no_such_library'" in desk.run(timed)


def test_publish_a_plugin(new_server: Any, tmp_path: Path) -> None:
    """Into a folder of its own instead of the interpreter's; what is installed hot must not be there already."""
    site = tmp_path / "site"
    paths = {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    desk = Desk(new_server(), tmp_path / "desk")
    new, install, certify, build, look, use = typed("publish-a-plugin.md")
    desk.run(new)
    desk.run(install.replace("--editable", f"--quiet --target {site}"), **offline)
    told = desk.run(certify, status=1, **paths, ENGINEHOUSE_BLOCKED_PLUGINS="fake_engine")
    assert "acme 0.1.0: silver (" in told and told.count("FAILED") == told.count("completions.seeds_differ (gold)") == 1
    desk.run(build, **offline)
    assert {"enginehouse_acme/plugin.py", "enginehouse_acme/certificate.json"} <= set(desk.run(look).split())
    shown = desk.run(use)
    assert "Installed enginehouse-acme 0.1.0" in shown and "silver" in shown


def test_declare_models_in_a_file(desk: Desk) -> None:
    desk.words |= {
        "qwen2.5-instruct": "fake-tools",
        "0_5": "0_001",
        "transformers": "fake",
        "dtype": "tokens",
        "bfloat16": "4",
    }
    (declared,) = blocks("declare-models-in-a-file.md", "yaml")
    (desk.folder / "models.yaml").write_text(desk.here(declared))
    differs, apply, prune, export = typed("declare-models-in-a-file.md")
    assert "+ chat: launch" in desk.run(differs, status=4)
    desk.run(apply)
    desk.run(prune)
    desk.run(export)
    written = yaml.safe_load((desk.folder / "models.yaml").read_text())["models"]
    assert [one["model_name"] for one in written] == ["fake-model", "fake-tools"]


def test_plan_before_you_launch(house: Any, tmp_path: Path) -> None:
    desk = Desk(house, tmp_path / "desk")
    plan, engines, able, options, memory = typed("plan-before-you-launch.md")
    shown = desk.run(plan)
    lines = (PAGES / "plan-before-you-launch.md").read_text().splitlines()
    titles = [line.split("  ")[0].strip() for line in lines if re.match(r"    [a-zMP]\S[\w ]*(  |$)", line)]
    assert len(titles) > 8 and [title for title in titles if title not in shown] == []
    assert {"transformers", "fake"} <= set(desk.run(engines).split())
    assert "transformers" in desk.run(able) and "dtype" in desk.run(options)
    assert "kv" in desk.run(memory).lower()


def test_plugins(house: Any, tmp_path: Path, wheels: Any) -> None:
    one, two = (wheels.fake_engine(f"{number}.0", f"{number}") for number in (1, 2))
    desk = Desk(house, tmp_path / "desk", {"acme": "blink", "enginehouse-acme": str(one)})
    listed, show, install, upgrade, block, remove = typed("plugins.md")
    assert "fake_engine" in desk.run(listed)
    assert "Installed enginehouse-blink 1.0" in desk.run(install)
    assert "blink" in desk.run(show)
    assert "Upgraded enginehouse-blink to 2.0" in desk.run(f"{upgrade.partition('#')[0]} {two}")
    assert "Blocked blink" in desk.run(block)
    assert "Removed blink" in desk.run(remove)


def test_scale_and_unload(desk: Desk) -> None:
    launch, up, down, renew, limited, lazy = typed("scale-and-unload.md")
    for line in (launch, up, down, renew):
        desk.run(line)
    assert len(desk.house.replicas("fake-model")) == 1
    for line in (limited, lazy):
        desk.house.client.delete("/v1/models/fake-model")
        desk.run(line)
    assert desk.house.description("fake-model")["status"] == "UNLOADED"


def test_use_anthropic_and_openai_clients(desk: Desk) -> None:
    desk.house.launch("fake-model", token_seconds=0.01)
    openai, anthropic, *_ = blocks("use-anthropic-and-openai-clients.md", "python")  # others: test_other_clients
    assert desk.python(openai + anthropic).count("word0") == 4
    (abort,) = blocks("use-anthropic-and-openai-clients.md", "sh")
    assert "Request 'job-7' to model 'fake-model' was aborted" in desk.run(abort + "\nwait")
