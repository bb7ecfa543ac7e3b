"""The head and the end of a run name models as what they are: judged, not judged, or overruled by a marker."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import EXACT, FEW, MODEL, OF_FEW, RIGHT, Desk

JUDGED = "steering: my_models:a with my_steering:Right"
NOT_JUDGED = f"{JUDGED} for tests that name no model; no requirement is judged (that is: pytest conformance)"
INI = ("steering_models = my_models:a", "steering_adapter = my_steering:Right", "testpaths = tests")


def heads(desk: Desk, *args: str) -> tuple[list[str], int]:
    """The lines of the head, and how many tests of the suite ran."""
    result = desk.run("-v", *args, *FEW)
    return (
        [line for line in result.outlines if line.startswith("steering:")],
        sum("conformance/" in line and "PASSED" in line for line in result.outlines),
    )


@pytest.mark.parametrize(
    ("args", "head", "judged"),
    [
        ((), NOT_JUDGED, 0),
        (("tests",), NOT_JUDGED, 0),
        (("tests/test_mine.py",), NOT_JUDGED, 0),
        ((MODEL, "tests"), NOT_JUDGED, 0),
        ((MODEL,), JUDGED, len(OF_FEW)),
        (("conformance",), JUDGED, len(OF_FEW)),
        (("conformance", "tests"), JUDGED, len(OF_FEW)),
        (("conformance/test_divergence.py",), JUDGED, len(EXACT)),
        ((EXACT[0],), JUDGED, 1),
    ],
)
def test_models_of_the_settings_are_judged_or_the_head_says_that_they_are_not(
    desk: Desk, args: tuple[str, ...], head: str, judged: int
) -> None:
    desk.ini(*INI)
    (desk.path / "tests").mkdir()
    (desk.path / "tests" / "test_mine.py").write_text("def test_exact_delta(): pass\n")
    assert heads(desk, *args) == ([head], judged)


def test_without_settings_of_where_tests_lie(desk: Desk) -> None:
    desk.ini(*INI[:2])
    desk.write(test_mine="def test_exact_delta(steering_model): pass")
    assert heads(desk) == ([NOT_JUDGED], 0)


MARKED = """
import pytest

@pytest.mark.steering_model("my_models:b", "my_models:c")
def test_marked(): pass

@pytest.mark.steering_model("my_models:a", "my_models:b")
def test_both(): pass

def test_open(steering_model): assert steering_model.spec == "my_models:a"
"""


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=" ".join)
def test_models_of_a_marker_that_the_command_line_does_not_name_are_said(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.write(test_mine=MARKED)
    result = desk.run(MODEL, RIGHT, *workers, "test_mine.py")
    assert result.parseoutcomes() == {"passed": 5}
    said = (
        "steering: 3 tests ran on my_models:b, my_models:c, which their markers name, and not on my_models:a of the "
        "command line"
    )
    assert result.outlines.count(said) == 1, result.stdout.str()
    assert "which their markers name" not in desk.run("test_mine.py", "-k", "marked").stdout.str()


@pytest.mark.parametrize("dist", ["load", "worksteal", "loadgroup", "loadfile", "loadscope", "each"])
def test_a_model_is_loaded_once_or_it_is_said(desk: Desk, dist: str) -> None:
    said = (
        f"steering: --dist={dist} loads a model in every worker that gets a test on it; without --dist each model is "
        "loaded once"
    )
    result = desk.run(MODEL, RIGHT, *FEW, f"--dist={dist}", "-n", "2")
    assert result.ret == 0
    assert said in result.outlines
    assert said not in desk.run(MODEL, RIGHT, EXACT[0], f"--dist={dist}").outlines


def test_without_a_choice_of_distribution_nothing_is_said(desk: Desk) -> None:
    result = desk.run(MODEL, RIGHT, *FEW, "-n", "2")
    assert desk.loaded() == ["a"]
    assert "--dist" not in result.stdout.str()
