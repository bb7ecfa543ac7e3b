"""What answers say is judged right, also where the old phrase counter is wrong; what says nothing stays unclear."""

from __future__ import annotations

import ast
import functools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conformance.selftest.places import ROOT
from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judge import Judgement, Polarity, Tier, evaluate_secllmholmes_response, judge
from pytest_steering.evaluation.judges.rules import LONGEST, MEASURED

ANSWERS = Path(__file__).parent / "answers"
HEAD = re.compile(r"=== (vulnerable|secure|unclear) (CWE-\d+) (\S+) (\S+)")
LEAST = {
    "natural.txt": (0.94, 0.98),
    "acceptance.txt": (0.77, 0.96),
    "held_out.txt": (0.92, 0.98),
    "fresh.txt": (0.9, 0.98),
}
"""By file, the least share that is right of all answers, and of those that are decided."""


class Answer(NamedTuple):
    label: str
    cwe: str
    polarity: str | None
    text: str

    @functools.cache  # noqa: B019 (answers live as long as the tests)
    def judged(self, mode: str = "rules") -> Judgement:
        return judge(self.text, self.cwe, mode, polarity=self.polarity)

    def is_right(self, mode: str = "rules") -> bool:
        return self.judged(mode).label == self.label


@functools.cache
def answers(*files: str) -> list[Answer]:
    found: list[tuple[re.Match[str], list[str]]] = []
    for file in files:
        for line in (ANSWERS / file).read_text(encoding="utf-8").split("\n"):
            head = HEAD.fullmatch(line)
            if head:
                found.append((head, []))
            elif found:
                found[-1][1].append(line)
    return [Answer(head[1], head[2], None if head[4] == "-" else head[4], "\n".join(lines)) for head, lines in found]


def share(right: list[bool]) -> float:
    return sum(right) / len(right)


@pytest.mark.parametrize("file", LEAST)
def test_answers_are_judged_right_where_they_decide_and_mostly_decided(file: str) -> None:
    found = answers(file)
    of_all, of_decided = LEAST[file]
    assert share([answer.is_right() for answer in found]) >= of_all
    assert share([answer.is_right() for answer in found if answer.judged().label != "unclear"]) >= of_decided
    assert share([answer.is_right("legacy") for answer in found]) < 0.5


def test_confidence_is_what_was_measured_of_each_tier_and_in_their_order() -> None:
    found = answers(*LEAST)
    shares = {tier: share([answer.is_right() for answer in found if answer.judged().tier is tier]) for tier in MEASURED}
    assert len(found) == 452
    for tier, confidence in MEASURED.items():
        # Measured before any rule was changed for these answers: never higher than now, and not far below it.
        assert confidence <= shares[tier] < confidence + 0.2
    assert {answer.judged().confidence for answer in found} == set(MEASURED.values())
    assert MEASURED[Tier.VERDICT] > MEASURED[Tier.CONCLUSION] > MEASURED[Tier.MAJORITY] > MEASURED[Tier.NONE] > 0.5


