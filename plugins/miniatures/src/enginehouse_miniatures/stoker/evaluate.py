"""Evaluate Stoker on what it never saw: `python -m enginehouse_miniatures.stoker.evaluate [DIR]`."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from .corpus.dialogue import Dialogue
from .corpus.mixture import EVALUATED, held_out, held_out_thinking
from .rendering import expected, prompt_text

SHIPPED = Path(__file__).parents[1] / "models" / "stoker"
OVERALL_FLOOR, SKILL_FLOOR = 0.95, 0.80
"""Least shares of exact answers, over all skills and for each."""


@dataclass(frozen=True)
class Mistake:
    """A held-out prompt with the answer wanted and the answer given."""

    prompt: str
    wanted: str
    given: str


@dataclass(frozen=True)
class Row:
    """The result for one skill."""

    skill: str
    count: int
    mistakes: tuple[Mistake, ...]

    @property
    def exact(self) -> float:
        """Share of answers that are right to the letter."""
        return 1 - len(self.mistakes) / self.count


class Examinee:
    """A saved model that answers prompts greedily."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(str(folder))
        self.tokenizer.padding_side = "left"
        self.model: Any = LlamaForCausalLM.from_pretrained(str(folder), dtype=torch.float32)

    @torch.inference_mode()
    def answer(self, prompts: list[str], longest: int) -> list[str]:
        """The greedy continuation of each prompt, at most `longest` tokens, without the end mark."""
        inputs = self.tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
        output = self.model.generate(**inputs, max_new_tokens=longest, do_sample=False)
        texts = self.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [str(text) for text in texts]

    def length(self, text: str) -> int:
        """Tokens of a text."""
        return len(self.tokenizer(text)["input_ids"])


def _batches(examinee: Examinee, dialogues: list[Dialogue], size: int) -> Iterator[list[Dialogue]]:
    """Dialogues with answers of like length together, so that no short answer waits for a long one."""
    ordered = sorted(dialogues, key=lambda dialogue: examinee.length(expected(dialogue)))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def examine(examinee: Examinee, skill: str, dialogues: list[Dialogue], size: int = 50) -> Row:
    """Ask every dialogue's last question and compare to the letter."""
    mistakes: list[Mistake] = []
    for batch in _batches(examinee, dialogues, size):
        prompts, wanted = [prompt_text(each) for each in batch], [expected(each) for each in batch]
        given = examinee.answer(prompts, max(map(examinee.length, wanted)) + 4)
        for dialogue, *texts in zip(batch, prompts, wanted, given, strict=True):
            if not _right(dialogue, *texts[1:]):
                mistakes.append(Mistake(*texts))
    return Row(skill, len(dialogues), tuple(mistakes))


def _right(dialogue: Dialogue, wanted: str, given: str) -> bool:
    """A plain text may go on after the completion; an answer may not."""
    return given.startswith(wanted) if dialogue.plain else given == wanted


def evaluate(folder: Path, count: int, seed: int = 0) -> list[Row]:
    """One row for every skill, `count` held-out examples each, and one for thinking."""
    examinee = Examinee(folder)
    named = [(skill.__name__.replace("_", " "), held_out(skill, count, seed)) for skill in EVALUATED]
    named.append(("thinking", held_out_thinking(count, seed)))
    return [examine(examinee, name, dialogues) for name, dialogues in named]


def overall(rows: list[Row]) -> Row:
    """All rows as one."""
    mistakes = tuple(mistake for row in rows for mistake in row.mistakes)
    return Row("overall", sum(row.count for row in rows), mistakes)


def good_enough(rows: list[Row]) -> bool:
    """Whether the overall floor and every skill's floor are reached."""
    return overall(rows).exact >= OVERALL_FLOOR and all(row.exact >= SKILL_FLOOR for row in rows)


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| skill | held-out | exact % |", "| --- | ---: | ---: |"]
    lines += [f"| {row.skill} | {row.count} | {100 * row.exact:.1f} |" for row in [*rows, overall(rows)]]
    return "\n".join(lines)


def _show(mistakes: tuple[Mistake, ...], most: int) -> None:
    for mistake in mistakes[:most]:
        sys.stdout.write(f"\n{mistake.prompt[-300:]}\n  wanted: {mistake.wanted!r}\n  given:  {mistake.given!r}\n")


def main() -> int:
    """Print the table; 0 where the floors are reached, else 1."""
    parser = argparse.ArgumentParser(description="Evaluate Stoker on held-out combinations.")
    parser.add_argument("folder", nargs="?", type=Path, default=SHIPPED)
    parser.add_argument("--count", type=int, default=200, help="held-out examples per skill")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other held-out examples")
    parser.add_argument("--mistakes", type=int, default=0, help="show this many mistakes per skill")
    given = parser.parse_args()
    rows = evaluate(given.folder, given.count, given.seed)
    sys.stdout.write(table(rows) + "\n")
    for row in rows:
        _show(row.mistakes, given.mistakes)
    return 0 if good_enough(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
