"""Train Stoker: `python -m enginehouse_miniatures.stoker.train --out DIR --minutes N`."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, distributed

from .batches import NOT_LEARNED, Block, Packer
from .corpus.mixture import long_stream, training_stream
from .model import Network, Shape, load_weights, save_model
from .muon import Muon
from .tokenizer import CONTEXT, save_tokenizer, train_tokenizer

BLOCK_TOKENS = 6144
"""Tokens of a step, all workers together."""
LENGTHS = (256, 256, 256, 512, 256, 256, 256, 512, 256, CONTEXT)
"""Tokens of a row, step by step: most dialogues are short, and attention costs the square."""
TOKENIZER = "tokenizer.json"
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
    start: Path | None = None
    rate: float = 1.0
    shape: Shape = field(default_factory=Shape)

    @property
    def workers(self) -> int:
        """Processes that share the work: one a thread on a CPU, since threads that meet after every operation wait."""
        return self.threads if self.device == "cpu" else 1


def rate_at(progress: float, step: int) -> float:
    """Share of the full learning rate: a short rise, a long plain, and a straight fall over the last half."""
    return min(1.0, (step + 1) / 100, max(0.0, (1.0 - progress) * 2))


class Trainer:
    """The network with its optimizers and its clock."""

    def __init__(self, order: Order) -> None:
        torch.manual_seed(order.seed)
        self.order = order
        self.network = Network(order.shape).to(order.device)
        if order.start:
            load_weights(self.network, order.start)
        self.run = torch.compile(self.network, dynamic=False) if order.compiled else self.network
        matrices = [p for name, p in self.network.named_parameters() if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in self.network.named_parameters() if p.ndim != 2 or "embed" in name]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
        self.started = time.monotonic()
        self.steps, self.progress, self.recent = 0, 0.0, 0.0

    @property
    def minutes(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.started) / 60

    def loss(self, block: Block) -> Tensor:
        """Mean surprise per learned token, in nats."""
        with torch.autocast(self.order.device, torch.bfloat16):
            hidden = self.run(block.tokens, block.mask())
        learned = block.targets != NOT_LEARNED
        with torch.autocast(self.order.device, torch.bfloat16):
            scores = F.linear(hidden[learned], self.network.embed_tokens.weight)
        return F.cross_entropy(scores.float(), block.targets[learned])

    def step(self, block: Block) -> None:
        """One update from the blocks of all workers; afterwards `progress` and `recent` (loss) are new."""
        loss = self.loss(block.to(self.order.device))
        loss.backward()  # type: ignore[no-untyped-call]
        value, self.progress = self._agree(float(loss.detach()), self.minutes / self.order.minutes)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._update(self.order.rate * rate_at(self.progress, self.steps))
        self.recent = 0.98 * self.recent + 0.02 * value if self.steps else value
        self.steps += 1

    def _agree(self, *numbers: float) -> list[float]:
        """Give every worker the mean of all gradients and of all `numbers`."""
        if self.order.workers == 1:
            return list(numbers)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        message = torch.cat([*(gradient.flatten() for gradient in gradients), torch.tensor(numbers)])
        distributed.all_reduce(message)
        message /= self.order.workers
        sizes = [*(gradient.numel() for gradient in gradients), len(numbers)]
        pieces = message.split(sizes)  # type: ignore[no-untyped-call]
        for gradient, mean in zip(gradients, pieces[:-1], strict=True):
            gradient.copy_(mean.view_as(gradient))
        return [float(number) for number in pieces[-1]]

    def _update(self, share: float) -> None:
        self.muon.step(MUON_RATE * share)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * share
        self.adam.step()
        self.network.zero_grad(set_to_none=True)


def blocks(tokenizer: Tokenizer, order: Order, worker: int) -> Iterator[Block]:
    """Blocks without end, their rows as long as `LENGTHS` says; rows of full length hold long conversations."""
    seed = order.seed + 1000 * worker
    streams = {256: training_stream(seed), 512: training_stream(seed + 1), CONTEXT: long_stream(seed)}
    packers = {length: Packer(tokenizer, stream) for length, stream in streams.items()}
    for length in cycle(LENGTHS):
        yield packers[length].block(BLOCK_TOKENS // order.workers // length, length)


def say(line: str) -> None:
    """Write a line at once, also into a log file."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def train(order: Order) -> None:
    """Make the tokenizer, then train until the time is up."""
    order.out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(order.start / TOKENIZER)) if order.start else train_tokenizer()
    save_tokenizer(tokenizer, order.out)
    if order.workers == 1:
        return work(0, order, "")
    with TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        torch.multiprocessing.spawn(work, (order, meeting), order.workers)  # type: ignore[attr-defined,no-untyped-call]


def is_orphan() -> bool:
    """Whether this is a worker whose starter was killed."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def work(worker: int, order: Order, meeting: str) -> None:
    """One worker's part; the first also saves a checkpoint every hundred seconds.

    `meeting` is where the workers find each other; empty when there is only one.
    """
    if meeting:
        torch.set_num_threads(1)
        distributed.init_process_group("gloo", meeting, rank=worker, world_size=order.workers)
    trainer = Trainer(order)
    saved = 0.0
    for block in blocks(Tokenizer.from_file(str(order.out / TOKENIZER)), order, worker):
        trainer.step(block)
        if worker == 0 and (trainer.minutes - saved > 1.6 or trainer.progress >= 1):
            saved = trainer.minutes
            save_model(trainer.network, order.shape, order.out)
            say(f"{saved:6.1f} min  step {trainer.steps}  loss {trainer.recent:.4f}")
        if trainer.progress >= 1 or is_orphan():
            break
    if meeting:
        distributed.destroy_process_group()


def read_order() -> Order:
    """The order given on the command line."""
    parser = argparse.ArgumentParser(description="Train Stoker, the miniature chat model.")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and tokenizer")
    parser.add_argument("--minutes", type=float, default=60, help="how long to train")
    parser.add_argument("--threads", type=int, default=2, help="CPU cores to use")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-compile", action="store_true", help="do without torch.compile and its C++ compiler")
    parser.add_argument(
        "--start", type=Path, help="a folder to go on from, with its tokenizer, instead of from nothing"
    )
    parser.add_argument("--rate", type=float, default=1.0, help="share of the usual learning rates")
    given = parser.parse_args()
    compiled = not given.no_compile
    return Order(given.out, given.minutes, given.threads, given.device, given.seed, compiled, given.start, given.rate)


if __name__ == "__main__":
    train(read_order())
