"""Environments by fields of launches, routes, the client, the command line and bundles: real servers, the real uv and
pip, wheels of what is installed here, no network."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from enginehouse.client import Client, ClientError
from enginehouse.host.environments.distributions import bill_of
from enginehouse.host.environments.wheels import write_wheel

SECRET = "s3cret-word"
WORK_SECONDS = 120.0  # a build takes two seconds; beside seven busy neighbours longer


def stock(folder: Path, name: str, version: str, requires: str = "") -> None:
    """Puts a wheel with one module into a folder."""
    info = f"{name}-{version}.dist-info"
    needed = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)


def closure(names: list[str]) -> set[str]:
    """Distributions that are installed here, with all that they require."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            requires = map(Requirement, metadata.requires(name) or ())
            names += [one.name for one in requires if not one.marker or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a worker of the fake engine needs, and packages of which we have versions."""
    folder = tmp_path_factory.mktemp("shop")
    for name in closure([Requirement(text).name for text in bill_of(["enginehouse-fake-engine"]).requirements]):
        write_wheel(name, folder)
    for version in ("1.0", "2.0"):
        stock(folder, "eh_gamma", version)
    stock(folder, "eh_delta", "1.0", "eh_gamma>=2")
    return folder


def pip_of(shop: Path, **more: str) -> dict[str, str]:
    """Variables by which a server's pip would take packages from the shop alone."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(shop), **more}


@pytest.fixture(scope="module")
def house(new_server_of_module, shop: Path):
    return new_server_of_module(**pip_of(shop, PIP_EXTRA_INDEX_URL=f"http://me:{SECRET}@127.0.0.1:9/simple"))


def plan_of(server, **fields: Any) -> dict[str, Any]:
    body = {"model_name": "fake-model", **fields}
    answer = server.client.post("/v1/models", params={"dry_run": "true"}, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["environment"])


def finish(server, wait, answer) -> dict[str, Any]:
    """A work that has ended."""
    assert answer.status_code == 202, answer.text
    path = f"/v1/environments/works/{answer.json()['work_id']}"

    def over() -> bool:
        return server.client.get(path).json()["state"] in ("done", "failed", "cancelled")

    wait(over, WORK_SECONDS, "the end of the work")
    return dict(server.client.get(path).json())


def result(server, wait, answer) -> Any:
    work = finish(server, wait, answer)
    assert work["state"] == "done", work["error"]
    return work["result"]


def act(server, name: str, **body: Any):
    return server.client.post(f"/v1/environments/{name}", json=body)


def launch_of(*packages: str) -> dict[str, Any]:
    return {"model_name": "fake-model", "model_engine": "fake", "virtual_env_packages": list(packages)}


def test_a_plan_says_who_makes_it_what_is_locked_and_no_credentials(house, wait) -> None:
    seen = plan_of(house, virtual_env_packages=["eh_gamma<2"])
    assert (seen["provisioner"], seen["locked"], seen["exists"], seen["digest"]) == ("uv", False, False, None)
    assert "its library eh-gamma is not installed" in seen["reason"]
    assert seen["indexes"]["extra_index_url"] == ["http://******@127.0.0.1:9/simple"]
    locked = result(house, wait, act(house, "lock", launch=launch_of("eh_gamma<2")))
    seen = plan_of(house, virtual_env_packages=["eh_gamma<2"])
    assert (seen["locked"], seen["exists"], seen["digest"]) == (True, False, locked["digest"])
    assert seen["packages"] == len(locked["lock"]["packages"])
    assert {"requirement": "eh_gamma<2", "installed": "1.0", "satisfied": True} in seen["requirements"]
    plain = plan_of(house)
    assert (plain["provisioner"], plain["locked"], plain["indexes"]) == ("system", None, None)
    assert SECRET not in house.log()


def test_a_launch_runs_in_what_was_built_before(house, wait) -> None:
    built = result(house, wait, act(house, "build", **launch_of("eh_gamma<2")))
    assert built["engine"] == "fake" and built["models"] == [] and not built["in_use"]
    uid = house.launch(model_uid="gamma", model_engine="fake", virtual_env_packages=["eh_gamma<2"])
    [seen] = [one for one in house.client.get("/v1/environments").json()["environments"] if one["models"] == [uid]]
    assert seen["digest"] == built["digest"] and seen["in_use"]
    events = json.dumps(house.client.get(f"/v1/models/{uid}/events").json())
    assert "built in" not in events and SECRET not in events
    shown = house.client.get(f"/v1/environments/{built['digest'][:8]}").json()
    assert ["eh-gamma", "1.0"] in [[one["name"], one["version"]] for one in shown["lock"]["packages"]]
    [item] = house.client.get("/v1/virtualenvs", params={"model_name": "FAKE-model"}).json()["list"]
    assert (item["model_engine"], item["path"]) == ("fake", shown["path"])
    assert house.client.delete("/v1/virtualenvs", params={"model_name": "fake-model"}).status_code == 409
    house.client.delete(f"/v1/models/{uid}")


def test_what_cannot_be_resolved_says_so_and_hides_credentials(house, wait) -> None:
    work = finish(house, wait, act(house, "build", **launch_of("eh_gamma==3")))
    assert work["state"] == "failed" and "eh-gamma==3" in work["error"]["message"]
    answer = house.client.post("/v1/models", json=launch_of("eh_gamma==3") | {"model_uid": "never"})
    assert answer.status_code == 503 and "eh-gamma" in answer.text
    house.client.delete("/v1/models/never")
    assert SECRET not in answer.text + house.log() + json.dumps(work)


def test_wrong_wishes_are_refused_before_anything_begins(house) -> None:
    before = len(house.client.get("/v1/environments/works").json()["works"])
    for name, body, words in (
        ("build", launch_of("--index-url=x"), "is an option of pip"),
        ("build", {"model_name": "fake-model"}, "environment=uv"),
        ("lock", {}, "launch"),
        ("lock", {"launch": {"model_name": "nobody"}}, "nobody"),
        ("gc", {"keep_days": -1}, "keep_days"),
        ("import", {"lock": 3}, "$.lock"),
        ("bundles", {"launch": launch_of("eh_gamma"), "path": "here.zip"}, "absolute path"),
        ("bundles", {"launch": launch_of("eh_gamma"), "path": os.devnull}, "is there already"),
    ):
        answer = act(house, name, **body)
        assert answer.status_code == 400 and words in answer.json()["detail"], answer.text
    for method, path in (("GET", "/ffff"), ("POST", "/ffff/verify"), ("GET", "/works/ffff"), ("DELETE", "/works/ffff")):
        assert house.client.request(method, f"/v1/environments{path}").status_code == 404
    assert len(house.client.get("/v1/environments/works").json()["works"]) == before


BLOCK_MODEL = {
    "version": 2,
    "model_name": "behind-a-password",
    "model_family": "other",
    "model_lang": ["en"],
    "model_ability": ["generate"],
    "model_specs": [
        {
            "model_format": "fake",
            "model_size_in_billions": 1,
            "quantization": "none",
            "model_uri": "package://enginehouse_fake/model",
        }
    ],
}


def test_a_family_brings_its_block(house, wait) -> None:
    document = {
        **BLOCK_MODEL,
        "model_name": "with-block",
        "virtualenv": {
            "packages": ['eh_gamma==1.0 ; #engine# == "fake"', 'eh_delta ; #engine# == "vllm"', "#system_msgspec#"],
            "inherit_pip_config": True,
        },
    }
    register = {"model": json.dumps(document), "persist": False}
    assert house.client.post("/v1/model_registrations/LLM", json=register).status_code == 200
    seen = plan_of(house, model_name="with-block", model_engine="fake")
    msgspec = f"msgspec=={metadata.version('msgspec')}"
    assert [one["requirement"] for one in seen["requirements"]] == ["eh_gamma==1.0", msgspec]
    later = plan_of(house, model_name="with-block", model_engine="fake", virtual_env_packages=["eh_gamma>=2"])
    assert later["notes"] == ["eh_gamma>=2 (the launch) takes the place of eh_gamma==1.0 (the model with-block)."]
    uid = house.launch("with-block", model_uid="block", model_engine="fake")
    site = next(Path(house.home / "environments").glob("*/lib/python*/site-packages/eh_gamma.py"))
    assert site.read_text() == "version = '1.0'\n"
    house.client.delete(f"/v1/models/{uid}")
    for wrong in ("--no-deps", "x>>1", "#what#"):
        block = {"virtualenv": {"packages": [wrong]}, "model_name": "wrong"}
        answer = house.client.post("/v1/model_registrations/LLM", json={"model": json.dumps({**document, **block})})
        assert answer.status_code == 400 and "virtualenv.packages" in answer.json()["detail"]


def test_passwords_of_a_registered_block_are_used_and_shown_nowhere(new_server, shop, serve_index, wait, tmp_path):
    """Of the index, of other indexes, and of a package that is named by its URL."""
    index = serve_index(shop, f"me:{SECRET}")
    nowhere = f"http://me:{SECRET}@127.0.0.1:9"
    wheel = f"{index.url.removesuffix('/simple')}/files/eh_delta-1.0-py3-none-any.whl"
    block = {
        "packages": ["eh_gamma", f"eh_delta @ {wheel}"],
        "inherit_pip_config": False,
        "index_url": index.url,
        "extra_index_url": [index.url],
        "trusted_host": "127.0.0.1",
    }
    variables = {"PIP_CONFIG_FILE": os.devnull, "ENGINEHOUSE_PACKAGE_URLS": "1", "UV_CACHE_DIR": str(tmp_path / "uv")}
    server = new_server(**variables)
    register = {"model": json.dumps({**BLOCK_MODEL, "virtualenv": block}), "persist": True}
    assert server.client.post("/v1/model_registrations/LLM", json=register).status_code == 200
    launch = {"model_name": "behind-a-password", "model_engine": "fake"}
    shown = [
        server.client.get("/v1/model_registrations/LLM/behind-a-password").text,
        server.client.get("/v1/model_registrations/LLM", params={"detailed": "true"}).text,
        server.cli("registrations", "-t", "LLM", "--own", "--json").stdout,
        server.client.post("/v1/models", params={"dry_run": "true"}, json=launch).text,
        json.dumps(result(server, wait, act(server, "lock", launch=launch))),
        json.dumps(result(server, wait, act(server, "build", **launch))),
    ]
    assert all("behind-a-password" in text for text in shown[:3])
    assert json.loads(shown[0])["virtualenv"]["index_url"].startswith("http://******@127.0.0.1:")
    uid = server.launch("behind-a-password", model_uid="used", model_engine="fake")
    assert server.complete(uid, "hello", max_tokens=2).status_code == 200
    (folder,) = (path.parent for path in (server.home / "environments").glob("*/environment.json"))
    places = ("models", f"models/{uid}", f"models/{uid}/events", "declarations", "launch_history", "autostart")
    shown += [
        *(server.client.get(f"/v1/{place}").text for place in places),
        server.client.get(f"/v1/environments/{folder.name}").text,
        server.client.get(f"/v1/environments/{folder.name}/export").text,
        server.cli("env", "show", folder.name).stdout,
        (folder / "environment.json").read_text(),
    ]
    impossible = {**launch, "virtual_env_packages": [f"eh_delta @ {nowhere}/eh_delta-9.0-py3-none-any.whl"]}
    refused = server.client.post("/v1/models", json={**impossible, "model_uid": "never"})
    assert refused.status_code == 503
    shown += [refused.text, json.dumps(finish(server, wait, act(server, "build", **impossible)))]
    shown += [server.client.get(f"/v1/models/never{more}?any_status=true").text for more in ("", "/events")]
    spec = {**BLOCK_MODEL["model_specs"][0], "model_uri": f"{nowhere}/x"}
    wrong = {"model": {**BLOCK_MODEL, "model_name": "wrong", "model_specs": [spec]}}
    answer = server.client.post("/v1/model_registrations/LLM", json=wrong)
    assert answer.status_code == 400
    shown += [answer.text, server.log(), (server.home / "logs" / "audit.jsonl").read_text()]
    shown += [path.read_text() for path in (server.home / "environments").glob("[lf]*/*.json")]
    assert [text for text in shown if SECRET in text] == []

    again = {"model": {**json.loads(shown[0]), "model_name": "again"}}
    answer = server.client.post("/v1/model_registrations/LLM", json=again)
    assert answer.status_code == 400 and "virtualenv.index_url has the credentials" in answer.json()["detail"]
    file = tmp_path / "secret.bundle"
    made = result(server, wait, act(server, "bundles", launch=launch, path=str(file)))
    with zipfile.ZipFile(file) as archive:
        assert SECRET.encode() not in archive.read("bundle.json")
    other = new_server(**{**variables, "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "empty")})
    told = result(other, wait, act(other, "bundles/load", path=str(file)))
    assert told["digest"] == made["digest"] and told["ready"], told
    server.stop()
    server.start()
    index.asked.clear()
    result(server, wait, act(server, "lock", launch=launch, upgrade=True))  # with the password that was written down
    assert index.asked


def test_a_lock_is_exported_imported_and_verified(house, new_server, shop, wait) -> None:
    built = result(house, wait, act(house, "build", **launch_of("eh_gamma<2")))
    exported = house.client.get(f"/v1/environments/{built['digest']}/export").json()
    assert SECRET not in json.dumps(exported) and exported["need"]["requirements"]
    other = new_server(**pip_of(shop))
    foreign = {**exported, "lock": {**exported["lock"], "platform": "plan9-mips"}}
    assert "plan9-mips" in act(other, "import", **foreign).json()["detail"]
    assert result(other, wait, act(other, "import", **exported))["digest"] == built["digest"]
    seen = plan_of(other, model_engine="fake", virtual_env_packages=["eh_gamma<2"])
    assert (seen["digest"], seen["exists"]) == (built["digest"], True)
    path = f"/v1/environments/{built['digest']}/verify"
    assert result(other, wait, other.client.post(path))["differences"] == []
    file = next(other.home.glob("environments/*/lib/python*/site-packages/eh_gamma.py"))
    file.parent.chmod(0o755)
    file.unlink()
    [difference] = result(other, wait, other.client.post(path))["differences"]
    assert difference["file"].endswith("eh_gamma.py") and difference["what"] == "missing"


def test_the_lock_stays_until_somebody_asks_for_newer(new_server, tmp_path, shop, wait) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for wheel in shop.iterdir():
        (own / wheel.name).symlink_to(wheel)
    stock(own, "eh_eps", "1.0")
    server = new_server(**pip_of(own))

    def version(**more: Any) -> str:
        locked = result(server, wait, act(server, "lock", launch=launch_of("eh_eps"), **more))
        return next(one["version"] for one in locked["lock"]["packages"] if one["name"] == "eh-eps")

    assert version() == "1.0"
    stock(own, "eh_eps", "2.0")
    assert version() == "1.0"
    assert version(upgrade=True) == "2.0" == version()


def test_the_clients_and_the_command_line_do_it_all(new_server, shop, wait, tmp_path) -> None:
    server = new_server(**pip_of(shop))
    built = server.cli("env", "build", "fake-model", "-en", "fake", "-vp", "eh_gamma==1.0")
    assert built.returncode == 0, built.stderr
    digest = built.stdout.strip()
    listed = server.cli("env", "list")
    assert digest[:12] in listed.stdout and "fake" in listed.stdout
    assert "eh-gamma" in server.cli("env", "show", digest[:10]).stdout
    locked = server.cli("env", "lock", "fake-model", "-en", "fake", "-vp", "eh_gamma==1.0", "--json")
    assert json.loads(locked.stdout)["digest"] == digest
    planned = server.cli("plan", "fake-model", "-en", "fake", "-vp", "eh_gamma==1.0").stdout
    assert digest[:12] in planned and "is here" in planned
    assert server.cli("env", "verify", digest[:10]).returncode == 0
    file = tmp_path / "lock.json"
    assert server.cli("env", "export", digest[:10], "-o", str(file)).returncode == 0
    assert server.cli("env", "import", str(file)).stdout.strip() == digest
    failed = server.cli("env", "build", "fake-model", "-vp", "eh_gamma==9")
    assert failed.returncode != 0 and "eh-gamma" in failed.stderr
    with Client(server.url) as client:
        assert [one["digest"] for one in client.list_environments()] == [digest]
        assert client.get_environment(digest)["packages"] > 1
        with pytest.raises(ClientError, match="no environment"):
            client.get_environment("0000")
        work = client.build_environment("fake-model", model_engine="fake", virtual_env_packages=["eh_delta"])
        ended = client.cancel_environment_work(work["work_id"])
        assert ended["state"] in ("cancelled", "done")
        assert not list((server.home / "environments").glob(".building-*"))
        assert digest not in client.collect_environments(keep_days=1)["environments"]
    gone = server.cli("env", "gc", "--dry-run")
    assert gone.returncode == 0 and "would go" in gone.stderr


def test_a_bundle_makes_the_same_environment_without_any_index(house, new_server, shop, wait, tmp_path) -> None:
    """The other machine has neither pip's configuration nor uv's cache nor a network."""
    file = tmp_path / "fake.bundle"
    launch = launch_of("eh_delta")
    made = result(house, wait, act(house, "bundles", launch=launch, path=str(file)))
    assert made["size_bytes"] == file.stat().st_size
    assert any("enginehouse-fake-engine" in one for one in made["plugins"])
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        assert SECRET.encode() not in archive.read("bundle.json")
    assert "wheels/eh_delta-1.0-py3-none-any.whl" in names and any("enginehouse_fake" in name for name in names)
    offline = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache"), "PIP_NO_INDEX": "1"}
    other = new_server(PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", **offline)
    loaded = other.cli("bundle", "load", str(file), "--json")
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    told = json.loads(loaded.stdout)
    assert told["digest"] == made["digest"] and told["ready"] and told["notes"] == []
    assert {one["state"] for one in told["plugins"]} == {"here"}
    uid = other.launch(model_uid="away", **{name: value for name, value in launch.items() if name != "model_name"})
    assert other.complete(uid, "hello", max_tokens=2).status_code == 200
    (folder,) = (path.parent for path in (other.home / "environments").glob("*/environment.json"))
    assert folder.name == made["digest"]


def test_a_bundle_whose_plugin_is_not_here_keeps_its_wheel(house, new_server, wait, tmp_path) -> None:
    file, changed = tmp_path / "a.bundle", tmp_path / "b.bundle"
    result(house, wait, act(house, "bundles", launch=launch_of("eh_gamma"), path=str(file)))
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in archive.namelist():
            text = archive.read(name)
            if name == "bundle.json":
                text = text.replace(b'"name":"enginehouse-fake-engine"', b'"name":"enginehouse-absent"')
                text = text.replace(b'"model_name":"fake-model"', b'"model_name":"absent-model"')
            other.writestr(name, text)
    server = new_server(PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    told = result(server, wait, act(server, "bundles/load", path=str(changed)))
    [absent] = [one for one in told["plugins"] if one["name"] == "enginehouse-absent"]
    assert absent["state"] == "missing" and Path(absent["file"]).is_file()
    assert not told["ready"] and any("enginehouse plugins install" in note for note in told["notes"])
    work = finish(server, wait, act(server, "bundles/load", path=str(tmp_path / "nothing")))
    assert work["state"] == "failed" and "is no bundle" in work["error"]["message"]


def stock_source(folder: Path, name: str, needs_to_build: str) -> None:
    """Puts a source distribution into a folder that brings its own build backend."""
    backend = f"""
import zipfile
import {needs_to_build}
def build_wheel(folder, config_settings=None, metadata_directory=None):
    wheel, info = "{name}-1.0-py3-none-any.whl", "{name}-1.0.dist-info"
    with zipfile.ZipFile(folder + "/" + wheel, "w") as archive:
        archive.writestr("{name}.py", f"built_with = {{{needs_to_build}.version!r}}")
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n")
        archive.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(info + "/RECORD", "")
    return wheel
"""
    build = f'requires = ["{needs_to_build}"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": f'[build-system]\n{build}[project]\nname = "{name}"\nversion = "1.0"\n',
        "backend.py": backend,
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def test_a_bundle_has_the_plugin_of_the_home_and_a_wheel_of_what_comes_as_source(
    new_server, shop, wheels, wait, tmp_path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for wheel in shop.iterdir():
        (own / wheel.name).symlink_to(wheel)
    stock_source(own, "eh_zeta", needs_to_build="eh_gamma")
    server = new_server(**pip_of(own))
    examined = {"source": str(wheels.fake_engine("1.0", "one")), "no_index": True}
    digest = server.client.post("/v1/plugin_examinations", json=examined).json()["digest"]
    assert server.client.post("/v1/plugins", json={"digest": digest}).status_code == 200
    file = tmp_path / "blink.bundle"
    launch = {"model_name": "blink-model", "model_engine": "blink", "virtual_env_packages": ["eh_zeta"]}
    made = result(server, wait, act(server, "bundles", launch=launch, path=str(file)))
    assert made["built"] == ["eh-zeta"] and "enginehouse-blink 1.0" in made["plugins"]
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    assert "wheels/eh_zeta-1.0-py3-none-any.whl" in names
    assert "plugins/enginehouse_blink-1.0-py3-none-any.whl" in names

    offline = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache"), "PIP_NO_INDEX": "1"}
    other = new_server(PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", **offline)
    told = result(other, wait, act(other, "bundles/load", path=str(file)))
    [blink] = [one for one in told["plugins"] if one["name"] == "enginehouse-blink"]
    assert blink["state"] == "missing" and not told["ready"]
    installed = other.cli("plugins", "install", blink["file"], "--no-index", "--yes")
    assert installed.returncode == 0, installed.stderr
    told = result(other, wait, act(other, "bundles/load", path=str(file)))
    assert told["ready"] and told["digest"] == made["digest"], told
    uid = other.launch("blink-model", model_uid="away", **{k: v for k, v in launch.items() if k != "model_name"})
    assert other.complete(uid).json()["choices"][0]["text"] == "one"
    site = next((other.home / "environments" / made["digest"]).glob("lib/python*/site-packages/eh_zeta.py"))
    assert site.read_text() == "built_with = '2.0'"
