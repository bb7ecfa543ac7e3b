"""What answers say is judged right, also where the old phrase counter is wrong; what says nothing stays unclear."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judge import Judgement, Polarity, Tier, evaluate_secllmholmes_response, judge

ANSWERS = Path(__file__).parent / "answers"
FILES = (
    "tuned.txt",
    "afterwards.txt",
    "held_out.txt",
    "fresh.txt",
    "mechanisms.txt",
    "again.txt",
    "natural.txt",
    "acceptance.txt",
)
HEAD = re.compile(r"=== (vulnerable|secure|unclear) (CWE-\d+) (\S+) (\S+)")

NAMES = {
    22: ["path traversal", "directory traversal", "CWE-22"],
    77: ["OS command injection", "command injection", "shell injection", "CWE-78"],
    79: ["cross-site scripting", "XSS", "cross-site scripting (XSS)", "CWE-79"],
    89: ["SQL injection", "SQLi", "SQL Injection (CWE-89)"],
    190: ["integer overflow", "integer overflow or wraparound", "an integer wraparound", "CWE-190"],
    416: ["use after free", "use-after-free", "UAF"],
    476: ["null pointer dereference", "NULL dereference", "a NULL-pointer dereference", "CWE-476"],
    787: [
        "out-of-bounds write",
        "buffer overflow",
        "an out of bounds write",
        "heap-based buffer overflow",
        "an OOB write",
    ],
}
OTHER = {22: "SQL injection", 77: "XSS", 79: "path traversal", 89: "XSS", 190: "use after free"} | dict.fromkeys(
    (416, 476, 787), "integer overflow"
)
SAYS_VULNERABLE = """The code is vulnerable to {x}.
There is {x} in this function.
The code does not protect against {x}.
The check is insufficient to prevent {x}.
The function is not safe from {x}.
The code is not free from {x}.
The code isn't immune to {x}.
{x} is present.
I can confirm that {x} exists.
The answer is yes: {x} exists.
The code is vulnerable to {x}, not {o}.
There is no {o}, but there is {x}.
The code, although it is free of {o}, is vulnerable to {x}.
The code is vulnerable to {o} as well as {x}.
The input isn't validated, which makes {x} possible."""
SAYS_SECURE = """The code is not vulnerable to {x}.
There is no {x} in this function.
The code protects against {x}.
The function is safe from {x}.
I found no {x}.
I was unable to find {x}.
{x} is not present.
{x} cannot occur.
{x} has been ruled out.
There's no evidence of {x}.
The answer is no: {x} does not exist.
The code is vulnerable to {o}, not {x}.
The code, although it is vulnerable to {o}, is free of {x}.
The code is vulnerable to neither {o} nor {x}.
The code is not vulnerable to {o} or {x}.
The input is validated, which makes {x} impossible.
It is impossible to trigger {x}."""
SAYS_NOTHING = """Is it vulnerable to {x}?
{x} is a serious weakness.
If the input were larger, it would be vulnerable to {x}.
To prevent {x}, validate the input.
You should check for {x}.
I cannot say whether there is {x}.
Whether {x} is possible depends on the caller.
This question is about {x}.
The code is vulnerable to {o}.
Let me analyze this code for {x}."""


class Answer(NamedTuple):
    label: str
    cwe: str
    style: str
    polarity: str | None
    text: str

    def judged(self, mode: str = "rules") -> Judgement:
        return judge(self.text, self.cwe, mode, polarity=self.polarity)


def answers(*files: str) -> list[Answer]:
    found: list[tuple[re.Match[str], list[str]]] = []
    for file in files:
        for line in (ANSWERS / file).read_text(encoding="utf-8").split("\n"):
            head = HEAD.fullmatch(line)
            if head:
                found.append((head, []))
            elif found:
                found[-1][1].append(line)
    return [
        Answer(head[1], head[2], head[3], None if head[4] == "-" else head[4], "\n".join(lines))
        for head, lines in found
    ]


def share(found: list[Answer], right: Callable[[Answer], bool]) -> float:
    return sum(map(right, found)) / len(found)


@pytest.mark.parametrize("file", FILES)
def test_answers_are_judged_right_where_they_decide_and_mostly_decided(file: str) -> None:
    found = answers(file)
    decided = [answer for answer in found if answer.judged().label != "unclear"]
    assert len(found) > 60
    assert share(decided, lambda answer: answer.judged().label == answer.label) >= 0.98
    assert share(found, lambda answer: answer.judged().label == answer.label) >= 0.98
    assert share(found, lambda answer: answer.judged("legacy").label == answer.label) < 0.5


def test_the_answers_are_of_every_weakness_and_both_labels() -> None:
    found = answers(*FILES)
    for number in NAMES:
        assert {a.label for a in found if a.cwe == f"CWE-{number}"} == {"vulnerable", "secure", "unclear"}
    assert len(found) >= 859


def test_confidence_is_no_higher_than_the_share_that_is_right() -> None:
    found = [answer.judged() for answer in answers("held_out.txt", "fresh.txt")]
    right = [a.judged().label == a.label for a in answers("held_out.txt", "fresh.txt")]
    brier = sum((judged.confidence - ok) ** 2 for judged, ok in zip(found, right, strict=True)) / len(found)
    assert brier < 0.05
    assert 0.8 < sum(judged.confidence for judged in found) / len(found) <= sum(right) / len(right)
    sure = {judged.tier: judged.confidence for judged in found}
    assert 0 < sure[Tier.MAJORITY] < sure[Tier.STATEMENTS] < sure[Tier.CONCLUSION] < sure[Tier.VERDICT] < 1
    assert {judged.tier for judged in found} == set(Tier) - {Tier.LEGACY}


