"""Calls of models that work on images and videos. Each function is a method of a handle.

kwargs are options of the model; they travel as one field of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..call import UNBOUNDED, Call, File, Json, Part, as_is, as_object, fields, upload


def text_to_image(
    model_uid: str, /, prompt: str, n: int = 1, size: str = "1024*1024", response_format: str = "url", **kwargs: Any
) -> Call[Json]:
    """Images from a text: {"created", "data": [{"url", "b64_json"}]}. size: width*height; response_format: url or
    b64_json."""
    body = _picture(model_uid, prompt, n, kwargs, size, response_format)
    return _ask("make the images", "/v1/images/generations", body)


def image_to_image(
    model_uid: str,
    /,
    image: File | list[File],
    prompt: str,
    negative_prompt: str | None = None,
    n: int = 1,
    size: str | None = None,
    response_format: str = "url",
    **kwargs: Any,
) -> Call[Json]:
    """Images from one image, or several, and a text."""
    form = _picture(model_uid, prompt, n, kwargs, size, response_format) | {"negative_prompt": negative_prompt}
    files = [upload("image", one, "image") for one in _several(image)]
    return _send("vary the images", "/v1/images/variations", form, files)


def image_edit(
    model_uid: str,
    /,
    images: File | list[File],
    prompt: str,
    mask: File | None = None,
    n: int = 1,
    size: str | None = None,
    response_format: str = "url",
    **kwargs: Any,
) -> Call[Json]:
    """An image, changed as a text says. mask: white where it may change. Further images are looked at, not changed."""
    form = _picture(model_uid, prompt, n, kwargs, size, response_format)
    if isinstance(images, list):
        files = [upload("images[]", one, f"image_{number}") for number, one in enumerate(_several(images))]
    else:
        files = [upload("images", images, "image")]
    if mask is not None:
        files.append(upload("mask", mask, "mask"))
    return _send("edit the images", "/v1/images/edits", form, files)


def inpainting(
    model_uid: str,
    /,
    image: File,
    mask_image: File,
    prompt: str,
    negative_prompt: str | None = None,
    n: int = 1,
    size: str | None = None,
    response_format: str = "url",
    **kwargs: Any,
) -> Call[Json]:
    """An image, painted anew where the mask is white."""
    form = _picture(model_uid, prompt, n, kwargs, size, response_format) | {"negative_prompt": negative_prompt}
    files = [upload("image", image, "image"), upload("mask_image", mask_image, "mask_image")]
    return _send("inpaint the image", "/v1/images/inpainting", form, files)


def ocr(model_uid: str, /, image: File, **kwargs: Any) -> Call[Any]:
    """The text of an image or a PDF."""
    form = {"model": model_uid, "kwargs": json.dumps(kwargs)}
    return _send("read the image", "/v1/images/ocr", form, [upload("image", image, "image")], as_is)


def text_to_video(model_uid: str, /, prompt: str, n: int = 1, **kwargs: Any) -> Call[Json]:
    """Videos from a text: {"created", "data": [{"url", "b64_json"}]}."""
    body = _made(model_uid, prompt, n, kwargs)
    return _ask("make the video", "/v1/video/generations", body)


def image_to_video(
    model_uid: str,
    /,
    image: File,
    prompt: str,
    negative_prompt: str | None = None,
    n: int = 1,
    video: File | None = None,
    **kwargs: Any,
) -> Call[Json]:
    """Videos from an image and a text. video: whose movements the one in the image makes."""
    form = _made(model_uid, prompt, n, kwargs) | {"negative_prompt": negative_prompt}
    files = [upload("image", image, "image")]
    if video is not None:
        files.append(upload("video", video, "video"))
    return _send("make the video from the image", "/v1/video/generations/image", form, files)


def flf_to_video(
    model_uid: str,
    /,
    first_frame: File,
    last_frame: File,
    prompt: str,
    negative_prompt: str | None = None,
    n: int = 1,
    **kwargs: Any,
) -> Call[Json]:
    """Videos between a first and a last image."""
    form = _made(model_uid, prompt, n, kwargs) | {"negative_prompt": negative_prompt}
    files = [upload("first_frame", first_frame, "image"), upload("last_frame", last_frame, "image")]
    return _send("make the video from its ends", "/v1/video/generations/flf", form, files)


def _made(model_uid: str, prompt: str, n: int, kwargs: Json) -> Json:
    return {"model": model_uid, "prompt": prompt, "n": n, "kwargs": json.dumps(kwargs)}


def _picture(model_uid: str, prompt: str, n: int, kwargs: Json, size: str | None, response_format: str) -> Json:
    return _made(model_uid, prompt, n, kwargs) | {"size": size, "response_format": response_format}


def _several(images: File | list[File]) -> list[File]:
    if images == []:
        raise ValueError("There is no image; give at least one.")
    return images if isinstance(images, list) else [images]


def _ask(action: str, path: str, body: Json) -> Call[Json]:
    return Call(action=action, method="POST", path=path, body=body, read_seconds=UNBOUNDED, decode=as_object)


def _send(action: str, path: str, form: Json, files: Iterable[Part], decode: Any = as_object) -> Call[Any]:
    parts = (*fields(form), *files)
    return Call(action=action, method="POST", path=path, parts=parts, read_seconds=UNBOUNDED, decode=decode)
