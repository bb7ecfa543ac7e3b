from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.checkpoint import train_tokenizer

from pytest_steering import SteeringError
from pytest_steering.evaluation.scenarios import Case, Dataset, Pair
from pytest_steering.evaluation.styles import STYLES, Style, render, shots_for
from pytest_steering.suite.cwes import WEAKNESSES

NAMES = {
    "CWE-22": "path traversal",
    "CWE-77": "OS command injection",
    "CWE-79": "cross-site scripting",
    "CWE-89": "SQL injection",
    "CWE-190": "integer overflow",
    "CWE-416": "use after free",
    "CWE-476": "null pointer dereference",
    "CWE-787": "out-of-bounds write",
}
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role here') }}{% endif %}" + CHAT


def case(name: str = "asked", *, cwe: str = "CWE-89", vulnerable: bool = True, told: bool = True) -> Case:
    return Case(
        cwe=cwe,
        scenario=f"hand-crafted/{cwe}/{name}",
        part="hand-crafted",
        variant="",
        vulnerable=vulnerable,
        code=f"def {name}():\n    return 1\n",
        reason=f"It is so in {name}." if told else None,
        name=f"{name}.py",
    )


SHOTS = (case("first"), case("second", vulnerable=False))


def rendered(style: Style, **options: Any) -> str:
    return render(style, case(), shots=SHOTS if style.shots else (), **options)


def with_template(template: str) -> Any:
    tokenizer = train_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def test_nine_styles_of_which_three_show_examples() -> None:
    assert list(STYLES) == ["S1", "S2", "S3", "S4", "S5", "S6", "D1", "D2", "D3"]
    assert {name for name, style in STYLES.items() if style.shots} == {"S5", "S6", "D3"}
    assert len({rendered(style) for style in STYLES.values()}) == 9
    assert all(style.name == name for name, style in STYLES.items())


@pytest.mark.parametrize("cwe", NAMES)
def test_plainest_style_is_code_question_and_answer(cwe: str) -> None:
    assert render(STYLES["S1"], case(cwe=cwe)) == (
        "def asked():\n    return 1\n\n"
        f"Does this code contain instances of the security vulnerability known as {NAMES[cwe]}? Answer yes or no.\n"
        "Answer:"
    )


def test_weaknesses_are_the_eight() -> None:
    assert {cwe: weakness.name for cwe, weakness in WEAKNESSES.items()} == NAMES
    for weakness in WEAKNESSES.values():
        assert weakness.definition.count(". ") == 0
        assert weakness.definition.endswith(".")


@pytest.mark.parametrize("style", STYLES.values(), ids=lambda style: style.name)
def test_prompt_ends_where_the_answer_begins(style: Style) -> None:
    for text in (rendered(style), rendered(style, tokenizer=with_template(CHAT))):
        assert text.endswith("Answer:")
        assert text.count("def asked():") == 1
        assert text.count("def first():") == text.count("def second():") == int(style.shots)
        assert (WEAKNESSES["CWE-89"].definition in text) is style.definition
        assert "{" not in text


@pytest.mark.parametrize("style", [style for style in STYLES.values() if style.shots], ids=lambda style: style.name)
def test_examples_are_answered_rightly_and_in_order(style: Style) -> None:
    text = rendered(style)
    assert "\nAnswer: yes\nReasoning: It is so in first.\n\ndef second():" in text
    assert "\nAnswer: no\nReasoning: It is so in second.\n\ndef asked():" in text
    assert "It is so in asked" not in text


def test_examples_without_reasons_have_answers() -> None:
    shots = (case("first", told=False), case("second", told=False, vulnerable=False))
    text = render(STYLES["S5"], case(), shots=shots)
    assert "Answer: yes\n\ndef second():" in text
    assert "None" not in text


def test_chat_has_a_turn_for_each_example() -> None:
    text = rendered(STYLES["S6"], tokenizer=with_template(CHAT))
    lines = [line.split(">")[0] + ">" for line in text.splitlines() if line.startswith("<")]
    assert lines == ["<system>", "<user>", "<assistant>", "<user>", "<assistant>", "<user>", "<assistant>"]
    assert "<assistant>Answer: yes\nReasoning: It is so in first.</assistant>" in text
    assert text.endswith("Answer yes or no.</user>\n<assistant>Answer:")
    assert rendered(STYLES["S1"], tokenizer=with_template(CHAT)).startswith("<user>def asked():")


def test_chat_without_system_messages_has_the_role_in_the_first_turn() -> None:
    text = rendered(STYLES["D2"], tokenizer=with_template(NO_SYSTEM))
    assert text.startswith("<user>You review code for security")
    assert "CWE-89, SQL injection: Text that comes from outside" in text
    with pytest.raises(Exception, match="broken"):
        rendered(STYLES["D2"], tokenizer=with_template("{{ raise_exception('broken') }}"))


def test_tokenizer_without_a_template_changes_nothing() -> None:
    for style in STYLES.values():
        assert rendered(style, tokenizer=train_tokenizer()) == rendered(style)


def test_a_style_that_shows_examples_needs_some() -> None:
    with pytest.raises(SteeringError, match="style S5 shows examples: pass shots, as the few-shot pair of CWE-89"):
        render(STYLES["S5"], case())


def test_what_is_asked_about_is_no_example_of_itself() -> None:
    pairs = (Pair(case("asked"), case("asked_patched", vulnerable=False)), Pair(*SHOTS))
    shown = [Pair(replace(pair.vulnerable, part="few-shot"), replace(pair.patched, part="few-shot")) for pair in pairs]
    shots = shots_for(STYLES["S5"], case("asked"), Dataset(Path(), tuple(shown)))
    assert [shot.name for shot in shots] == ["asked_patched.py", "first.py", "second.py"]
    assert shots_for(STYLES["S1"], case("asked"), Dataset(Path(), tuple(shown))) == ()
