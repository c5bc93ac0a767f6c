"""What commands that need no server find of plugins that were installed into a running one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

CONVERTER = """
import sys
from pathlib import Path

folder, file, *options = sys.argv[1:]
Path(file).write_text(f"{Path(folder).name} {' '.join(options)}")
"""


LIGHT = """
from enginehouse.sdk import Asks, ModelFamily, Variant, hookimpl

ASKS = Asks()


@hookimpl
def enginehouse_families():
    crumbs = Variant(format="pytorch", size_in_billions="0_001", sources=("package:small_oven",))
    return [ModelFamily(name="loaf", model_type="LLM", variants=(crumbs,), abilities=("chat",), description="Bread.")]
"""
FILES = {"small_oven/__init__.py": "", "small_oven/plugin.py": "", "small_oven/burn.py": CONVERTER}


def install(server: Any, wheel: Path) -> None:
    ran = server.cli("plugins", "install", str(wheel), "--no-index", "--yes")
    assert ran.returncode == 0, ran.stderr


def test_a_converter_of_a_plugin_in_the_home_is_found(new_server: Any, wheels: Any, tmp_path: Path) -> None:
    server = new_server()
    unknown = server.cli("convert", "stoker", "--to", "ash")
    assert unknown.returncode == 1 and "No installed plugin converts to 'ash'. Known formats: gguf." in unknown.stderr
    entries = "oven = small_oven.plugin\n\n[enginehouse.converters]\nash = small_oven.burn"
    install(server, wheels.make("small-oven", "1.0", FILES, entries))
    (tmp_path / "wood").mkdir()
    (tmp_path / "wood" / "config.json").write_text("{}")
    burnt = server.cli("convert", str(tmp_path / "wood"), "--to", "ash", "-o", str(tmp_path / "wood.ash"))
    assert burnt.returncode == 0, burnt.stderr
    assert (tmp_path / "wood.ash").read_text() == "wood --type f16 --name wood"


def test_a_plugin_of_the_home_is_certified(new_server: Any, wheels: Any) -> None:
    server = new_server()
    needs = ("enginehouse-core<1,>=0.1",)
    files = {**FILES, "small_oven/py.typed": "", "small_oven/plugin.py": LIGHT}
    install(server, wheels.make("small-oven", "1.0", files, "oven = small_oven.plugin", needs))
    certified = server.cli("certify", "oven")
    assert certified.returncode == 0, certified.stderr
    assert certified.stdout.startswith("oven 1.0: gold (") and "families loaf" in certified.stderr
    assert re.search(r"oven +1\.0 +loaded +home +gold", server.cli("plugins", "list").stdout)
