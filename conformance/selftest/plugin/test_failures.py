"""How a failure reads: word for word."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk

MODEL = "--steering-model=tiny:a"
SENTENCE = "exact-delta: The steered residual equals the unsteered one plus scale times the vector"
ONE = "conformance/test_alpha.py::test_exact_delta[tiny:a-2]"


def failures(desk: Desk, *args: str) -> list[str]:
    """The lines under the headings of failures and errors."""
    result = desk.run(*args)
    assert result.ret == 1
    text = result.stdout.str()
    assert "Traceback" not in text
    body = text.partition("= FAILURES =")[2] or text.partition("= ERRORS =")[2]
    lines = body.partition("\n--")[0].splitlines()[1:]
    return [line for line in lines if line and not line.startswith(("_", "="))]


def test_a_violation_is_four_lines(desk: Desk) -> None:
    assert failures(desk, MODEL, "--steering-adapter=bad", ONE) == [
        SENTENCE,
        "  bad on tiny:a, layer 2: max |Δ| 3.1e-02 at row 1; allowed 2 ulp",
        "  likely: only batch row 0 is steered",
        f'  rerun: pytest --steering-model=tiny:a --steering-adapter=bad "{ONE}"',
    ]


def test_a_violation_without_place_and_cause_is_three(desk: Desk) -> None:
    assert failures(desk, MODEL, "--steering-adapter=unsure", ONE) == [
        SENTENCE,
        "  unsure on tiny:a: max |Δ| 1",
        f'  rerun: pytest --steering-model=tiny:a --steering-adapter=unsure "{ONE}"',
    ]


def test_the_version_of_the_adapter_is_named(desk: Desk) -> None:
    assert failures(desk, MODEL, "--steering-adapter=old", ONE)[1].startswith("  OldAdapter 0.3 on tiny:a, layer 2: ")


def test_the_command_to_repeat_is_whole(desk: Desk) -> None:
    desk.ini("steering_adapter = bad")
    options = ("--steering-device=cpu", "--steering-dtype=float32", "--steering-trust-remote-code")
    assert failures(desk, MODEL, *options, ONE)[-1] == (
        "  rerun: pytest --steering-model=tiny:a --steering-device=cpu --steering-dtype=float32 "
        f'--steering-trust-remote-code "{ONE}"'
    )


def test_the_command_to_repeat_repeats(desk: Desk) -> None:
    adapters = ("--steering-adapter=hooks", "--steering-adapter=bad")
    typed = "conformance/test_alpha.py::test_exact_delta[tiny:a-bad-2]"
    rerun = failures(desk, MODEL, "--steering-model=tiny:b", *adapters, typed)[-1]
    assert rerun == f'  rerun: pytest --steering-model=tiny:a --steering-adapter=bad "{ONE}"'
    assert failures(desk, MODEL, "--steering-adapter=bad", ONE)[-1] == rerun


def test_a_shell_can_read_the_command(desk: Desk) -> None:
    rerun = failures(desk, "--steering-model=tiny:$a b", "--steering-adapter=bad", "-k", "same_twice")[-1]
    assert rerun == (
        "  rerun: pytest '--steering-model=tiny:$a b' --steering-adapter=bad "
        "'conformance/test_beta_two.py::test_same_twice[tiny:$a b]'"
    )


def test_an_adapter_that_raises_fails_with_the_cause_and_its_place(desk: Desk) -> None:
    desk.write(
        mine="""
        def steer(layer):
            nothing = None
            return nothing[0]
        """,
        conftest="""
        from types import SimpleNamespace
        import mine

        def pytest_steering_adapter(config):
            return {"mine": lambda model, architecture: SimpleNamespace(name="Mine", capabilities=(), steer=mine.steer)}
        """,
    )
    assert failures(desk, MODEL, "--steering-adapter=mine", ONE) == [
        SENTENCE,
        "  Mine on tiny:a: TypeError: 'NoneType' object is not subscriptable (mine.py:3)",
        f'  rerun: pytest --steering-model=tiny:a --steering-adapter=mine "{ONE}"',
    ]


def test_the_traceback_is_there_for_who_asks(desk: Desk) -> None:
    result = desk.run(MODEL, "--steering-adapter=raising", "--full-trace", ONE)
    result.stdout.fnmatch_lines([">*raise TypeError(*"])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "-n2"])
@pytest.mark.parametrize(
    ("args", "sentence", "first"),
    [
        (
            ("--steering-model=tiny:broken",),
            "tiny:broken: the weights end in the middle",
            "conformance/test_alpha.py::test_layers_found[tiny:broken]",
        ),
        (
            ("--steering-model=tiny:headless",),
            "tiny:headless: nothing reaches the logits, so the decoder layers cannot be told",
            "conformance/test_alpha.py::test_layers_found[tiny:headless]",
        ),
        (
            (MODEL, "--steering-adapter=broken"),
            "tiny:a: adapter broken cannot be built: KeyError: 'h'",
            "conformance/test_alpha.py::test_exact_delta[tiny:a-0]",
        ),
    ],
    ids=["model", "architecture", "adapter"],
)
def test_one_cause_is_told_once(
    desk: Desk, workers: tuple[str, ...], args: tuple[str, ...], sentence: str, first: str
) -> None:
    text = desk.run(*args, *workers).stdout.str()
    assert text.count(f"\n{sentence}\n") == 1
    assert f"same-twice: see {first}" in text
    assert text.count(f": see {first}") == (4 if "broken" in args[-1] and len(args) == 2 else 5)
    assert "Traceback" not in text


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "-n2"])
def test_a_vector_that_never_arrives_is_told_once(desk: Desk, workers: tuple[str, ...]) -> None:
    text = desk.run(MODEL, "--steering-model=tiny:b", "--steering-adapter=lazy", *workers).stdout.str()
    for spec in ("tiny:a", "tiny:b"):
        assert text.count(f"  lazy on {spec}, layer 0: Δ = 0\n  likely: the vector never arrives: no hook fires") == 1
        assert text.count(f": see conformance/test_alpha.py::test_exact_delta[{spec}-0]") == 2
