"""The same work without a server: sentence-transformers in process. A child of embeddings.py.

Called with "embed" or "rerank" and a folder. It prints a line of JSON when the model is loaded, then reads lines of
JSON ({"texts": [...], "batch": n, "times": n}) and answers each with {"seconds": [...]}: of each time all texts.
For "rerank" the first text is the query.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer


def main() -> None:
    task, folder = sys.argv[1:3]
    model: Any = (SentenceTransformer if task == "embed" else CrossEncoder)(folder, device="cpu")
    print(json.dumps({"ready": True, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps({"seconds": [_timed(model, task, asked) for _ in range(asked["times"])]}), flush=True)


def _timed(model: Any, task: str, asked: dict[str, Any]) -> float:
    texts, batch = asked["texts"], asked["batch"]
    began = time.perf_counter()
    if task == "embed":
        model.encode(texts, batch_size=batch, show_progress_bar=False)
    else:
        query, *documents = texts
        model.predict([(query, document) for document in documents], batch_size=batch, show_progress_bar=False)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
