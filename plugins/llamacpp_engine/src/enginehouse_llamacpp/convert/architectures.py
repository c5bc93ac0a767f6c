"""Which architectures are converted."""

from __future__ import annotations

from typing import NamedTuple

from gguf import MODEL_ARCH

from .decoders import Decoder
from .encoders import Encoder
from .errors import CannotConvert
from .layout import TOOL, Config, Layout


class Architecture(NamedTuple):
    """arch: ggml's name for it. layout: how its models are written down."""

    arch: MODEL_ARCH
    layout: Layout


ARCHITECTURES = {
    "LlamaForCausalLM": Architecture(MODEL_ARCH.LLAMA, Decoder(pairs_neighbours=True)),
    "MistralForCausalLM": Architecture(MODEL_ARCH.LLAMA, Decoder(pairs_neighbours=True)),
    "Qwen2ForCausalLM": Architecture(MODEL_ARCH.QWEN2, Decoder(pairs_neighbours=False)),
    "Qwen3ForCausalLM": Architecture(MODEL_ARCH.QWEN3, Decoder(pairs_neighbours=False)),
    "BertModel": Architecture(MODEL_ARCH.BERT, Encoder(ranks=False)),
    "BertForSequenceClassification": Architecture(MODEL_ARCH.BERT, Encoder(ranks=True)),
}


def architecture_of(config: Config) -> Architecture:
    """Raises CannotConvert for one that is not in the table."""
    names = config.get("architectures") or ["(none named)"]
    found = ARCHITECTURES.get(names[0])
    if found is None:
        raise CannotConvert(
            f"The architecture {names[0]} is not converted here; known are {', '.join(ARCHITECTURES)}. {TOOL}"
        )
    return found