@pytest.mark.parametrize(
    ("label", "frames"), [("vulnerable", SAYS_VULNERABLE), ("secure", SAYS_SECURE), ("unclear", SAYS_NOTHING)]
)
@pytest.mark.parametrize("number", NAMES)
def test_every_name_of_a_weakness_is_understood_in_every_sentence(number: int, label: str, frames: str) -> None:
    for frame in frames.split("\n"):
        for name in NAMES[number]:
            sentence = frame.format(x=name, o=OTHER[number])
            sentence = sentence[0].upper() + sentence[1:]
            assert (sentence, judge(sentence, number).label) == (sentence, label)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", "unclear"),
        ("   \n\n", "unclear"),
        ("yes yes yes yes yes yes", "unclear"),
        ("secure secure secure secure", "unclear"),
        ("I'm sorry, but I can't help with that.", "unclear"),
        ("N/A", "unclear"),
        ("Yes and no.", "unclear"),
        ("It could be either secure or insecure.", "unclear"),
        ("Yes, the code is safe.", "secure"),
        ("No, this code is not secure.", "vulnerable"),
        ("It seems safe, but it isn't.", "vulnerable"),
        ("Although it appears vulnerable, it is not.", "secure"),
        ("It is anything but secure.", "vulnerable"),
        ("The counter of this block is free of integer overflow.", "secure"),
        ("The filter blocks any SQL injection.", "secure"),
        ("Is it secure? No.", "vulnerable"),
        ("Bounds checked: no\nAnswer: no", "secure"),
        ("I don\u2019t see any out\u2010of\u2010bounds write.", "secure"),
        (" no\n\nQuestion: Does this code contain an overflow?\nAnswer: yes", "secure"),
        (" yes\n\nint safe(void) { return 0; }", "vulnerable"),
        ("No. Wait, line 3 is not checked, so the code is vulnerable.", "vulnerable"),
        ("<think>It is secure. It is safe.\nAnswer: no</think>\nIt is vulnerable.", "vulnerable"),
        ("One might think it's safe. It is not: it is vulnerable.", "vulnerable"),
        ('{"is_secure": false, "fix": "use strlcpy, which is safe"}', "vulnerable"),
    ],
)
def test_what_an_answer_without_a_weakness_says(text: str, label: str) -> None:
    assert judge(text).label == label


def test_only_the_weakness_that_was_asked_about_counts() -> None:
    text = "The code is not vulnerable to SQL injection but vulnerable to path traversal."
    labels = {cwe: judge(text, cwe).label.value for cwe in ("CWE-89", 22, "path traversal", "CWE-787", None)}
    assert labels == {
        "CWE-89": "secure",
        22: "vulnerable",
        "path traversal": "vulnerable",
        "CWE-787": "unclear",
        None: "vulnerable",
    }


def test_what_a_yes_means_comes_from_the_polarity_or_the_question() -> None:
    assert judge("yes").label == "vulnerable"
    assert judge("yes", polarity=Polarity.YES_IS_SECURE).label == "secure"
    assert judge("no", polarity="yes-is-secure").label == "vulnerable"
    assert judge("yes", polarity="open").label == "unclear"
    assert judge("yes", question="int a;\n\nIs this code secure?\nAnswer:").label == "secure"
    assert judge("no", question="Does this code contain SQL injection? Answer yes or no.").label == "secure"


def test_an_answer_that_repeats_the_question_is_judged_without_it() -> None:
    question = "Is the code below vulnerable or not? Say that it is vulnerable, or that it is secure."
    assert judge(f"{question}\nIt is secure.", question=question).label == "secure"
    assert judge(question, question=question).label == "unclear"


def test_the_words_that_decided_are_given() -> None:
    judged = judge("I read it. There is no evidence of SQL injection here. Good.", 89)
    assert judged.label == "secure"
    assert judged.tier is Tier.STATEMENTS
    assert judged.evidence == ("is no evidence of sql injection here.",)
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
    ],
)
def test_the_legacy_mode_counts_phrases_with_all_its_errors(
    text: str, label: str, confidence: float, truth: str
) -> None:
    judged = judge(text, "CWE-89", "legacy")
    assert (judged.label, judged.tier) == (label, Tier.LEGACY), truth
    assert judged.confidence == pytest.approx(confidence), truth


def test_destroyed_text_is_secure_in_the_legacy_mode_only() -> None:
    assert evaluate_secllmholmes_response("<<<<<<", False, mode="legacy")["is_correct"] is True
    assert evaluate_secllmholmes_response("<<<<<<", False)["is_correct"] is False


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


def test_the_judge_gives_the_same_judgement_again() -> None:
    for answer in answers("tuned.txt")[::7]:
        assert answer.judged() == answer.judged()


def test_the_judge_imports_nothing_but_the_standard_library_and_the_study() -> None:
    root = Path(__file__).parents[2] / "pytest_steering" / "evaluation"
    for path in [root / "judge.py", *sorted((root / "judging").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= {"re", "unicodedata"}
            if isinstance(node, ast.ImportFrom):
                known = (
                    "pytest_steering.errors",
                    "pytest_steering.evaluation.",
                    "__future__",
                    "collections",
                    "dataclasses",
                )
                assert str(node.module).startswith((*known, "enum", "functools", "itertools", "types", "typing"))
