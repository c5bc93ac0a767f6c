"""A model whose block pins an old transformers runs on the engine transformers, beside one with the server's own."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

OLD = "4.57."
DOCUMENT = {
    "version": 2,
    "model_name": "stoker-of-old",
    "model_family": "stoker",
    "model_lang": ["en"],
    "model_ability": ["chat", "tools"],
    "model_specs": [
        {
            "model_format": "pytorch",
            "model_size_in_billions": "0_0023",
            "quantization": "none",
            "model_uri": "package://enginehouse_miniatures/models/stoker",
        }
    ],
    "virtualenv": {"packages": [f"transformers=={OLD}*", "#system_torch#", "#system_numpy#"]},
}
PROMPT = [{"role": "user", "content": "What is the capital of France?"}]


def answer(server, uid: str, **fields: object) -> str:
    body = {"model": uid, "messages": PROMPT, "temperature": 0, "max_tokens": 24, **fields}
    told = server.client.post("/v1/chat/completions", json=body, timeout=60)
    assert told.status_code == 200, told.text
    return str(told.json()["choices"][0]["message"]["content"])


def test_old_pins_run_beside_the_servers_own(new_server) -> None:
    server = new_server()
    register = {"model": json.dumps(DOCUMENT), "persist": False}
    assert server.client.post("/v1/model_registrations/LLM", json=register).status_code == 200
    server.launch("stoker", model_engine="transformers")
    server.launch("stoker-of-old", model_uid="old", model_engine="transformers")
    [record] = server.client.get("/v1/environments").json()["environments"]
    shown = server.client.get(f"/v1/environments/{record['digest']}").json()
    versions = {one["name"]: one["version"] for one in shown["lock"]["packages"]}
    assert versions["transformers"].startswith(OLD) and not metadata.version("transformers").startswith(OLD)
    assert versions["torch"] == metadata.version("torch")
    used = Path(f"/proc/{server.pid('old')}/maps").read_text()
    assert f"{record['digest']}/lib" in used and "site-packages/torch" in used
    assert answer(server, "old") == answer(server, "stoker")
    assert answer(server, "old", guided_choice=["red", "green"]) in ("red", "green")
