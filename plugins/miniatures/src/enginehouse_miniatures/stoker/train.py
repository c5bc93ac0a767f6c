"""Train Stoker from nothing: `python -m enginehouse_miniatures.stoker.train --out DIR --minutes N`."""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from .batches import NOT_LEARNED, Block, Packer
from .corpus.mixture import long_stream, training_stream
from .model import Network, Shape, save_model
from .muon import Muon
from .tokenizer import CONTEXT, save_tokenizer, train_tokenizer

BLOCK_TOKENS = 8192
"""Tokens of a step."""
LENGTHS = (256, 256, 256, 512, 256, 256, 256, 512, 256, CONTEXT)
"""Tokens of a row, step by step: most dialogues are short, and attention costs the square."""
MUON_RATE, ADAM_RATE = 0.02, 0.003


@dataclass(frozen=True)
class Order:
    """What to train: where to, how long, on what."""

    out: Path
    minutes: float
    threads: int
    device: str
    seed: int
    compiled: bool
    shape: Shape = field(default_factory=Shape)


def rate_at(progress: float, step: int) -> float:
    """Share of the full learning rate: a short rise, a long plain, and a straight fall over the last half."""
    return min(1.0, (step + 1) / 100, max(0.0, (1.0 - progress) * 2))


class Trainer:
    """The network with its optimizers and its clock."""

    def __init__(self, order: Order) -> None:
        torch.manual_seed(order.seed)
        self.order = order
        self.network = Network(order.shape).to(order.device)
        self.run = torch.compile(self.network, dynamic=False) if order.compiled else self.network
        matrices = [p for name, p in self.network.named_parameters() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in self.network.named_parameters() if p.ndim != 2 or "embed" in name]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
        self.started = time.monotonic()
        self.steps = 0

    @property
    def progress(self) -> float:
        """Share of the allowed time that is gone."""
        return (time.monotonic() - self.started) / (60 * self.order.minutes)

    def loss(self, block: Block) -> Tensor:
        """Mean surprise per learned token, in nats."""
        with torch.autocast(self.order.device, torch.bfloat16):
            hidden = self.run(block.tokens, block.mask())
        learned = block.targets != NOT_LEARNED
        with torch.autocast(self.order.device, torch.bfloat16):
            scores = F.linear(hidden[learned], self.network.embed_tokens.weight)
        return F.cross_entropy(scores.float(), block.targets[learned])

    def step(self, block: Block) -> float:
        """One update; returns the loss before it."""
        loss = self.loss(block.to(self.order.device))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._update(rate_at(self.progress, self.steps))
        self.steps += 1
        return float(loss.detach())

    def _update(self, share: float) -> None:
        self.muon.step(MUON_RATE * share)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * share
        self.adam.step()
        self.network.zero_grad(set_to_none=True)


def blocks(tokenizer: Tokenizer, seed: int) -> Iterator[Block]:
    """Blocks without end, their rows as long as `LENGTHS` says; rows of full length hold long conversations."""
    streams = {256: training_stream(seed), 512: training_stream(seed + 1), CONTEXT: long_stream(seed)}
    packers = {length: Packer(tokenizer, stream) for length, stream in streams.items()}
    for length in cycle(LENGTHS):
        yield packers[length].block(BLOCK_TOKENS // length, length)


def say(line: str) -> None:
    """Write a line at once, also into a log file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def train(order: Order) -> None:
    """Train until the time is up, with a checkpoint every hundred seconds."""
    torch.set_num_threads(order.threads)
    order.out.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    save_tokenizer(tokenizer, order.out)
    trainer = Trainer(order)
    saved, recent = 0.0, 0.0
    for block in blocks(tokenizer, order.seed):
        loss = trainer.step(block)
        recent = loss if trainer.steps == 1 else 0.98 * recent + 0.02 * loss
        passed = time.monotonic() - trainer.started
        if passed - saved > 100 or trainer.progress >= 1:
            saved = passed
            save_model(trainer.network, order.shape, order.out)
            say(f"{passed / 60:6.1f} min  step {trainer.steps}  loss {recent:.4f}")
        if trainer.progress >= 1:
            return


def read_order() -> Order:
    """The order given on the command line."""
    parser = argparse.ArgumentParser(description="Train Stoker, the miniature chat model.")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and tokenizer")
    parser.add_argument("--minutes", type=float, default=60, help="how long to train")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-compile", action="store_true", help="do without torch.compile and its C++ compiler")
    given = parser.parse_args()
    return Order(given.out, given.minutes, given.threads, given.device, given.seed, not given.no_compile)


if __name__ == "__main__":
    train(read_order())
