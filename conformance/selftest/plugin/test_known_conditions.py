"""A known failure may name a cause, a model, an adapter or a parameter, and hides no other failure."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, Desk, refused
from pytest_steering.errors import SpecError
from pytest_steering.plugin.known_failures import parse_known_failures

OTHER = "--steering-model=my_models:b"
RAISING = "--steering-adapter=my_steering:Raising"
EXACT_AND_ROWS = ("-k", "exact_delta or every_row")


def outcomes(desk: Desk, *args: str, known: str) -> tuple[int, dict[str, int]]:
    """The exit status, and how many tests had which outcome, where this is known."""
    desk.ini("steering_known_failures =", *(f"  {line}" for line in known.splitlines()))
    result = desk.run(*args)
    return int(result.ret), {name: n for name, n in result.parseoutcomes().items() if name != "deselected"}


@pytest.mark.parametrize(
    ("known", "failed"),
    [
        ("exact-delta[cause=row-zero-only]: a bug", 0),
        ("exact-delta[cause=padding-steered]: a bug", 6),
        ("exact-delta[cause=unknown]: a bug", 6),
        ("exact-delta[cause=TypeError]: a bug", 6),
        ("exact-delta[scale=0.5]: a bug", 3),
        ("exact-delta[place=first, scale=0.5]: a bug", 5),
        ("exact-delta[place=first]: a bug\nexact-delta[place=last, cause=row-zero-only]: b", 2),
        ("exact-delta[model=my_models:a]: a bug", 0),
        ("exact-delta[model=*:a, adapter=my_*:FirstRowOnly]: a bug", 0),
        ("exact-delta[model='my_models:a']: a bug", 0),
        ("exact-delta[model=my_models:b]: a bug", 6),
        ("exact-delta[model=my_models]: a bug", 6),
        ("exact-delta[adapter=my_steering:Right]: a bug", 6),
    ],
)
def test_what_is_not_so_fails(desk: Desk, known: str, failed: int) -> None:
    status, found = outcomes(desk, MODEL, BAD, "-k", "exact_delta", known=known)
    assert (found.get("failed", 0), found.get("xfailed", 0)) == (failed, 6 - failed)
    assert status == (1 if failed else 0)


def test_what_an_adapter_raises_is_known_only_by_its_name(desk: Desk) -> None:
    status, found = outcomes(desk, MODEL, RAISING, "-k", "exact_delta", known="exact-delta: a bug")
    assert (status, found["failed"]) == (1, 6)
    status, found = outcomes(desk, MODEL, RAISING, "-k", "exact_delta", known="exact-delta[cause=TypeError]: a bug")
    assert (status, found["xfailed"]) == (0, 6)
    status, found = outcomes(desk, MODEL, RAISING, "-k", "exact_delta", known="exact-delta[cause=KeyError]: a bug")
    assert (status, found["failed"]) == (1, 6)


def test_one_adapters_failure_hides_no_others(desk: Desk) -> None:
    known = "exact-delta[adapter=my_steering:FirstRowOnly]: a bug"
    status, found = outcomes(desk, MODEL, BAD, RAISING, "-k", "exact_delta", known=known)
    assert (status, found) == (1, {"failed": 6, "xfailed": 6})
    status, found = outcomes(
        desk, MODEL, OTHER, BAD, "-k", "exact_delta", known="exact-delta[model=my_models:b]: a bug"
    )
    assert (status, found) == (1, {"failed": 6, "xfailed": 6})


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
@pytest.mark.parametrize(
    ("known", "said"),
    [
        (
            "exact-delta[adapter=my_steering:Right, scale=0.5]: a bug",
            "exact-delta[adapter=my_steering:Right, scale=0.5] is a known failure and fails no more: remove it from "
            "steering_known_failures",
        ),
        (
            "exact-delta[place=nowhere]: a bug",
            "exact-delta[place=nowhere] is a known failure and no test of exact-delta is so: mend it in "
            "steering_known_failures",
        ),
        ("exact-delta[model=my_models:b]: a bug", ""),
        ("exact-delta[adapter=hooks]: a bug", ""),
    ],
)
def test_what_is_so_no_more_fails_the_run(desk: Desk, known: str, said: str, workers: tuple[str, ...]) -> None:
    desk.ini("steering_known_failures =", f"  {known}")
    result = desk.run(MODEL, RIGHT, *FEW, *workers)
    assert result.ret == (1 if said else 0)
    assert [line for line in result.outlines if "known failure" in line] == ([said] if said else [])


def test_each_of_two_has_to_show(desk: Desk) -> None:
    known = "exact-delta[cause=row-zero-only]: a bug\nexact-delta[cause=subtracted]: another"
    desk.ini("steering_known_failures =", *(f"  {line}" for line in known.splitlines()))
    result = desk.run(MODEL, BAD, *EXACT_AND_ROWS, "--deselect=conformance/test_positions.py::test_every_row")
    assert (result.ret, result.parseoutcomes()["xfailed"]) == (1, 6)
    assert [line.partition(" is a known")[0] for line in result.outlines if "fails no more" in line] == [
        "exact-delta[cause=subtracted]"
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("exact-delta[cuase=a]: b", "exact-delta has no 'cuase': did you mean cause?"),
        ("exact-delta[scael=0.5]: b", "exact-delta has no 'scael': did you mean scale?"),
        ("same-twice[scale=0.5]: b", "same-twice has no 'scale': known are cause, model, adapter"),
        ("exact-delta[cause=row-zero]: b", "there is no cause 'row-zero': did you mean row-zero-only?"),
        (
            "exact-delta[cause=1]: b",
            "there is no cause '1': name one as a report does, or the type of an exception",
        ),
        ("exact-delta[model=]: b", "exact-delta: model is empty"),
        ("exact-delta[model=a, model=b]: b", "'exact-delta[model=a, model=b]: b' names model twice"),
        ("exact-dleta[model=a]: b", "there is no requirement 'exact-dleta'; did you mean 'exact-delta'?"),
        *(
            (line, f'{line!r} is not of the form "requirement-id[cause=…, model=…]: reason"')
            for line in (
                "exact-delta[]: b",
                "exact-delta[model]: b",
                "exact-delta[model=a: b",
                "exact-delta[model=a] b",
                "exact-delta[model=a]:",
                "exact-delta[model=a]",
                "exact-delta[model=a,]: b",
                "exact-delta[model='a]: b",
                "exact-delta[model=a]]: b",
            )
        ),
        ("exact-delta[scale=1, place=a]: b\n  exact-delta[place='a', scale=1]: c", "* is listed twice"),
    ],
)
def test_what_cannot_be_meant(desk: Desk, line: str, sentence: str) -> None:
    desk.ini("steering_known_failures =", f"  {line}")
    refused(desk, MODEL, sentence=f"steering_known_failures: {sentence}")


@pytest.mark.parametrize(
    "line",
    [
        "exact-delta",
        "exact-delta[cause=row-zero-only]",
        "exact-delta[model=tiny:qwen2?layers=6&hidden=64, adapter=my_lib.steer:Adapter]",
        'exact-delta[model="./a,b]", place=first]',
        "exact-delta[model='say \"a\"']",
        "exact-delta[cause=NotImplementedError]",
    ],
)
def test_what_is_written_is_what_is_read(line: str) -> None:
    (failure,) = parse_known_failures((f"{line}: see [12]: it is so",))
    assert (str(failure), failure.reason) == (line, "see [12]: it is so")
    with pytest.raises(SpecError, match="is listed twice"):
        parse_known_failures((f"{line}: one", f"{line}: other"))
