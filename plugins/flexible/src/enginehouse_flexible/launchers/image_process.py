"""Pictures without their background, by an ONNX model that says of each pixel how much it is in front.

Such models (U²-Net, IS-Net, BiRefNet, ...) take one picture, (1, 3, H, W), and give masks, the first of which is the
finest, (1, 1, H, W).
"""

from __future__ import annotations

from typing import Any

import numpy
from PIL import Image, ImageOps

from enginehouse.sdk import BadRequest, LaunchFailed
from enginehouse_flexible.files import read_picture
from enginehouse_flexible.model import FlexibleModel, FlexibleModelSpec
from enginehouse_flexible.onnx_sessions import open_session
from enginehouse_flexible.values import picture_as_json

SIZE = 320  # pixels a side, of models that do not say: what U²-Net was trained with
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures, as these models expect
TASK = "remove_background"


class BackgroundRemover(FlexibleModel):
    """config: `task`, `mean`, `std` and `size` where the model wants others, and those of `open_session`."""

    def load(self) -> None:
        task = self._config.get("task", TASK)
        if task != TASK:
            raise LaunchFailed(f"The launcher image_process has no task {task!r}; it has {TASK}.")
        self._session = open_session(self._model_path, self._device, self._config)
        entry = self._session.get_inputs()[0]
        sides = [side for side in entry.shape[2:] if isinstance(side, int)]
        self._input = entry.name
        self._size = (sides[1], sides[0]) if len(sides) == 2 else (int(self._config.get("size", SIZE)),) * 2
        self._mean = numpy.asarray(self._config.get("mean", MEAN), dtype="float32")
        self._deviation = numpy.asarray(self._config.get("std", DEVIATION), dtype="float32")

    def infer(
        self, image: str, invert: bool = False, only_mask: bool = False, image_format: str = "PNG"
    ) -> dict[str, Any]:
        """The picture with a transparent background. image: base64 or a data URL.

        invert: the background stays instead. only_mask: the mask itself, grey. image_format: as Pillow names it.
        """
        if image_format.upper() not in ("PNG", "WEBP", "TIFF") and not only_mask:
            raise BadRequest(
                f"image_format {image_format!r} has no transparency; use PNG or WEBP.", param="image_format"
            )
        picture = ImageOps.exif_transpose(read_picture(image))
        mask = self._mask(picture)
        if invert:
            mask = ImageOps.invert(mask)
        if only_mask:
            return picture_as_json(mask, image_format)
        cut = picture.convert("RGBA")
        cut.putalpha(mask)
        return picture_as_json(cut, image_format)

    def _mask(self, picture: Image.Image) -> Image.Image:
        pixels = numpy.asarray(picture.convert("RGB").resize(self._size, Image.Resampling.LANCZOS), dtype="float32")
        pixels = (pixels / max(float(pixels.max()), 1e-6) - self._mean) / self._deviation
        scores = self._session.run(None, {self._input: pixels.transpose(2, 0, 1)[None].astype("float32")})[0]
        front = numpy.asarray(scores, dtype="float32")[0, 0]
        low, high = float(front.min()), float(front.max())
        scaled = (front - low) / (high - low) if high > low else numpy.clip(front, 0.0, 1.0)
        mask = Image.fromarray((scaled * 255).astype("uint8"), mode="L")
        return mask.resize(picture.size, Image.Resampling.LANCZOS)


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> BackgroundRemover:
    device = config.pop("device", None) or model_spec.device
    return BackgroundRemover(model_uid, model_spec.model_uri, model_spec, device, config)
