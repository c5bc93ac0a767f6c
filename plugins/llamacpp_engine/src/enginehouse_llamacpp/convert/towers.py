"""Vision towers of models in LLaVA's form, and the two layers behind them: in llama.cpp's words a projector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gguf import MODEL_TENSOR, TENSOR_NAMES, GGUFType, GGUFWriter

from .errors import CannotConvert
from .layout import Source, Target

FEATURE_LAYER = "clip.vision.feature_layer"  # of which layer the features are; the package has no name for the key
RESCALE = 1 / 255
BICUBIC = 3  # Pillow's number for it
_PARTS = {
    "self_attn.q_proj": MODEL_TENSOR.V_ENC_ATTN_Q,
    "self_attn.k_proj": MODEL_TENSOR.V_ENC_ATTN_K,
    "self_attn.v_proj": MODEL_TENSOR.V_ENC_ATTN_V,
    "self_attn.out_proj": MODEL_TENSOR.V_ENC_ATTN_O,
    "mlp.fc1": MODEL_TENSOR.V_ENC_FFN_UP,
    "mlp.fc2": MODEL_TENSOR.V_ENC_FFN_DOWN,
    "layer_norm1": MODEL_TENSOR.V_ENC_INPUT_NORM,
    "layer_norm2": MODEL_TENSOR.V_ENC_POST_ATTN_NORM,
}
_WHOLE = {
    "embeddings.patch_embedding": Target("v.patch_embd", exact=True),
    "embeddings.position_embedding": Target("v.position_embd", exact=True),
    "multi_modal_projector.linear_1": Target("mm.0"),
    "multi_modal_projector.linear_2": Target("mm.2"),
}
_UNUSED = ("post_layernorm.", "head.")  # behind the layer whose features are taken
_GELUS = ("gelu", "gelu_pytorch_tanh", "gelu_new")  # llama.cpp has the curve by tanh for all; they differ by 0.0005
_DEFAULTS = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "num_channels": 3}  # of SigLIP's config.json


class Tower(NamedTuple):
    """A SigLIP tower. It reads `vision_config`, and of the model's config what lies between tower and words."""

    def write_sizes(self, writer: GGUFWriter, source: Source) -> None:
        config, vision = source.config, _vision(source)
        _check(config, vision)
        mean, deviation = _colours(source.folder, vision)
        layers = feature_layer(config, vision)
        writer.add_type(GGUFType.MMPROJ)
        writer.add_clip_has_vision_encoder(True)
        writer.add_clip_projector_type("mlp")
        writer.add_vision_use_gelu(True)
        writer.add_vision_image_size(_size(vision, "image_size"))
        writer.add_vision_patch_size(_size(vision, "patch_size"))
        writer.add_vision_embedding_length(_size(vision, "hidden_size"))
        writer.add_vision_feed_forward_length(_size(vision, "intermediate_size"))
        writer.add_vision_head_count(_size(vision, "num_attention_heads"))
        writer.add_vision_attention_layernorm_eps(vision["layer_norm_eps"])
        writer.add_vision_projection_dim(_size(config["text_config"], "hidden_size"))
        writer.add_vision_block_count(layers)
        writer.add_array(FEATURE_LAYER, [layers])  # else llama.cpp leaves out one layer more
        writer.add_vision_image_mean(mean)
        writer.add_vision_image_std(deviation)

    def write_vocabulary(self, writer: GGUFWriter, source: Source) -> None:
        """There is none."""

    def target_of(self, name: str, source: Source) -> Target | None:
        stem, _, kind = name.rpartition(".")
        if name.startswith(_UNUSED):
            return None
        if stem in _WHOLE and kind in ("weight", "bias"):
            found = _WHOLE[stem]
            return found._replace(name=f"{found.name}.{kind}")
        layer, _, part = stem.removeprefix("encoder.layers.").partition(".")
        if part not in _PARTS or not layer.isdigit() or kind not in ("weight", "bias"):
            raise CannotConvert(f"The tensor {name} has no place in a projector of this form.")
        if int(layer) >= feature_layer(source.config, _vision(source)):
            return None
        return Target(f"{TENSOR_NAMES[_PARTS[part]].format(bid=layer)}.{kind}")

    def needed(self, source: Source) -> Iterator[str]:
        yield from ("v.patch_embd.weight", "v.position_embd.weight")
        yield from (f"mm.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias"))
        yield from (f"v.blk.{layer}.attn_q.weight" for layer in range(feature_layer(source.config, _vision(source))))


