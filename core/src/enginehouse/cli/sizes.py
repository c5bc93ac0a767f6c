"""Sizes as people read them. Pure."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def spell_bytes(size: int | None) -> str:
    """1536 as "1.5 KiB"; "unknown" for None."""
    if size is None:
        return "unknown"
    amount = float(size)
    for unit in _UNITS:
        if abs(amount) < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"


def spell_billions(size: object) -> str:
    """Parameters in billions as the wire writes them, "0_5", as people do: "0.5"; nothing for None."""
    return "" if size is None else str(size).replace("_", ".")
