"""llama-cpp-python on one file, as quick as it is without batching: no HTTP, greedy, one answer at a time.

python benchmarks/plain_llama_cpp_python.py FILE CONTEXT THREADS

Runs in an interpreter that has it. Reads lines "CALLERS TOKENS PROMPT", prints for each how many seconds that many
threads needed for an answer each, of so many tokens.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Lock
from time import perf_counter

from llama_cpp import Llama  # type: ignore[import-not-found]


def main() -> None:
    file, context, threads = sys.argv[1], *map(int, sys.argv[2:])
    model = Llama(file, n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False)
    lock = Lock()  # a model serves one caller at a time

    def answer(prompt: str, tokens: int) -> bytes:
        with lock:
            ids = model.tokenize(prompt.encode(), special=True)
            made = list(islice(model.generate(ids, temp=0), tokens))  # goes on behind the end, as is asked of all here
            text: bytes = model.detokenize(made)
            return text

    for line in sys.stdin:
        callers, tokens, prompt = line.rstrip("\n").split(" ", 2)
        with ThreadPoolExecutor(int(callers)) as pool:
            began = perf_counter()
            list(pool.map(lambda _, prompt=prompt, tokens=int(tokens): answer(prompt, tokens), range(int(callers))))
            print(perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
