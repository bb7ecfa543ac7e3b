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


PARAPHRASES = {
    22: (
        ("Nothing strips `..` from the name, so `../../etc/hosts` gets served.", "vulnerable"),
        ("The check runs before URL decoding, which means that `%2e%2e%2f` isn't seen by it.", "vulnerable"),
        ("`startswith(base)` also accepts `/srv/data-old`, a sibling of the directory.", "vulnerable"),
        ("The name is reduced to its last component before it's joined to the folder.", "secure"),
        ("Only a numeric id reaches the file name; `int()` throws for everything else.", "secure"),
        ("I looked for a request that gets out of the folder and found none.", "secure"),
    ),
    77: (
        ("Whatever follows the `&&` in the form field is run as well.", "vulnerable"),
        ("The blacklist knows `;` and `|` but not the newline.", "vulnerable"),
        ('It calls `os.system("lpr " + name)` with the name from the form.', "vulnerable"),
        ("`shlex.quote` wraps the name before it's put into the command line.", "secure"),
        ("The command is a constant; the user's input goes to its standard input.", "secure"),
        ("The arguments never meet a shell.", "secure"),
    ),
    79: (
        ("The comment is echoed into the page as it was typed.", "vulnerable"),
        ("The template marks the value as safe, so tags in it take effect.", "vulnerable"),
        ("Encoder on the way to the page: none", "vulnerable"),
        ("All output goes through `html.escape`.", "secure"),
        ("The sanitizer strips scripts and event handlers before the text is stored.", "secure"),
        ("Absolutely! The templates escape by default.", "secure"),
    ),
    89: (
        ("A quote in the input terminates the string literal and the remainder is parsed as SQL.", "vulnerable"),
        ("`' OR '1'='1` makes the WHERE clause true for each row.", "vulnerable"),
        ("```python\n# attacker closes the quote here\nrun(sql)\n```", "vulnerable"),
        ("The only piece that's interpolated is a table name from a hard-coded list.", "secure"),
        ("The driver sends text and values separately.", "secure"),
        ("Input such as `' OR 1=1` would be looked up as a literal name.", "secure"),
    ),
    190: (
        ("Two large values add up to less than either of them.", "vulnerable"),
        ("The total will become negative.", "vulnerable"),
        ("The cast looks harmless, but it cuts a 64-bit size down to an int.", "vulnerable"),
        ("| Line | Can wrap? |\n|---|---|\n| 8 | **yes** |\n| 9 | no |", "vulnerable"),
        ("The largest possible result is 65025, which an int holds easily.", "secure"),
        ("`n > SIZE_MAX / size` is tested beforehand and leads to an error.", "secure"),
        ("With 64-bit longs the product fits, with 32-bit longs it wraps. The platform isn't stated.", "unclear"),
    ),
    416: (
        ("The free comes before the log statement which reads the name.", "vulnerable"),
        ("One thread frees the entry while another one is still reading it.", "vulnerable"),
        ("A reference to a local is returned; by then the object's gone.", "vulnerable"),
        ("The loop fetches the successor first and then releases the node.", "secure"),
        ("I see no path on which released memory is touched.", "secure"),
        ("All reads of the struct precede its release.", "secure"),
    ),
    476: (
        ("Nobody asks whether `localtime` returned NULL.", "vulnerable"),
        ("`p->len` is read on the line before the test for NULL.", "vulnerable"),
        ("If the allocation fails, the next line writes to address zero.", "vulnerable"),
        ("Before anything is read through it, the pointer is compared to NULL.", "secure"),
        ("The function bails out when `fopen` fails.", "secure"),
        ("I can't point at any pointer that isn't checked before it's followed.", "secure"),
    ),
    787: (
        ("`gets` reads a line of any length into a fixed array.", "vulnerable"),
        ("The buffer has room for 8 characters, but the writer can produce 12.", "vulnerable"),
        ("When the name is longer, the rest lands behind the array.", "vulnerable"),
        ("`snprintf` gets the size of the buffer and truncates what doesn't fit.", "secure"),
        ("A range check precedes each write.", "secure"),
        ("Packets longer than the buffer are dropped before the copy.", "secure"),
    ),
}


@pytest.mark.parametrize(
    ("text", "cwe", "label"), [(text, cwe, label) for cwe, told in PARAPHRASES.items() for text, label in told]
)
def test_how_a_weakness_works_is_told_in_many_ways(text: str, cwe: int, label: str) -> None:
    assert judge(text, cwe).label == label


@pytest.mark.parametrize(
    ("text", "cwe", "label"),
    [
        (
            "All writes stay in bounds.\n\nAdditional risks: the program could be attacked by a long name.",
            787,
            "secure",
        ),
        ("Open redirect, yes: the host isn't looked at. Script injection, no: it's a header.", 79, "secure"),
        ("| Out-of-bounds write | - | absent; every store is checked |", 787, "secure"),
        ("The code is affected by path traversal. It is not affected by path traversal.", 22, "unclear"),
        ("Here is the hardened version:\n\n```c\nif (!p) return;\n```", 476, "vulnerable"),
        ("Of course, I'd be glad to help! The query is constant.", 89, "secure"),
        ("I wouldn't go so far as to say that it's impossible to get out of the folder.", 22, "vulnerable"),
    ],
)
def test_what_surrounds_a_statement_is_read_with_it(text: str, cwe: int, label: str) -> None:
    assert judge(text, cwe).label == label


ENDLESS = (
    "freed then ",
    "`free(p)` then used, ",
    "may return null and ",
    "room for 10 but ",
    "no path where ",
    "| Can wrap? | yes |\n",
    "looked for a check ",
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
