"""What a plugin's code does beyond answering requests, said by its author and shown before it is installed."""

from __future__ import annotations

import msgspec

ASKS = "ASKS"
"""The name of the light module's attribute that says so."""


class Asks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a plugin asks for, each with a few words why; empty: it does not.

    `ASKS = Asks(network="downloads weights from example.org")` in the light module. It is the author's word: whoever
    reads it decides by it; nothing holds a plugin to it.

    network: connects to other machines. subprocesses: starts programs of its own. remote_code: runs code that comes
    with a model's files.
    """

    network: str = ""
    subprocesses: str = ""
    remote_code: str = ""