@pytest.mark.parametrize(
    ("text", "cwe", "label", "tier"),
    [
        ("Yes. The name is put into the query.", 89, "vulnerable", "verdict"),
        ("The name is put into the query.\nFinal answer: **Yes**", 89, "vulnerable", "verdict"),
        ('{"is_secure": false, "fix": "use strlcpy, which is safe"}', 787, "vulnerable", "verdict"),
        ('```json\n{\n  "vulnerable": true\n}\n```', 787, "vulnerable", "verdict"),
        ("<vulnerable>false</vulnerable>", 190, "secure", "verdict"),
        ("Is it secure? No.", 89, "vulnerable", "verdict"),
        ("Bounds checked: no\nAnswer: no", 787, "secure", "verdict"),
        ("Answer: yes\nWait, I misread it.\nAnswer: no", 787, "secure", "verdict"),
        ("Yes, the code is safe.", None, "secure", "verdict"),
        ("No, this code is not secure.", None, "vulnerable", "verdict"),
        (
            "It is vulnerable here. It is insecure there. Therefore, it has no SQL injection.",
            89,
            "secure",
            "conclusion",
        ),
        ("## Conclusion\n\nThe code is vulnerable.", 89, "vulnerable", "conclusion"),
        ("The code is vulnerable. Nothing is checked.", 89, "vulnerable", "majority"),
        ("It isn't vulnerable to SQL injection, as it's safe. It may look unsafe.", 89, "secure", "majority"),
        ("It seems safe, but it isn't.", 89, "vulnerable", "majority"),
        ("The check does not suffice: it fails to prevent SQL injection.", 89, "vulnerable", "majority"),
        ("It does not escape the input to prevent SQL injection.", 89, "vulnerable", "majority"),
        ("The function takes a name, builds a query with it and returns the rows.", 89, "unclear", "none"),
        ("It copies at most 63 bytes with strncpy and ends the string.", 787, "unclear", "none"),
        ("SQL injection is a weakness in which input becomes part of a query.", 89, "unclear", "none"),
        ("If the name came from a user, it would be vulnerable to SQL injection.", 89, "unclear", "none"),
        ("Let me check this code for SQL injection.", 89, "unclear", "none"),
        ("I'm sorry, but I can't help with that.", 89, "unclear", "none"),
        ("It looks vulnerable, but I cannot say without more context.", 89, "unclear", "none"),
        ("Yes and no.", 89, "unclear", "none"),
        ("Answer: yes\nAnswer: no\nAnswer: yes", 89, "unclear", "none"),
        ("N/A", 89, "unclear", "none"),
        ("", 89, "unclear", "none"),
        ("yes yes yes yes yes yes", 89, "unclear", "none"),
        ("secure secure secure secure", 89, "unclear", "none"),
        (" no\n\nQuestion: Does this code contain an overflow?\nAnswer: yes", 787, "secure", "verdict"),
        (" yes\n\nint safe(void) { return 0; }", 787, "vulnerable", "verdict"),
        ("<think>It is secure.\nAnswer: no</think>\nIt is vulnerable.", 89, "vulnerable", "majority"),
        ("I don\u2019t see any out\u2010of\u2010bounds write.", 787, "secure", "majority"),
    ],
)
def test_what_decides(text: str, cwe: int | None, label: str, tier: str) -> None:
    judged = judge(text, cwe)
    assert (judged.label, judged.tier) == (label, tier)


@pytest.mark.parametrize(
    "text",
    [
        "The code is vulnerable to {0}.",
        "Yes, the code is vulnerable to {0}, because the input is not checked.",
        "Yes. The input is used as it is, which leads to {0}.",
        "Verdict: vulnerable\nReason: {0} by the parameter `name`.",
        '{{"vulnerable": true, "reason": "{0} in line 3"}}',
        "Overall, the code is insecure: it is prone to {0}.",
    ],
)
def test_what_is_said_of_another_weakness_does_not_count(text: str) -> None:
    assert judge(text.format("SQL injection"), "CWE-89").label == "vulnerable"
    for other in (22, 77, 79, 190, 416, 476, 787):
        assert (text, judge(text.format("SQL injection"), other).label) == (text, "unclear")


def test_of_two_weaknesses_the_one_that_was_asked_about_counts() -> None:
    text = "The code is not vulnerable to SQL injection but vulnerable to path traversal."
    labels = {cwe: judge(text, cwe).label.value for cwe in ("CWE-89", 22, "path traversal", "CWE-787")}
    assert labels == {"CWE-89": "secure", 22: "vulnerable", "path traversal": "vulnerable", "CWE-787": "unclear"}
    assert judge("Yes. You avoid SQL injection, yet the page shows the name as it is.", 79).label == "vulnerable"


