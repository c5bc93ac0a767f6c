"""Estimators of scikit-learn. Read by skops, which makes only what it knows or is told to trust; a pickle runs whatever
is in it, so that one is read only where the launch itself says `trust_remote_code`, which the server must allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy
from skops.io import get_untrusted_types, load  # type: ignore[import-untyped]

from enginehouse.sdk import BadRequest, LaunchFailed
from enginehouse_flexible.model import Call, FlexibleModel, FlexibleModelSpec

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")
_PICKLES = (".pkl", ".pickle", ".joblib")
_MOST_ROWS = 64  # calls that are joined: computing a few more rows costs nothing, waiting for many does


class Estimator(FlexibleModel):
    """config: `trusted`, names of types that the file may hold beside those that skops knows."""

    batch_size = _MOST_ROWS

    def load(self) -> None:
        file = _file_at(self._model_path)
        if file.suffix.lower() in _PICKLES:
            self._estimator = _unpickle(file, self.model_family.trust_remote_code)
            return
        trusted = list(self._config.get("trusted") or ())
        unknown = sorted(set(get_untrusted_types(file=file)) - set(trusted))
        if unknown:
            raise LaunchFailed(
                f"{file} holds types that nobody vouched for: {', '.join(unknown)}. Name them in launcher_args as "
                "`trusted`, if you trust who made the file."
            )
        self._estimator = load(file, trusted=trusted)

    def infer(self, X: Any, method: str = "predict") -> Any:
        """What a method of the estimator makes of rows of features."""
        return self._method(method)(_rows(X))

    def infer_batch(self, calls: Sequence[Call]) -> Sequence[Any]:
        """Calls of one method with rows of one width are computed together."""
        asked = [_asked(*call.args, **call.kwargs) for call in calls]
        if len({(method, rows.shape[1:], rows.dtype.kind) for rows, method in asked}) != 1:
            return [self._alone(rows, method) for rows, method in asked]
        ends = numpy.cumsum([len(rows) for rows, _ in asked])[:-1]
        method = self._method(asked[0][1])
        return list(numpy.split(numpy.asarray(method(numpy.concatenate([rows for rows, _ in asked]))), ends))

    def _alone(self, rows: Any, method: str) -> Any:
        try:
            return self._method(method)(rows)
        except Exception as error:  # noqa: BLE001 - the estimator's; it is told to its own caller alone
            return error

    def _method(self, name: str) -> Any:
        method = getattr(self._estimator, name, None) if name in METHODS else None
        if method is None:
            can = [each for each in METHODS if hasattr(self._estimator, each)]
            raise BadRequest(f"{type(self._estimator).__name__} has no method {name!r}; it has {can}.", param="method")
        return method


def _asked(X: Any, method: str = "predict") -> tuple[Any, str]:
    return _rows(X), method


def _rows(given: Any) -> Any:
    try:
        rows = numpy.asarray(given)
    except ValueError as error:
        raise BadRequest(f"The rows are not all of one width: {error}.", param="X") from error
    if rows.ndim < 1 or not len(rows):
        raise BadRequest("Give a list of rows, at least one.", param="X")
    return rows


def _unpickle(file: Path, is_trusted: bool) -> Any:
    if not is_trusted:
        raise LaunchFailed(
            f"{file} is a pickle, which runs whatever is in it. Keep the model with skops.io.dump instead; or launch "
            "with trust_remote_code, if you trust who made the file and the server allows that."
        )
    return joblib.load(file)


def _file_at(path: str | None) -> Path:
    if path is None:
        raise LaunchFailed("Say where the estimator lies: model_uri of the registration, a .skops file or its folder.")
    place = Path(path)
    files = [place] if place.is_file() else sorted(place.glob("*.skops"))
    if len(files) != 1:
        raise LaunchFailed(f"{place} holds {len(files)} files *.skops; name the one in model_uri.")
    return files[0]


def launcher(model_uid: str, model_spec: FlexibleModelSpec, **config: Any) -> Estimator:
    return Estimator(model_uid, model_spec.model_uri, model_spec, config.pop("device", None), config)
