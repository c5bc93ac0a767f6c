"""What keys cost the gateway: an open server, and one that asks for keys, with budgets and without.

Target: with keys at least 0.9 of the open server's requests a second. Rounds go in turns, so that a busy machine
is busy for all of them alike.
"""

from __future__ import annotations

import argparse

from house import House, served
from load import make_request, run
from tables import print_machine
from ways import Way, compare

CHAT = "/v1/chat/completions"
SHARE = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=8000)
    arguments = parser.parse_args()
    print_machine()
    with served() as free, served(ENGINEHOUSE_REQUIRE_KEY="1") as locked:
        for house in (free, locked):
            house.launch(model_name="fake-model", model_engine="fake", model_uid="quick", tokens=1)
        run(compare("Small requests", _ways(free, locked), arguments.rounds, arguments.requests))
        print(f"  (target: at least {SHARE:g} of open)")


def _ways(free: House, locked: House) -> list[Way]:
    plain = locked.ask("POST", "/v1/keys", {"name": "plain"})["key"]
    budgets = {"models": ["quick"], "requests_per_minute": 10**9, "tokens_per_day": 10**12}
    bounded = locked.ask("POST", "/v1/keys", {"name": "bounded", **budgets})["key"]
    return [
        Way("open", free, _chat("")),
        Way("open, a key sent", free, _chat(plain)),
        Way("keys", locked, _chat(plain)),
        Way("keys, models and budgets", locked, _chat(bounded)),
    ]


def _chat(key: str) -> bytes:
    request = make_request(CHAT, {"model": "quick", "messages": [{"role": "user", "content": "hello"}]})
    line, _, rest = request.partition(b"\r\n")
    return line + b"\r\n" + (f"Authorization: Bearer {key}\r\n".encode() if key else b"") + rest


if __name__ == "__main__":
    main()
