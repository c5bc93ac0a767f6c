"""The launchers that ship, on tiny models made here."""

from __future__ import annotations

import io
import json
import pickle
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import numpy
import onnx
import pytest
import skops.io
import torch
import transformers
from onnx import TensorProto, helper
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from enginehouse.sdk import BadRequest, EngineContext, LaunchFailed
from enginehouse_flexible.building import build
from enginehouse_flexible.model import Call
from enginehouse_flexible.options import FlexibleOptions

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "is", "this", "about", "."]


def load(name: str, weights: Path | None, *, trusts: bool = False, **arguments: Any) -> Any:
    """A model as the engine builds it."""
    context = EngineContext(
        model_uid="tiny",
        model_path=weights or Path("/nowhere/at/all"),
        device="cpu",
        options=FlexibleOptions(rest=arguments),
        trust_remote_code=trusts,
        launcher=f"enginehouse_flexible.launchers.{name}:launcher",
    )
    model = build(context)
    model.load()
    return model


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format="PNG")
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer and the size of a tiny BERT; each test saves the head that it needs beside it."""
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def save_bert(folder: Path, head: str, labels: list[str]) -> Path:
    torch.manual_seed(0)
    names = dict(enumerate(labels))
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label=names,
        label2id={label: number for number, label in names.items()},
    )
    getattr(transformers, head)(config).save_pretrained(folder)
    return folder


def test_text_classification(bert: Path) -> None:
    save_bert(bert, "BertForSequenceClassification", ["dull", "fine"])
    model = load("transformers", bert, task="text-classification")
    (found,) = model.infer("this film is good", top_k=None)[:1]
    assert found["label"] in ("dull", "fine") and 0.5 <= found["score"] <= 1
    assert sum(each["score"] for each in model.infer("bad", top_k=None)) == pytest.approx(1)


def test_zero_shot_classification(bert: Path) -> None:
    save_bert(bert, "BertForSequenceClassification", ["contradiction", "neutral", "entailment"])
    model = load("transformers", bert, task="zero-shot-classification")
    found = model.infer("this film is good", candidate_labels=["film", "bad"], hypothesis_template="this is about {}.")
    assert sorted(found["labels"]) == ["bad", "film"] and sum(found["scores"]) == pytest.approx(1)


def test_token_classification(bert: Path) -> None:
    save_bert(bert, "BertForTokenClassification", ["WORD", "OTHER"])
    model = load("transformers", bert, task="token-classification")
    found = model.infer("good film")
    assert [each["word"] for each in found] == ["good", "film"]
    assert {each["entity"] for each in found} <= {"WORD", "OTHER"}


def test_image_classification(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=16,
        id2label={0: "day", 1: "night"},
        label2id={"day": 0, "night": 1},
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    size = {"height": 32, "width": 32}
    preprocessing = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": size}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    model = load("transformers", tmp_path, task="image-classification")
    found = model.infer(picture((250, 250, 250)))
    assert {each["label"] for each in found} == {"day", "night"}
    assert found == model.infer(inputs=picture((250, 250, 250))) != model.infer(picture((0, 0, 90)))
    with pytest.raises(BadRequest, match="missing a required argument: 'inputs'"):
        model.infer(pictures=picture((250, 250, 250)))


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/secret.png", "/etc/passwd", "file:///etc/passwd"])
def test_what_lies_on_the_servers_side_is_not_opened(tmp_path: Path, reference: str) -> None:
    from enginehouse_flexible.files import with_files

    for arguments in (reference, [reference], {"messages": [{"content": [{"url": reference}]}]}):
        with pytest.raises(BadRequest, match="an address or a path of the server's side"):
            with_files(arguments)
    assert with_files(["a question about /etc or http", 5, None]) == ["a question about /etc or http", 5, None]


def test_unknown_tasks_and_missing_weights_are_named(bert: Path) -> None:
    with pytest.raises(LaunchFailed, match=r"no pipeline 'mind-reading'.*text-classification"):
        load("transformers", bert, task="mind-reading")
    with pytest.raises(LaunchFailed, match="needs weights"):
        load("transformers", None, task="text-classification")


def save_onnx(file: Path, nodes: list[Any], shape: list[Any], output: list[Any], constants: Any = ()) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        list(constants),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))
    return file


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"])]
    return save_onnx(tmp_path_factory.mktemp("onnx") / "m.onnx", nodes, ["n", 2], ["n", 2], [two])


def test_onnx(doubling: Path) -> None:
    for place in (doubling, doubling.parent):
        model = load("onnx", place, intra_op_num_threads=1)
        assert model.infer({"x": [[1, 2], [3.5, 4]]})["y"].tolist() == [[2, 4], [7, 8]]
    assert list(model.infer(inputs={"x": [[1, 2]]}, outputs=["y"])) == ["y"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"inputs": {"z": [[1, 2]]}}, "exactly these names: x"),
        ({"inputs": [[1, 2]]}, "exactly these names: x"),
        ({"inputs": {"x": [[1, 2], [3]]}}, "no tensor of float"),
        ({"inputs": {"x": [["one", "two"]]}}, "no tensor of float"),
        ({"inputs": {"x": [[1, 2, 3]]}}, "refuses these inputs"),
        ({"inputs": {"x": [[1, 2]]}, "outputs": ["w"]}, r"no outputs \['w'\]"),
    ],
)
def test_onnx_says_what_is_wrong_with_inputs(doubling: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        load("onnx", doubling).infer(**arguments)


def test_files_that_are_no_onnx_are_named(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(LaunchFailed, match="cannot open"):
        load("onnx", tmp_path)
    (tmp_path / "n.onnx").write_bytes(b"")
    with pytest.raises(LaunchFailed, match=r"m\.onnx, n\.onnx"):
        load("onnx", tmp_path)


@pytest.fixture(scope="module")
def estimator() -> Any:
    rows = numpy.array([[0.0, 0.1], [0.2, 0.0], [0.9, 1.0], [1.0, 0.8]])
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, ["low", "low", "high", "high"])


def test_sklearn(tmp_path: Path, estimator: Any) -> None:
    skops.io.dump(estimator, tmp_path / "m.skops")
    model = load("sklearn", tmp_path)
    rows = [[0.1, 0.1], [0.9, 0.9]]
    assert model.infer(rows).tolist() == ["low", "high"]
    assert numpy.allclose(model.infer(rows, method="predict_proba"), estimator.predict_proba(rows))
    calls = [Call(([rows[0]],), {}), Call((rows,), {"method": "predict"})]
    assert [each.tolist() for each in model.infer_batch(calls)] == [["low"], ["low", "high"]]
    mixed = model.infer_batch([Call((rows,), {}), Call(([[1, 2, 3]],), {})])
    assert mixed[0].tolist() == ["low", "high"] and isinstance(mixed[1], ValueError)
    for arguments, said in (
        ((rows, "__class__"), "no method"),
        (([],), "at least one"),
        (([[1], [1, 2]],), "one width"),
    ):
        with pytest.raises(BadRequest, match=said):
            model.infer(*arguments)


def test_an_estimator_with_types_that_nobody_vouched_for_is_refused(tmp_path: Path) -> None:
    skops.io.dump(make_pipeline(FunctionTransformer(json.dumps)), tmp_path / "m.skops")
    unknown = skops.io.get_untrusted_types(file=tmp_path / "m.skops")
    assert unknown
    with pytest.raises(LaunchFailed, match="nobody vouched for"):
        load("sklearn", tmp_path / "m.skops")
    assert load("sklearn", tmp_path / "m.skops", trusted=unknown)


def test_pickles_run_what_is_in_them_and_are_read_only_when_the_launch_says_so(tmp_path: Path, estimator: Any) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(estimator))
    with pytest.raises(LaunchFailed, match="is a pickle, which runs whatever is in it"):
        load("sklearn", tmp_path / "m.pkl")
    assert load("sklearn", tmp_path / "m.pkl", trusts=True).infer([[0.9, 0.9]]).tolist() == ["high"]


@pytest.fixture(scope="module")
def brightness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model by which the brighter a pixel, the more it is in front."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)]
    return save_onnx(tmp_path_factory.mktemp("mask") / "m.onnx", nodes, [1, 3, 16, 16], [1, 1, 16, 16])


def half_and_half() -> str:
    """White to the left, black to the right."""
    drawn = Image.new("RGB", (64, 32), (0, 0, 0))
    drawn.paste((255, 255, 255), (0, 0, 32, 32))
    buffer = io.BytesIO()
    drawn.save(buffer, format="PNG")
    return b64encode(buffer.getvalue()).decode()


def read(answer: dict[str, Any]) -> Image.Image:
    assert answer["url"] is None
    return Image.open(io.BytesIO(b64decode(answer["b64_json"])))


def test_backgrounds_are_removed(brightness: Path) -> None:
    model = load("image_process", brightness, task="remove_background")
    cut = read(model.infer(half_and_half()))
    assert (cut.mode, cut.size, cut.format) == ("RGBA", (64, 32), "PNG")
    assert cut.getpixel((5, 16))[3] == 255 and cut.getpixel((60, 16))[3] == 0
    inverted = read(model.infer(image=half_and_half(), invert=True))
    assert inverted.getpixel((5, 16))[3] == 0 and inverted.getpixel((60, 16))[3] == 255
    mask = read(model.infer(image=half_and_half(), only_mask=True, image_format="JPEG"))
    assert (mask.mode, mask.format) == ("L", "JPEG") and mask.getpixel((5, 16)) > 250
    even = read(model.infer(picture((255, 255, 255)), only_mask=True))
    assert even.size == (32, 32)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"image": "not base64!"}, "neither base64"),
        ({"image": b64encode(b"no picture").decode()}, "cannot be read"),
        ({"image": 5}, "given as int"),
        ({"image": picture((0, 0, 0)), "image_format": "JPEG"}, "no transparency"),
    ],
)
def test_pictures_that_are_none_are_named(brightness: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        load("image_process", brightness).infer(**arguments)


def test_image_process_has_one_task(brightness: Path) -> None:
    with pytest.raises(LaunchFailed, match="no task 'sharpen'; it has remove_background"):
        load("image_process", brightness, task="sharpen")
