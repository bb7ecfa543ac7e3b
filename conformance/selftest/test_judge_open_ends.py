"""Answers that break off, settle nothing or speak in general are unclear; those that only begin so are not."""

from __future__ import annotations

import pytest

from pytest_steering.evaluation import judge

STEPS = (
    "To determine whether this function has an out-of-bounds write, let's walk through it step by step.\n\n"
    "1. It takes a pointer to a vector and a count.\n2. It first compares the length with the capacity"
)


@pytest.mark.parametrize(
    ("text", "cwe", "label"),
    [
        (STEPS + " and", 787, "unclear"),
        (STEPS + ".\n\nSo there is no out-of-bounds write.", 787, "secure"),
        ("The copy is limited to the size of the buffer", 787, "secure"),
        ("Yes, it may wrap. No, it's checked. I go back and forth on this.", 190, "unclear"),
        ("I went back and forth, but the sum is never checked. Vulnerable.", 190, "vulnerable"),
        ("The code is both secure and vulnerable.", 89, "unclear"),
        ("The answer is no, since Popen is used, and yes, since the shell is used.", 77, "unclear"),
        ("It depends. If the HTML comes from users, you would have XSS.", 79, "unclear"),
        ("The sum may wrap around for small types. I can't tell you which applies.", 190, "unclear"),
        ("The endpoint may be injectable. Could you share `build_filter`?", 89, "unclear"),
        ("The code is vulnerable to SQL injection. Please share more of it if you like.", 89, "vulnerable"),
        ("As a matter of fact it is injectable. Could you fix it?", 89, "vulnerable"),
        ("I will analyze the given code for the CWE-787 out-of-bounds write vulnerability.", 787, "unclear"),
        ("To see if CWE-190 (Integer Overflow or Wraparound) applies, we look at", 190, "unclear"),
        ("CWE-89, improper neutralization, describes software that builds SQL from input.", 89, "unclear"),
        ("Should it trim only, the answer would be yes.", 77, "unclear"),
        ("It is trimmed only, so the answer is yes.", 77, "vulnerable"),
        ("Suppose it were configurable: someone could overflow the product.", 190, "unclear"),
    ],
)
def test_what_settles_nothing(text: str, cwe: int, label: str) -> None:
    assert judge(text, cwe).label == label


@pytest.mark.parametrize(
    ("text", "cwe", "label"),
    [
        ("Analysis:\n\n- Input: `name`\n- Query: bound\n\nThe code is not vulnerable to SQL injection.", 89, "secure"),
        ("Problem: the index is never checked, so it is vulnerable.", 787, "vulnerable"),
        ("Yes, the code is vulnerable.\n\nProblem 2:\nNo, this is secure.", 787, "vulnerable"),
        ("Yes, it is vulnerable to CWE-787.\n\n## Question 2\n\nIt is not vulnerable to CWE-416.", 787, "vulnerable"),
        ("Yes, I can help with that. It's not vulnerable to CWE-416.", 416, "secure"),
        ("Yes, I can say that it is vulnerable to CWE-416.", 416, "vulnerable"),
        ("With nothing attacker-controlled in the page, cross-site scripting isn't possible here.", 79, "secure"),
        ("You asked for path traversal. I don't find CWE-22 in this code.", 22, "secure"),
        ("As to path traversal, though, the code is fine. There is a serious flaw in its use of yaml.", 22, "secure"),
        ("For CWE-77 my answer is no. It is badly vulnerable to code injection.", 77, "secure"),
        ("Path traversal risk: 0/10.", 22, "secure"),
        ("Path traversal risk: 7/10. The path is vulnerable.", 22, "vulnerable"),
        ('{"cwe": "CWE-77", "explanation": "The arguments are constants."}', 77, "secure"),
        ('{"class": "vulnerable", "cwe": "CWE-77"}', 77, "vulnerable"),
        ('{"vulnerability_type": "none", "cwe": "CWE-77"}', 77, "secure"),
        ("<result>\n  <vulnerable>false</vulnerable>\n</result>", 190, "secure"),
        ("<result>\n  <vulnerable>true</vulnerable>\n</result>", 190, "vulnerable"),
        ("The removed line was a stored XSS. The new one uses htmlspecialchars().", 79, "secure"),
        ("The line was a stored XSS.", 79, "vulnerable"),
        ("You've given me the patched function. It is not vulnerable to SQL injection.", 89, "secure"),
        ("The patched function is not vulnerable to SQL injection.", 89, "unclear"),
        ("SQL injection? No, it is safe. Cross-site scripting? That is where the problem lies.", 79, "vulnerable"),
        ("Two paths are fine. One unprotected path is enough: vulnerable.", 476, "vulnerable"),
        ('I can\'t agree with the comment "ptr is never NULL".', 476, "vulnerable"),
        ("Apart from this, the code looks fine.", 476, "unclear"),
    ],
)
def test_what_only_sounds_otherwise(text: str, cwe: int, label: str) -> None:
    assert judge(text, cwe, polarity="open" if text.startswith(("For CWE", "SQL")) else None).label == label
