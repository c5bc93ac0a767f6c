"""Completions on the engine llama.cpp, against llama.cpp's own server on the same file, in turns of one run.

python benchmarks/llamacpp.py [--rounds 3] [--tokens 64] [--llama-cpp-python PYTHON]

With an interpreter that has llama-cpp-python, also against that, in process and without batching.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from bare import stoker_folder
from house import served
from load import Place, load, make_request, run
from tables import median, print_machine, print_table
from transformers import LlamaConfig, LlamaForCausalLM

TARGET = 0.95
PEER_TARGET = 1.7  # of llama-cpp-python without batching, 8 at a time
SLOTS, CONTEXT, THREADS = 32, 512, 1
CONCURRENCIES = (1, 8, 32)
WAVES = {"stoker": {1: 16, 8: 6, 32: 4}, "random": {1: 2, 8: 1, 32: 1}}  # of a run
PROMPT = "Count from 1 to 30."
SIZES: dict[str, Any] = {  # 61 million parameters
    "vocab_size": 1536, "hidden_size": 640, "intermediate_size": 1792, "num_hidden_layers": 12,
    "num_attention_heads": 10, "num_key_value_heads": 10, "max_position_embeddings": 1024,
    "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip


class Case(NamedTuple):
    """What is asked of whom: "server", "worker" (on its socket, without the gateway), "llama.cpp" itself, or
    "llama-cpp-python".
    """

    model: str
    stream: bool
    concurrency: int
    asked: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--models", nargs="+", choices=tuple(WAVES), default=tuple(WAVES))
    parser.add_argument("--concurrencies", nargs="+", type=int, choices=CONCURRENCIES, default=CONCURRENCIES)
    parser.add_argument("--llama-cpp-python", metavar="PYTHON", help="interpreter that has it")
    given = parser.parse_args()
    print_machine()
    seen: dict[Case, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in given.models:
            _measure(model, _file(model, Path(folder)), given, seen)
    _report(seen, given.tokens)


def _file(model: str, folder: Path) -> Path:
    """The model as a GGUF file, float32."""
    place, made = stoker_folder() if model == "stoker" else _random_model(folder / model), folder / f"{model}.gguf"
    command = [sys.executable, "-m", "enginehouse_llamacpp.convert", str(place), str(made), "--type", "f32"]
    subprocess.run(command, check=True)
    return made


def _random_model(folder: Path) -> Path:
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((stoker_folder() / name).read_bytes())
    return folder


def _measure(model: str, file: Path, given: argparse.Namespace, seen: dict[Case, list[float]]) -> None:
    options = {"n_parallel": SLOTS, "n_ctx": CONTEXT, "n_threads": THREADS}
    python = given.llama_cpp_python
    with served() as house, _own_server(file) as own, _peer(python, file) if python else nullcontext() as peer:
        worker = house.launch(model_name=model, model_uid=model, model_path=str(file), **options)
        places = {
            "server": Place("server", port=house.port),
            "worker": Place("worker", path=worker.socket),
            "llama.cpp": own,
        }
        for turn in range(given.rounds + 1):
            for stream in (False, True):
                for concurrency in given.concurrencies:
                    case = Case(model, stream, concurrency, "")
                    rates = {asked: run(_ask(place, case, given.tokens)) for asked, place in places.items()}
                    if peer is not None and not stream:
                        rates["llama-cpp-python"] = _ask_peer(peer, case, given.tokens)
                    for asked, rate in rates.items() if turn else ():  # the first round warms up
                        seen.setdefault(case._replace(asked=asked), []).append(rate)


@contextmanager
def _own_server(file: Path) -> Iterator[Place]:
    script = Path(__file__).with_name("plain_llamacpp.py")
    command = [sys.executable, str(script), str(file), *map(str, (SLOTS, CONTEXT, THREADS))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield Place("llama.cpp", port=int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


@contextmanager
def _peer(python: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("plain_llama_cpp_python.py")
    command = [python, str(script), str(file), str(CONTEXT), str(THREADS)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ask_peer(peer: subprocess.Popen[str], case: Case, tokens: int) -> float:
    """Tokens a second, in as many waves as the others."""
    assert peer.stdin is not None and peer.stdout is not None
    count, seconds = case.concurrency, 0.0
    for _ in range(WAVES[case.model][count]):
        print(count, tokens, PROMPT, file=peer.stdin, flush=True)
        seconds += float(peer.stdout.readline())
    return WAVES[case.model][count] * count * tokens / seconds


async def _ask(place: Place, case: Case, tokens: int) -> float:
    """Tokens a second; every answer has `tokens` of them, since nothing ends it before.

    In waves, each over connections of its own: llama.cpp's server closes them after a stream.
    """
    body = {
        "model": case.model,
        "prompt": PROMPT,
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": case.stream,
    }
    count, request = case.concurrency, make_request("/v1/completions", body)
    waves = [
        (await load(place, request, requests=count, concurrency=count)).seconds for _ in range(WAVES[case.model][count])
    ]
    return len(waves) * count * tokens / sum(waves)


def _report(seen: dict[Case, list[float]], tokens: int) -> None:
    rows = []
    for case, rates in seen.items():
        own = seen[case._replace(asked="llama.cpp")]
        share = median(rate / base for rate, base in zip(rates, own, strict=True))
        how = "streamed" if case.stream else "whole"
        rows.append((f"{case.model}, {how}, {case.concurrency} at a time, {case.asked}", median(rates), share))
    columns = ("", "tokens/s", "of llama.cpp's own server")
    print_table(f"Completions of {tokens} tokens, {SLOTS} slots (medians of rounds)", columns, rows)
    print(f"  target: the server at least {TARGET:g} of llama.cpp's own")
    _report_peer(seen)


def _report_peer(seen: dict[Case, list[float]]) -> None:
    for case, rates in seen.items():
        if case.asked == "llama-cpp-python":
            ours = seen[case._replace(asked="server")]
            share = median(mine / theirs for mine, theirs in zip(ours, rates, strict=True))
            print(f"  {case.model}, whole, {case.concurrency} at a time: {share:.2f} times llama-cpp-python")
            if case.concurrency == 8:
                print(f"  target: {PEER_TARGET:g} times at least")


if __name__ == "__main__":
    main()
