"""The 17 prompt styles of SecLLMHolmes, in words of our own: what is asked about a file of code, and how.

``S1`` to ``S6`` ask plainly, ``R1`` to ``R6`` ask for reasoning first, ``D1`` to ``D5`` give the weakness's definition.
Nine are zero-shot, eight show a vulnerable and a patched example before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pytest_steering.evaluation.layout import DataError, Part
from pytest_steering.evaluation.scenarios import Case, Dataset
from pytest_steering.suite.cwes import WEAKNESSES, Weakness

ANSWER = "Answer:"
"""What every prompt that is not reasoned ends with, so that `` yes`` or `` no`` comes next."""
REASONING = "Reasoning:"
_CONCLUDED = re.compile(rf"^\s*{ANSWER}", re.MULTILINE)

_EXPERT = "You review code for security and judge whether it can be attacked."
_EXPERT_OF = "You review code for security and look for one weakness only, known as {name}."
_STAGES = (
    "First say what the code does.\n"
    "Then name the places where {name} could arise.\n"
    "Then look at each of these places closely.\n"
    "Then decide whether {name} is there."
)


class Polarity(StrEnum):
    """What a yes means."""

    YES_IS_VULNERABLE = "yes-is-vulnerable"
    """The question is whether the weakness is there."""
    YES_IS_SECURE = "yes-is-secure"
    """The question is whether the code is free of it: tells a taste for yes from a finding."""


@dataclass(frozen=True)
class Style:
    """One way to ask.

    ``role`` opens the prompt (the system message of a chat); in it and in ``guide`` ``{name}`` stands for the
    weakness. ``guide`` follows the question. ``reasoned`` prompts end where the reasoning begins, and
    :func:`conclude` makes of prompt and reasoning one that ends where the answer begins; all others end there
    themselves.
    """

    name: str
    shots: bool = False
    role: str = ""
    guide: str = ""
    definition: bool = False
    reasoned: bool = False
    polarity: Polarity = Polarity.YES_IS_VULNERABLE

    @property
    def sign(self) -> int:
        """1 where a yes says vulnerable, -1 where it says secure: times the forced choice, it points to vulnerable."""
        return 1 if self.polarity == Polarity.YES_IS_VULNERABLE else -1

    def asking(self, polarity: Polarity | str) -> Style:
        """The same style with the question put so that a yes has this meaning."""
        return replace(self, polarity=Polarity(polarity))


_ALL = (
    Style("S1"),
    Style("S2", role="You are a helpful assistant who answers questions about code."),
    Style("S3", role=_EXPERT),
    Style("S4", role=_EXPERT_OF),
    Style("S5", shots=True),
    Style("S6", shots=True, role=_EXPERT_OF),
    Style("R1", guide="Think step by step before you answer.", reasoned=True),
    Style("R2", role=f"{_EXPERT_OF}\n{_STAGES}", reasoned=True),
    Style("R3", guide=_STAGES, reasoned=True),
    Style("R4", shots=True, role=_EXPERT_OF, reasoned=True),
    Style("R5", shots=True, role=f"{_EXPERT_OF}\n{_STAGES}", reasoned=True),
    Style("R6", shots=True, guide=_STAGES, reasoned=True),
    Style("D1", definition=True),
    Style("D2", role=_EXPERT_OF, definition=True),
    Style("D3", shots=True, role=_EXPERT_OF, definition=True),
    Style("D4", shots=True, role=_EXPERT_OF, definition=True, reasoned=True),
    Style("D5", shots=True, definition=True, reasoned=True),
)

STYLES: Mapping[str, Style] = MappingProxyType({style.name: style for style in _ALL})
"""Every style by name. R3 asks for its four stages in one prompt; SecLLMHolmes has a message for each."""


def render(style: Style, case: Case, *, shots: Sequence[Case] = (), tokenizer: Any = None) -> str:
    """The prompt that asks about ``case``; a chat's where ``tokenizer`` has a chat template, else plain text.

    It ends where the answer begins (``Answer:``), or the reasoning of a reasoned style. ``DataError`` when a few-shot
    style gets no ``shots``, a zero-shot style gets some, or ``case`` is among them.
    """
    if style.shots and not shots:
        raise DataError(f"style {style.name} shows examples: pass shots, as the few-shot pair of {case.cwe}")
    if shots and not style.shots:
        raise DataError(f"style {style.name} shows no examples; pass shots to a few-shot style only")
    if any(shot.code == case.code for shot in shots):
        raise DataError(f"{case.name}: it is asked about and is also an example with its answer; pass other shots")
    weakness = _weakness(case)
    opening = style.role.format(name=weakness.name)
    if style.definition:
        meaning = f"{weakness.cwe}, {weakness.name}: {weakness.definition}"
        opening = f"{opening}\n\n{meaning}" if opening else meaning
    begins = REASONING if style.reasoned else ANSWER
    turns = [(_question(style, shot), _shown(style, shot)) for shot in shots]
    if getattr(tokenizer, "chat_template", None):
        return _chat(tokenizer, opening, turns, _question(style, case)) + begins
    blocks = [f"{question}\n{answer}" for question, answer in turns]
    return "\n\n".join([*([opening] if opening else []), *blocks, f"{_question(style, case)}\n{begins}"])


def conclude(prompt: str, reasoning: str) -> str:
    """The prompt of a reasoned style with the reasoning that followed it: it ends where the answer begins.

    Reasoning that goes on to an answer, or to questions of its own, is cut before the first line with ``Answer:``.
    """
    found = _CONCLUDED.search(reasoning)
    kept = reasoning[: found.start()] if found else reasoning
    return f"{prompt}{kept.rstrip()}\n{ANSWER}"


def shots_for(style: Style, case: Case, dataset: Dataset) -> tuple[Case, ...]:
    """What ``style`` shows before it asks about ``case``: the few-shot cases of its weakness, or nothing."""
    if not style.shots:
        return ()
    return tuple(shot for shot in dataset.cwe(case.cwe).part(Part.FEW_SHOT).cases() if shot.code != case.code)


def _question(style: Style, case: Case) -> str:
    name = _weakness(case).name
    asked = (
        f"Does this code contain instances of the security vulnerability known as {name}?"
        if style.polarity == Polarity.YES_IS_VULNERABLE
        else f"Is this code free of the security vulnerability known as {name}?"
    )
    guide = f"\n{style.guide.format(name=name)}" if style.guide else ""
    last = f"Give your reasoning first, then a line with {ANSWER} and yes or no." if style.reasoned else ""
    return f"{case.code.rstrip()}\n\n{asked} Answer yes or no.{guide}" + (f"\n{last}" if last else "")


def _shown(style: Style, shot: Case) -> str:
    """The answer that an example comes with; the reason where the data set has one."""
    yes = shot.vulnerable == (style.polarity == Polarity.YES_IS_VULNERABLE)
    answer = f"{ANSWER} {'yes' if yes else 'no'}"
    if style.reasoned:
        reason = shot.steps or shot.reason
        return f"{REASONING} {reason}\n{answer}" if reason else answer
    return f"{answer}\n{REASONING} {shot.reason}" if shot.reason else answer


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


def _weakness(case: Case) -> Weakness:
    if case.cwe not in WEAKNESSES:
        raise DataError(f"{case.name}: {case.cwe} is no weakness to ask about; known are {', '.join(WEAKNESSES)}")
    return WEAKNESSES[case.cwe]
