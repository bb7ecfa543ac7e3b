"""Exit statuses are pytest's own: 0 conforms, 1 fails, 4 cannot be meant, 5 nothing ran."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk

MODEL = "--steering-model=tiny:a"


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ((MODEL,), 0),
        ((MODEL, "--steering-adapter=timid"), 0),
        ((MODEL, "--steering-adapter=bad"), 1),
        ((MODEL, "--steering-adapter=raising"), 1),
        ((MODEL, "--steering-adapter=broken"), 1),
        ((MODEL, "--steering-model=tiny:broken"), 1),
        (("--steering-model=lama",), 4),
        ((MODEL, "-k", "nothing"), 5),
        ((MODEL, "--steering-adapter=timid", "-k", "beams"), 5),
        ((MODEL, "--steering-adapter=timid", "-k", "beams or overhead"), 5),
        (("conformance/test_alpha.py",), 1),
        ((MODEL, "-n2"), 0),
        ((MODEL, "--steering-adapter=bad", "-n2"), 1),
        ((MODEL, "-k", "nothing", "-n2"), 5),
        ((MODEL, "--steering-adapter=timid", "-k", "beams", "-n2"), 5),
    ],
    ids=lambda value: " ".join(value).replace("--steering-", "") if isinstance(value, tuple) else "",
)
def test_status(desk: Desk, args: tuple[str, ...], status: int) -> None:
    assert desk.run(*args).ret == status


def test_a_suite_without_a_model_says_what_to_type(desk: Desk) -> None:
    result = desk.run("conformance/test_alpha.py")
    result.stdout.fnmatch_lines(["*no model to run on: type --steering-model=SPEC*"])


def test_skipped_tests_of_the_user_do_not_change_the_status(desk: Desk) -> None:
    desk.write(test_mine="import pytest\ndef test_mine(steering_model): pytest.skip('today')")
    assert desk.run(MODEL, "test_mine.py").ret == 0
