"""The corpus: the same for the same seed, and never a held-out combination in training."""

from itertools import islice
from random import Random

import pytest

from enginehouse_miniatures.stoker.corpus import fact_tables, sums
from enginehouse_miniatures.stoker.corpus.dialogue import Dialogue
from enginehouse_miniatures.stoker.corpus.facts import all_facts
from enginehouse_miniatures.stoker.corpus.mixture import (
    EVALUATED,
    SIMPLE,
    WHOLE,
    Skill,
    held_out,
    held_out_thinking,
    long_stream,
    training_stream,
)
from enginehouse_miniatures.stoker.corpus.split import is_held_out
from enginehouse_miniatures.stoker.corpus.words import CITIES, NAMES, WORDS, Pool
from enginehouse_miniatures.stoker.rendering import prompt_text


def _trained(count: int, seed: int = 7) -> list[Dialogue]:
    return list(islice(training_stream(seed), count))


def test_same_seed_same_stream() -> None:
    assert _trained(300) == _trained(300)
    assert _trained(20) != _trained(20, seed=8)


def test_no_training_dialogue_has_a_held_out_combination() -> None:
    stream = [*_trained(4000), *islice(long_stream(7), 100)]
    assert not [key for each in stream for key in (*each.earlier, *each.keys) if is_held_out(key)]


@pytest.mark.parametrize("skill", EVALUATED, ids=lambda skill: skill.__name__)
def test_every_held_out_dialogue_has_a_held_out_combination(skill: Skill) -> None:
    assert all(any(map(is_held_out, each.keys)) for each in held_out(skill, 20))


def test_held_out_prompts_never_occur_in_training() -> None:
    trained = {prompt_text(dialogue) for dialogue in _trained(4000)}
    asked = [each for skill in EVALUATED if skill in SIMPLE for each in held_out(skill, 50)]
    single = [each for each in asked if len(each.messages) == 2]
    assert not trained & {prompt_text(each) for each in single}


@pytest.mark.parametrize("pool", [NAMES, CITIES, WORDS], ids=lambda pool: pool.kind)
def test_held_out_names_cities_and_words_are_not_said_in_training_by_their_skills(pool: Pool) -> None:
    assert not set(pool.held) & set(pool.trained)
    assert 0.03 < len(pool.held) / (len(pool.held) + len(pool.trained)) < 0.16


def test_every_skill_is_trained_on() -> None:
    skills = {dialogue.skill for dialogue in _trained(4000)}
    assert len(skills) >= len({*SIMPLE, *WHOLE}) - 2  # a whole errand is a tool call, thoughtful sums are sums


def test_thinking_is_trained_and_held_out() -> None:
    assert any(dialogue.thinking for dialogue in _trained(200))
    assert all(dialogue.thinking and dialogue.thought for dialogue in held_out_thinking(20))


def test_a_question_has_one_answer() -> None:
    answers: dict[str, str] = {}
    for fact in all_facts():
        for question in fact.questions:
            assert answers.setdefault(question.lower(), fact.sentence) == fact.sentence, question


def test_there_are_a_few_hundred_facts() -> None:
    assert len(all_facts()) > 400
    assert len({row[0] for row in fact_tables.rows(fact_tables.COUNTRIES)}) > 70


def test_sums_are_right() -> None:
    rng = Random(3)
    for _ in range(200):
        a, sign, b = sums.problem(rng)
        assert 0 <= a < 100 and 0 <= b < 100
        assert eval(sums.solved(a, sign, b).replace("=", "=="))


def test_the_steps_end_in_the_result() -> None:
    assert sums.steps(47, "+", 38) == "Ones: 7 + 8 = 15. Tens: 4 + 3 + 1 = 8."
    assert sums.steps(82, "-", 35) == "Ones: 12 - 5 = 7. Tens: 8 - 1 - 3 = 4."
    assert sums.steps(3, "-", 9) == "3 is less than 9. 9 - 3 = 6, so the result is -6."
