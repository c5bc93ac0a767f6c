"""The same work without a server: imports torch and transformers, loads a model, and answers prompts one at a time.

A child of the other benchmarks. It prints a line of JSON when the model is loaded, then reads lines of JSON
({"prompts": [...], "tokens": n}) and answers each with {"seconds": [...], "tokens": [...]}.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    folder, threads = sys.argv[1], int(sys.argv[2])
    if threads:
        torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    print(json.dumps({"ready": True, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(model, tokenizer, **json.loads(line))), flush=True)


def _answer(model: Any, tokenizer: Any, prompts: list[str], tokens: int) -> dict[str, list[float]]:
    seconds, counts = [], []
    for prompt in prompts:
        began = time.perf_counter()
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        tokenizer.decode(output[0, inputs.input_ids.shape[1] :])
        seconds.append(time.perf_counter() - began)
        counts.append(output.shape[1] - inputs.input_ids.shape[1])
    return {"seconds": seconds, "tokens": counts}


if __name__ == "__main__":
    main()
