"""LoRA weights, loaded beside a model by peft. Imported only where there are any: peft takes a quarter of a second."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence as Rows
from pathlib import Path
from typing import Any

import peft
from peft.tuners.lora import LoraLayer
from peft.utils.other import AuxiliaryTrainingWrapper

from enginehouse.sdk import LaunchFailed

from .adapters import Adapters
from .options import Lora

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_SHOWN = 3  # names of weights that fit nowhere; the rest is counted

_log = logging.getLogger(__name__)


def load_adapters(model: Any, loras: Rows[Lora]) -> Adapters:
    """Loads LoRA weights into `model`, one or more. Raises LaunchFailed that names the adapter and what to do."""
    wrapped: Any = None
    known = {lora.lora_name: f"lora{index}" for index, lora in enumerate(loras)}  # peft's may not hold a dot
    for lora in loras:
        config = _config(lora)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it warns of is checked below, and an error here
                if wrapped is None:
                    wrapped = peft.PeftModel(model, config, adapter_name=known[lora.lora_name])
                found = wrapped.load_adapter(_folder(lora), known[lora.lora_name], torch_device=str(model.device))
        except Exception as error:  # peft is foreign code
            raise LaunchFailed(
                f"The LoRA {lora.lora_name!r} in {lora.local_path} does not fit this model: {error} "
                "Launch the model that it was trained on, or leave the LoRA out."
            ) from error
        _check(lora, found)
    wrapped.eval()
    touched = [each for each in model.modules() if isinstance(each, LoraLayer | AuxiliaryTrainingWrapper)]
    adapters = Adapters(wrapped.base_model, touched, known)
    _log.info("LoRA weights: %s.", ", ".join(adapters.names))
    return adapters


def _folder(lora: Lora) -> Path:
    return Path(lora.local_path).expanduser()


def _config(lora: Lora) -> Any:
    """The adapter's configuration. Files are looked for here: for those that are missing peft would ask a hub."""
    folder = _folder(lora)
    if not folder.is_dir():
        raise LaunchFailed(f"The LoRA {lora.lora_name!r} cannot be loaded: there is no folder {lora.local_path}.")
    if not (folder / CONFIG).is_file() or not any((folder / name).is_file() for name in WEIGHTS):
        raise LaunchFailed(
            f"The LoRA {lora.lora_name!r} cannot be loaded: {lora.local_path} does not hold {CONFIG} and {WEIGHTS[0]}, "
            "as peft's save_pretrained writes them."
        )
    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
    except Exception as error:  # peft is foreign code
        raise LaunchFailed(f"{folder / CONFIG} of the LoRA {lora.lora_name!r} cannot be read: {error}") from error
    if config.peft_type != peft.PeftType.LORA:
        kind = getattr(config.peft_type, "value", config.peft_type)
        raise LaunchFailed(f"{lora.local_path} holds an adapter of type {kind}, not LORA; only LoRA can be loaded.")
    config.inference_mode = True
    return config


def _check(lora: Lora, found: Any) -> None:
    odd = list(found.unexpected_keys)
    if odd:
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        raise LaunchFailed(
            f"The LoRA {lora.lora_name!r} in {lora.local_path} was made for another model: this one has no place for "
            f"{', '.join(odd[:_SHOWN])}{more}. Launch the model that it was trained on."
        )