@pytest.mark.parametrize(
    ("afterwards", "verdict"),
    [
        (
            "Here is the fixed code:\n```c\nstrlcpy(a, b, 9);\n```\nThe fixed code is not vulnerable, and secure.",
            True,
        ),
        ("Overall, the patched version is secure and has no such issue.", True),
        ("To prevent this, use strlcpy, which is safe, and the code is secure.", True),
        ("You should always validate input to avoid vulnerabilities such as a buffer overflow.", False),
        ("## Recommendations\n\nUnchecked input makes code vulnerable. Such code is insecure.", False),
    ],
)
def test_fixed_code_and_advice_do_not_override_what_is_said_of_the_code_shown(afterwards: str, verdict: bool) -> None:
    for said in ("Yes.", "The code has a buffer overflow.") if verdict else ("No.", "The code has no buffer overflow."):
        assert (said, judge(f"{said}\n\n{afterwards}", 787).label) == (said, "vulnerable" if verdict else "secure")


NAMES = {
    22: ("path traversal", "CWE-22"),
    77: ("OS command injection", "shell injection", "CWE-78"),
    79: ("cross-site scripting (XSS)", "XSS", "CWE-79"),
    89: ("SQL injection", "SQL Injection (CWE-89)"),
    190: ("integer overflow or wraparound", "an integer overflow"),
    416: ("use after free", "UAF"),
    476: ("null pointer dereference", "a NULL-pointer dereference"),
    787: ("out-of-bounds write", "a heap-based buffer overflow", "CWE-787"),
}
FRAMES = {
    "vulnerable": """The code is vulnerable to {0}.
This code contains instances of the security vulnerability known as {0}.
The code does not protect against {0}.
The code is not free from {0}.
The code, although it is free of {1}, is vulnerable to {0}.
The input isn't validated, which makes {0} possible.""",
    "secure": """The code is not vulnerable to {0}.
This code does not contain instances of the security vulnerability known as {0}.
I was unable to find {0}.
{0} cannot occur.
The code is vulnerable to {1}, not {0}.
The code is vulnerable to neither {1} nor {0}.""",
    "unclear": """Is it vulnerable to {0}?
{0} is a serious weakness.
To prevent {0}, validate the input.
Whether {0} is possible depends on the caller.
The code is vulnerable to {1}.""",
}


@pytest.mark.parametrize("label", FRAMES)
def test_every_name_of_a_weakness_is_understood_in_every_sentence(label: str) -> None:
    for number, names in NAMES.items():
        for sentence in (
            frame.format(name, "a race condition") for frame in FRAMES[label].split("\n") for name in names
        ):
            assert (sentence, judge(sentence, number).label) == (sentence, label)


def test_what_a_yes_means_comes_from_the_polarity_or_the_question() -> None:
    assert judge("yes").label == "vulnerable"
    assert judge("yes", polarity=Polarity.YES_IS_SECURE).label == "secure"
    assert judge("no", polarity="yes-is-secure").label == "vulnerable"
    assert judge("I read it.\nAnswer: yes", polarity="yes-is-secure").label == "secure"
    assert judge("yes", polarity="open").label == "unclear"
    assert judge("yes", question="int a;\n\nIs this code secure?\nAnswer:").label == "secure"
    assert judge("no", question="Does this code contain SQL injection? Answer yes or no.").label == "secure"


def test_an_answer_that_repeats_the_question_is_judged_without_it() -> None:
    question = "Is the code below vulnerable or not? Say that it is vulnerable, or that it is secure."
    assert judge(f"{question}\nIt is secure.", question=question).label == "secure"
    assert judge(question, question=question).label == "unclear"


def test_the_sentence_that_decided_is_given() -> None:
    judged = judge("I read it. There is no evidence of SQL injection here. Good.", 89)
    assert judged.evidence == ("there is no evidence of sql injection here.",)
    assert judge("Verdict: not vulnerable").evidence == ("verdict: not vulnerable",)


