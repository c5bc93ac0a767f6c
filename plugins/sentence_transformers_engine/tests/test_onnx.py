"""ONNX Runtime gives what PyTorch gives; the export is made once."""

from pathlib import Path

import numpy as np
import pytest

from enginehouse.sdk import EngineContext, LaunchFailed
from enginehouse_sentence_transformers.onnx_backend import export
from enginehouse_sentence_transformers.options import SentenceTransformersOptions

pytest.importorskip("onnxruntime", reason="pip install 'enginehouse-sentence-transformers[onnx]'")
pytest.importorskip("onnxscript", reason="pip install 'enginehouse-sentence-transformers[onnx]'")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENGINEHOUSE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "form",
    [
        "bert mean dense normalize",
        pytest.param("decoder lasttoken normalize", marks=pytest.mark.slow),  # an export takes ten seconds
        pytest.param("roberta mean normalize", marks=pytest.mark.slow),
    ],
)
async def test_vectors_agree(model_folder, start, embed, texts, home, form) -> None:
    folder, given = model_folder(form), texts(60)
    plain = await embed(start(folder), given)
    other = await embed(start(folder, backend="onnx"), given)
    assert (other.tokens, other.truncated) == (plain.tokens, plain.truncated)
    assert np.allclose(other.vectors, plain.vectors, atol=1e-4)
    assert (await embed(start(folder, backend="onnx"), ["a"])).vectors.shape[0] == 1
    assert len(list(home.glob("onnx/*/*"))) == 1


@pytest.mark.slow
async def test_scores_agree(model_folder, start, rank, texts, home) -> None:
    folder, documents = model_folder("bert-pair"), texts(40)
    plain = await rank(start(folder, "rerank"), "what is the cat", documents)
    other = await rank(start(folder, "rerank", backend="onnx"), "what is the cat", documents)
    assert np.allclose(other.vectors, plain.vectors, atol=1e-5)


@pytest.mark.slow
async def test_int8_is_nearly_the_same(model_folder, start, embed, texts, home) -> None:
    folder, given = model_folder("bert mean normalize"), texts(20)
    plain = (await embed(start(folder), given)).vectors
    small = (await embed(start(folder, backend="onnx", int8=True), given)).vectors
    assert (plain * small).sum(1).min() > 0.95


def test_an_export_that_fails_says_why(tmp_path) -> None:
    """By a real process, which finds no model in the folder."""
    context = EngineContext(
        model_uid="tiny",
        model_path=tmp_path,
        device="cpu",
        options=SentenceTransformersOptions(backend="onnx"),
        tasks=("embed",),
    )
    with pytest.raises(LaunchFailed, match=r"exported to ONNX: The model in .* could not be loaded.*backend=torch"):
        export(context, "last_hidden_state", tmp_path / "model.onnx")


def test_judges_stay_with_torch(model_folder, start, home) -> None:
    with pytest.raises(LaunchFailed, match="backend=torch"):
        start(model_folder("judge"), "rerank", backend="onnx")
