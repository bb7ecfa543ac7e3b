"""What is described, claimed by others or taken back is judged right; no text costs the judge more than its length."""

from __future__ import annotations

import time

import pytest

from pytest_steering.evaluation.judge import judge
from pytest_steering.evaluation.judging.normalise import LONGEST


@pytest.mark.parametrize(
    ("text", "cwe", "label"),
    [
        ("The tag is closed early, but an attacker cannot choose it.", 79, "secure"),
        ("The index is checked. The check comes too late, though.", 787, "vulnerable"),
        ("The node is freed and its name is read afterwards.", 416, "vulnerable"),
        ("The node is freed and its name is read afterwards.", 89, "unclear"),
        ("It isn't the case that the block is not kept alive.", 416, "secure"),
        ("In theory the sum wraps.", 190, "unclear"),
        ("The copy is given up if the name runs past the end.", 787, "unclear"),
        ("The comment says that the code is safe.", 89, "unclear"),
        ("The comment says that the code is safe. That's wrong.", 89, "vulnerable"),
        ('The claim in the comment, "it is safe", does not hold.', 89, "vulnerable"),
        ("Contrary to what the scanner says, the pointer is reset to NULL.", 416, "secure"),
        ("No.\n\nEdit: the name is spliced into the query.", 89, "vulnerable"),
        ("Yes. Changing my answer to no.", 89, "secure"),
        ("Secure. I should have said vulnerable.", 89, "vulnerable"),
        ("The call looks fine. Inside, though, the name is spliced into the query.", 89, "vulnerable"),
        ("Use after free means that a block is used too late. Attackers can gain a lot by it.", 416, "unclear"),
        ("The browser runs the script, as nothing is encoded.", 89, "unclear"),
        ("I can't say that it is not vulnerable.", 89, "vulnerable"),
        ("This must not be merged.", 89, "vulnerable"),
        ("I'd sign off on it.", 89, "secure"),
        ("I wouldn't sign off on it.", 89, "vulnerable"),
        ("The rest is in good shape.", 89, "unclear"),
    ],
)
def test_what_is_described_claimed_or_taken_back(text: str, cwe: int, label: str) -> None:
    assert judge(text, cwe).label == label


ENDLESS = (
    "a",
    "not vulnerable ",
    "(",
    '"a": "',
    "yes, ",
    "and it is safe ",
    "\n",
    ". ",
    "\\",
    "x = f(y);\n",
    "<think>",
)


@pytest.mark.parametrize("unit", ENDLESS)
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
