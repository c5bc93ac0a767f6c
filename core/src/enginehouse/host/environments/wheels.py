"""Real wheels of installed distributions, for machines that have no index."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from .distributions import dist_info, distribution, files_of

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: the same files make the same wheel
PURE = "Wheel-Version: 1.0\nGenerator: enginehouse\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(name: str, folder: Path) -> Path:
    """Writes the wheel of an installed distribution into a folder, whole, also of an editable one; its path.

    Raises LaunchFailed when it is not installed, OSError.
    """
    one = distribution(name)
    contents = _contents(one)
    wheel = folder / f"{canonicalize_name(one.name).replace('-', '_')}-{one.version}-{_tags(contents, one)}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return wheel


def _contents(one: metadata.Distribution) -> dict[str, bytes]:
    """All files by their path in the wheel, RECORD last as the format wants."""
    folder = dist_info(one)
    contents = {file.name: file.place.read_bytes() for file in files_of(one)}
    texts = {name: one.read_text(name) for name in ("METADATA", "entry_points.txt", "top_level.txt")}
    contents |= {f"{folder}/{name}": text.encode() for name, text in texts.items() if text}
    contents[f"{folder}/WHEEL"] = (one.read_text("WHEEL") or PURE).encode()
    lines = [f"{name},sha256={_hash(content)},{len(content)}\n" for name, content in contents.items()]
    contents[f"{folder}/RECORD"] = "".join((*lines, f"{folder}/RECORD,,\n")).encode()
    return contents


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _tags(contents: dict[str, bytes], one: metadata.Distribution) -> str:
    """The tags of the file's name, from the Tag lines of WHEEL."""
    text = contents[f"{dist_info(one)}/WHEEL"].decode()
    found = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Tag:")]
    tags = {tag for line in found for tag in parse_tag(line)}
    parts = (
        sorted({tag.interpreter for tag in tags}),
        sorted({tag.abi for tag in tags}),
        sorted({tag.platform for tag in tags}),
    )
    return "-".join(".".join(part) for part in parts)