def feature_layer(config: dict[str, Any], vision: dict[str, Any]) -> int:
    """Behind how many layers the features are taken. Raises CannotConvert."""
    said, layers = config.get("vision_feature_layer", -2), vision.get("num_hidden_layers")
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    if not isinstance(said, int) or not isinstance(layers, int):
        raise CannotConvert(f"Features of the layers {said!r} of {layers!r} are not converted here, only of one layer.")
    found = said if said >= 0 else layers + 1 + said
    if not 0 < found <= layers:
        raise CannotConvert(f"The tower has {layers} layers, so there is no layer {said}.")
    return found


def _vision(source: Source) -> dict[str, Any]:
    return {**_DEFAULTS, **(source.config.get("vision_config") or {})}


def _size(config: dict[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int):
        raise CannotConvert(f"config.json does not say {key!r} of the vision tower, or of what is behind it.")
    return value


def _check(config: dict[str, Any], vision: dict[str, Any]) -> None:
    kind = vision.get("model_type")
    if kind == "clip_vision_model":
        raise CannotConvert(
            "The vision tower is CLIP's. llama.cpp counts the places of its class token and patches one off (its issue "
            "25814), so the model would see wrongly; run it on another engine, or take a model with a SigLIP tower."
        )
    if kind != "siglip_vision_model":
        raise CannotConvert(f"Vision towers of type {kind!r} are not converted here; only SigLIP's.")
    strategy = config.get("vision_feature_select_strategy", "default")
    if strategy != "full":
        raise CannotConvert(f"The tower's first patch is left out ({strategy!r}), which a projector cannot say.")
    if config.get("multimodal_projector_bias", True) is not True:
        raise CannotConvert("The layers behind the tower have no bias, and llama.cpp does not do without.")
    for act in (vision["hidden_act"], config.get("projector_hidden_act", "gelu")):
        if act not in _GELUS:
            raise CannotConvert(f"The function {act!r} between layers is not converted here; {', '.join(_GELUS)} are.")


def _colours(folder: Path, vision: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and deviation of each colour, as images are prepared. Raises CannotConvert for another way to do it."""
    said = _preparation(folder)
    size = said.get("size") or {}
    factor = said.get("rescale_factor", RESCALE)
    wanted = {
        "do_resize": said.get("do_resize", True) is True,
        "do_rescale": said.get("do_rescale", True) is True,
        "do_normalize": said.get("do_normalize", True) is True,
        "rescale_factor": isinstance(factor, float) and abs(factor - RESCALE) < 1e-6,
        "resample": said.get("resample", BICUBIC) == BICUBIC,
        "size": {size.get("height"), size.get("width")} == {vision.get("image_size")},
        "image_mean": len(said.get("image_mean") or ()) == vision["num_channels"] == 3,
        "image_std": len(said.get("image_std") or ()) == vision["num_channels"] == 3,
    }
    if wrong := next((name for name, fits in wanted.items() if not fits), None):
        raise CannotConvert(
            f"{folder} prepares images in a way that a projector cannot say: {wrong}={said.get(wrong)}."
        )
    return list(said["image_mean"]), list(said["image_std"])


def _preparation(folder: Path) -> dict[str, Any]:
    """Of the image processor's file; transformers 5 has it in processor_config.json."""
    for name, key in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        try:
            said = json.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise CannotConvert(f"{folder / name} cannot be read: {error}.") from error
        found = said.get(key) if key else said
        if isinstance(found, dict):
            return found
    raise CannotConvert(f"{folder} has no preprocessor_config.json, which says how images are prepared; fetch it.")
