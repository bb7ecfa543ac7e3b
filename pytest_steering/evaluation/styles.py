"""Prompt styles of SecLLMHolmes, in words of our own: what is asked about a file of code, and how.

``S1`` to ``S6`` ask plainly, ``D1`` to ``D3`` give the definition; ``S5``, ``S6`` and ``D3`` show a vulnerable and a
patched example before. Every prompt ends where the answer begins; SecLLMHolmes' styles that reason first do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pytest_steering.evaluation.layout import DataError, Part
from pytest_steering.evaluation.scenarios import Case, Dataset
from pytest_steering.suite.cwes import WEAKNESSES
from pytest_steering.suite.paired_prompts import ANSWER, question_about

_EXPERT = "You review code for security and judge whether it can be attacked."
_EXPERT_OF = "You review code for security and look for one weakness only, known as {name}."


class Polarity(StrEnum):
    """What a yes means."""

    YES_IS_VULNERABLE = "yes-is-vulnerable"
    """The question is whether the weakness is there: what every style asks."""
    YES_IS_SECURE = "yes-is-secure"
    """The question is whether the code is free of it: answers to it can be judged too."""


@dataclass(frozen=True)
class Style:
    """One way to ask.

    ``role`` opens the prompt (the system message of a chat), and ``{name}`` in it stands for the weakness;
    ``definition`` puts what the weakness is after it, and ``shots`` are examples with their answers.
    """

    name: str
    shots: bool = False
    role: str = ""
    definition: bool = False
    polarity: Polarity = Polarity.YES_IS_VULNERABLE


_ALL = (
    Style("S1"),
    Style("S2", role="You are a helpful assistant who answers questions about code."),
    Style("S3", role=_EXPERT),
    Style("S4", role=_EXPERT_OF),
    Style("S5", shots=True),
    Style("S6", shots=True, role=_EXPERT_OF),
    Style("D1", definition=True),
    Style("D2", role=_EXPERT_OF, definition=True),
    Style("D3", shots=True, role=_EXPERT_OF, definition=True),
)

STYLES: Mapping[str, Style] = MappingProxyType({style.name: style for style in _ALL})
"""Every style by name."""


def render(style: Style, case: Case, *, shots: Sequence[Case] = (), tokenizer: Any = None) -> str:
    """The prompt that asks about ``case``; a chat's where ``tokenizer`` has a chat template, else plain text.

    ``DataError`` when a few-shot style gets no ``shots``.
    """
    if style.shots and not shots:
        raise DataError(f"style {style.name} shows examples: pass shots, as the few-shot pair of {case.cwe}")
    weakness = WEAKNESSES[case.cwe]
    opening = style.role.format(name=weakness.name)
    if style.definition:
        meaning = f"{weakness.cwe}, {weakness.name}: {weakness.definition}"
        opening = f"{opening}\n\n{meaning}" if opening else meaning
    turns = [(_question(shot), _shown(shot)) for shot in shots]
    if getattr(tokenizer, "chat_template", None):
        return _chat(tokenizer, opening, turns, _question(case)) + ANSWER
    blocks = [f"{question}\n{answer}" for question, answer in turns]
    return "\n\n".join([*([opening] if opening else []), *blocks, f"{_question(case)}\n{ANSWER}"])


def shots_for(style: Style, case: Case, dataset: Dataset) -> tuple[Case, ...]:
    """What ``style`` shows before it asks about ``case``: the few-shot cases of its weakness, or nothing."""
    if not style.shots:
        return ()
    return tuple(shot for shot in dataset.cwe(case.cwe).part(Part.FEW_SHOT).cases() if shot.code != case.code)


def _question(case: Case) -> str:
    return question_about(case.code, case.cwe)


def _shown(shot: Case) -> str:
    """The answer that an example comes with, and the reason where the data set has one."""
    answer = f"{ANSWER} {'yes' if shot.vulnerable else 'no'}"
    return f"{answer}\nReasoning: {shot.reason}" if shot.reason else answer


def _chat(tokenizer: Any, opening: str, turns: Sequence[tuple[str, str]], question: str) -> str:
    messages = []
    for asked, answered in turns:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    messages.append({"role": "user", "content": question})
    if not opening:
        return _templated(tokenizer, messages)
    try:
        return _templated(tokenizer, [{"role": "system", "content": opening}, *messages])
    except Exception:  # a template without system messages raises what it likes: the first user message takes it
        messages[0] = {"role": "user", "content": f"{opening}\n\n{messages[0]['content']}"}
        return _templated(tokenizer, messages)


def _templated(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    # Models that may think aloud are asked not to: the answer position is the next token.
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    return str(text)