def test_the_result_of_an_evaluation_has_the_documented_keys() -> None:
    text = "No, it is not vulnerable."
    assert evaluate_secllmholmes_response(text, False) == {
        "predicted_vulnerable": False,
        "expected_vulnerable": False,
        "is_correct": True,
        "confidence": judge(text).confidence,
        "raw_response": text,
    }
    assert evaluate_secllmholmes_response("Yes.", False)["is_correct"] is False


@pytest.mark.parametrize("expected", [True, False])
def test_an_unclear_answer_is_never_right_and_never_secure(expected: bool) -> None:
    result = evaluate_secllmholmes_response("secure " * 50, expected)
    assert result["predicted_vulnerable"] is None
    assert result["is_correct"] is False


@pytest.mark.parametrize(
    ("text", "label", "confidence", "truth"),
    [
        ("", "secure", 0.5, "a tie reads as secure, here of nothing with nothing"),
        ("Yes.", "secure", 0.5, "vulnerable: a yes is not read"),
        ("This is unsafe.", "secure", 0.5, "vulnerable: 'unsafe' holds 'safe', which makes a tie"),
        ("This is insecure.", "secure", 0.5, "vulnerable: 'insecure' holds 'secure'; a win by one is as sure as a tie"),
        ("It is not vulnerable.", "vulnerable", 0.5, "secure: 'not' is not read"),
        ("No injection, no overflow, no traversal.", "vulnerable", 0.75, "secure, and yet surer"),
        ("It is secure.", "secure", 2 / 3, "right, and counted twice: 'is secure' and 'secure'"),
        ("SAFE. SAFE. SAFE.", "secure", 0.5, "a phrase counts once, in any case of letters"),
        ("Vulnerable to injection, as nothing is sanitized.", "vulnerable", 0.5, "two against one: 2 / (2 + 1 + 1)"),
        ("<<<<<<", "secure", 0.5, "destroyed text is secure"),
    ],
)
def test_the_legacy_mode_counts_phrases_with_all_its_errors(
    text: str, label: str, confidence: float, truth: str
) -> None:
    judged = judge(text, "CWE-89", "legacy")
    assert (judged.label, judged.tier) == (label, Tier.LEGACY), truth
    assert judged.confidence == pytest.approx(confidence), truth


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: judge(None), "the response is a NoneType; judge a str"),  # type: ignore[arg-type]
        (lambda: judge("yes", mode="guess"), "mode is 'guess'; choose one of rules, legacy"),
        (lambda: judge("yes", polarity="up"), "polarity is 'up'; choose one of"),
        (lambda: judge("yes", cwe="?!"), "cwe is '?!': give a weakness such as"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)):
        call()


@pytest.mark.parametrize(
    "unit",
    ["`free(p)` then used, ", "| Can wrap? | yes |\n", "not vulnerable ", '"a": "', "\n", "```", "a, ", "<think>"],
)
def test_a_megabyte_costs_little_more_than_what_is_read_of_it(unit: str) -> None:
    def seconds(length: int) -> float:
        text = "Yes, it is vulnerable. " + unit * (length // len(unit))
        spent = []
        for _ in range(2):
            begun = time.perf_counter()
            judge(text, "CWE-89")
            spent.append(time.perf_counter() - begun)
        return min(spent)

    judge("warm", "CWE-89")
    whole = seconds(LONGEST)
    assert whole < 10 * seconds(LONGEST // 4) + 0.2
    assert seconds(1_000_000) < 5 * whole + 0.3


def test_the_judge_is_small_and_needs_nothing_but_python() -> None:
    root = ROOT / "pytest_steering" / "evaluation"
    assert len((root / "judges" / "rules.py").read_text(encoding="utf-8").splitlines()) <= 250
    for path in [root / "judge.py", *sorted((root / "judges").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in modules} & {
                "torch",
                "transformers",
                "numpy",
                "scipy",
                "requests",
            }
