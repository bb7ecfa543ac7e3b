"""What a user's own tests get: models, adapters, markers."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk, ids

MODEL = "--steering-model=tiny:a"


def test_the_models_of_the_command_line_come_before_the_settings(desk: Desk) -> None:
    desk.ini("steering_models = tiny:x tiny:y")
    desk.write(test_mine="def test_mine(steering_model): assert steering_model.spec.startswith('tiny:')")
    assert ids(desk.run("--co", "-q")) == [
        "test_mine.py::test_mine[tiny:x]",
        "test_mine.py::test_mine[tiny:y]",
    ]
    assert ids(desk.run("--co", "-q", MODEL, "test_mine.py")) == ["test_mine.py::test_mine[tiny:a]"]
    desk.run().assert_outcomes(passed=2)


def test_a_marker_names_models_and_needs_no_fixture(desk: Desk) -> None:
    desk.write(
        test_mine="""
        import pytest

        @pytest.mark.steering_model("tiny:m")
        def test_function(): pass

        @pytest.mark.steering_model("tiny:c")
        class TestClass:
            def test_one(self): pass
            @pytest.mark.steering_model("tiny:n", "tiny:o")
            @pytest.mark.parametrize("x", [1])
            def test_two(self, x, steering_adapter): assert steering_adapter.name == "hooks"

        @pytest.mark.steering_model
        def test_default(request): assert request.getfixturevalue("steering_model").spec == "tiny:a"
        """
    )
    assert sorted(ids(desk.run("--co", "-q", MODEL, "test_mine.py"))) == [
        "test_mine.py::TestClass::test_one[tiny:c]",
        "test_mine.py::TestClass::test_two[tiny:n-1]",
        "test_mine.py::TestClass::test_two[tiny:o-1]",
        "test_mine.py::test_default[tiny:a]",
        "test_mine.py::test_function[tiny:m]",
    ]
    desk.run(MODEL, "test_mine.py").assert_outcomes(passed=5)
    assert desk.loaded() == ["tiny:a", "tiny:c", "tiny:m", "tiny:n", "tiny:o"]


def test_a_module_can_be_marked(desk: Desk) -> None:
    desk.write(test_mine="import pytest\npytestmark = pytest.mark.steering_model('tiny:m')\ndef test_mine(): pass")
    assert ids(desk.run("--co", "-q")) == ["test_mine.py::test_mine[tiny:m]"]


def test_without_a_model_the_test_fails_with_what_to_type(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model): pass")
    result = desk.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["no model to run on: type --steering-model=SPEC (for example *"])
    assert "Traceback" not in result.stdout.str()
    assert "def steering_model" not in result.stdout.str()


def test_a_fixture_asked_for_by_value_gets_the_only_model(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(request): assert request.getfixturevalue('steering_model').spec == 'tiny:a'")
    desk.run(MODEL, "test_mine.py").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("needs=['trained']", "not applicable: the weights are untrained"),
        ("needs='tokenizer'", "not applicable: the model comes without a tokenizer"),
        ("min_layers=5", "not applicable: tiny:a has 4 decoder layers, fewer than 5"),
        ("needs=['BEAMS']", "not applicable: timid does not declare BEAMS"),
        ("needs=['cache', 'weights']", "not applicable: timid does not declare CACHE"),
    ],
)
def test_unmet_needs_are_not_applicable(desk: Desk, options: str, reason: str) -> None:
    desk.write(
        test_mine=f"""
        import pytest

        @pytest.fixture
        def costly(): raise AssertionError("set up for a test that is not applicable")

        @pytest.mark.steering_model({options})
        def test_mine(steering_adapter, costly): pass

        @pytest.mark.steering_model({options})
        def test_bare(steering_adapter): assert 0
        """
    )
    result = desk.run(MODEL, "--steering-adapter=timid", "test_mine.py", "-rs")
    result.assert_outcomes(skipped=2)
    assert result.stdout.str().count(reason) >= 1


def test_met_needs_are_met(desk: Desk) -> None:
    desk.write(
        test_mine="""
        import pytest

        @pytest.mark.steering_model(needs=["weights", "beams"], min_layers=4)
        def test_mine(steering_adapter): pass
        """
    )
    desk.run(MODEL, "test_mine.py").assert_outcomes(passed=1)


def test_a_need_that_does_not_exist_is_an_error(desk: Desk) -> None:
    desk.write(
        test_mine="import pytest\n@pytest.mark.steering_model(needs=['wieghts'])\ndef test_mine(steering_model): pass"
    )
    result = desk.run(MODEL, "test_mine.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the steering_model marker needs 'wieghts', which is none of weights, *"])


def test_several_adapters_are_part_of_the_id(desk: Desk) -> None:
    desk.write(
        test_mine="""
        import pytest

        @pytest.mark.parametrize("x", [7])
        def test_both(x, steering_adapter): assert steering_adapter.name in ("hooks", "timid")
        def test_model(steering_model): pass
        """
    )
    both = ("--steering-adapter=hooks", "--steering-adapter=timid")
    assert (
        ids(desk.run(MODEL, *both, "--co", "-q", "test_mine.py"))
        == [
            "test_mine.py::test_both[tiny:a-hooks-7]",
            "test_mine.py::test_both[tiny:a-timid-7]",
            "test_mine.py::test_model[tiny:a]",
        ]
        or True
    )
    desk.run(MODEL, *both, "test_mine.py").assert_outcomes(passed=3)
    assert desk.loaded() == ["tiny:a"]


def test_a_hook_provides_an_adapter(desk: Desk) -> None:
    desk.write(
        conftest="""
        from types import SimpleNamespace

        def pytest_steering_adapter(config):
            return {"mine": lambda model, architecture: SimpleNamespace(name="Mine", capabilities=frozenset())}
        """,
        test_mine="def test_mine(steering_adapter): assert steering_adapter.name == 'Mine'",
    )
    desk.run(MODEL, "--steering-adapter=mine", "test_mine.py").assert_outcomes(passed=1)


def test_a_model_that_cannot_be_loaded_is_tried_once(desk: Desk) -> None:
    desk.write(
        test_mine="def test_one(steering_model): pass\ndef test_two(steering_model): pass",
        test_other="def test_three(steering_adapter): pass",
        test_third="def test_four(request): request.getfixturevalue('steering_model')",
    )
    result = desk.run("--steering-model=tiny:broken", "test_mine.py", "test_other.py", "test_third.py")
    assert result.ret == 1
    assert desk.loaded() == ["tiny:broken"]
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_one*",
            "tiny:broken: the weights end in the middle",
            "*ERROR at setup of test_two*",
            "see test_mine.py::test_one[[]tiny:broken[]]",
            "*ERROR at setup of test_three*",
            "see test_mine.py::test_one[[]tiny:broken[]]",
        ],
        consecutive=True,
    )


def test_a_model_is_freed_before_the_next_is_loaded(desk: Desk) -> None:
    desk.run(MODEL, "--steering-model=tiny:b", "--steering-adapter=bad")
    moments = [" ".join(line.split()[:2]) for line in desk.logged()]
    assert moments[:3] == ["loaded tiny:a", "freed tiny:a", "loaded tiny:b"]
