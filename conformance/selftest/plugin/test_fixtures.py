"""What a user's own tests get: models, adapters, markers."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, TIMID, Desk, ids

BOTH = (RIGHT, TIMID)


def test_the_models_of_the_command_line_come_before_the_settings(desk: Desk) -> None:
    desk.ini("steering_models = my_models:b my_models:c")
    desk.write(test_mine="def test_mine(steering_model): assert steering_model.spec.startswith('my_models:')")
    assert ids(desk.run("--co", "-q")) == [
        "test_mine.py::test_mine[my_models:b]",
        "test_mine.py::test_mine[my_models:c]",
    ]
    assert ids(desk.run("--co", "-q", MODEL, "test_mine.py")) == ["test_mine.py::test_mine[my_models:a]"]
    assert desk.run().parseoutcomes() == {"passed": 2}


def test_the_adapters_of_the_command_line_come_before_the_settings(desk: Desk) -> None:
    desk.ini("steering_adapter = my_steering:Timid")
    desk.write(test_mine="def test_mine(steering_adapter): assert steering_adapter.name == 'Timid'")
    assert desk.run(MODEL, "test_mine.py").parseoutcomes() == {"passed": 1}
    assert desk.run(MODEL, RIGHT, "test_mine.py").parseoutcomes() == {"failed": 1}


def test_a_marker_names_models_and_needs_no_fixture(desk: Desk) -> None:
    desk.write(
        test_mine="""
import pytest

@pytest.mark.steering_model("my_models:b")
def test_function(): pass

@pytest.mark.steering_model("my_models:c")
class TestClass:
    def test_one(self): pass
    @pytest.mark.steering_model("my_models:d", "tiny:llama")
    @pytest.mark.parametrize("x", [1])
    def test_two(self, x, steering_adapter): assert steering_adapter.name == "hooks"

@pytest.mark.steering_model
def test_default(request): assert request.getfixturevalue("steering_model").spec == "my_models:a"
"""
    )
    assert sorted(ids(desk.run("--co", "-q", MODEL, "test_mine.py"))) == [
        "test_mine.py::TestClass::test_one[my_models:c]",
        "test_mine.py::TestClass::test_two[my_models:d-1]",
        "test_mine.py::TestClass::test_two[tiny:llama-1]",
        "test_mine.py::test_default[my_models:a]",
        "test_mine.py::test_function[my_models:b]",
    ]
    assert desk.run(MODEL, "test_mine.py").parseoutcomes() == {"passed": 5}
    assert desk.loaded() == ["a", "b", "c", "d"]


def test_a_module_can_be_marked(desk: Desk) -> None:
    desk.write(test_mine="import pytest\npytestmark = pytest.mark.steering_model('my_models:b')\ndef test_mine(): pass")
    assert ids(desk.run("--co", "-q")) == ["test_mine.py::test_mine[my_models:b]"]


def test_without_a_model_the_test_fails_with_what_to_type(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model): pass")
    result = desk.run("test_mine.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["no model to run on: type --steering-model=SPEC (for example *"])
    assert "Traceback" not in result.stdout.str()
    assert "def steering_model" not in result.stdout.str()


def test_a_fixture_asked_for_by_value_gets_the_only_model(desk: Desk) -> None:
    desk.write(
        test_mine="def test_mine(request): assert request.getfixturevalue('steering_model').spec == 'my_models:a'"
    )
    assert desk.run(MODEL, "test_mine.py").parseoutcomes() == {"passed": 1}
    several = desk.run(MODEL, "--steering-model=my_models:b", "test_mine.py")
    assert several.parseoutcomes() == {"failed": 1}
    several.stdout.fnmatch_lines(["no model to run on: *"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("needs=['trained']", "not applicable: the weights are untrained"),
        ("needs='tokenizer'", "not applicable: the model comes without a tokenizer"),
        ("min_layers=5", "not applicable: my_models:a has 4 decoder layers, fewer than 5"),
        ("needs=['BEAMS']", "not applicable: Timid does not declare BEAMS"),
        ("needs=['cache', 'weights']", "not applicable: Timid does not declare CACHE"),
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
    result = desk.run(MODEL, TIMID, "test_mine.py", "-rs")
    assert result.parseoutcomes() == {"skipped": 2}
    assert sum(line.startswith("SKIPPED") and line.endswith(reason) for line in result.outlines) >= 1
    assert "set up for a test" not in result.stdout.str()


def test_a_model_of_shapes_alone_has_no_weights(desk: Desk) -> None:
    (desk.path / "config.json").write_text('{"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2}')
    desk.write(
        test_mine="""
import pytest

@pytest.mark.steering_model(needs=['weights'])
def test_mine(): assert 0
"""
    )
    result = desk.run("--steering-model=config:.", "test_mine.py", "-rs")
    result.stdout.fnmatch_lines(["SKIPPED*not applicable: the model has shapes and no weights"])


def test_met_needs_are_met(desk: Desk) -> None:
    desk.write(
        test_mine="""
import pytest

@pytest.mark.steering_model(needs=["weights", "beams"], min_layers=4)
def test_mine(steering_adapter): pass
"""
    )
    assert desk.run(MODEL, RIGHT, "test_mine.py").parseoutcomes() == {"passed": 1}


def test_a_need_that_does_not_exist_is_an_error(desk: Desk) -> None:
    desk.write(
        test_mine="import pytest\n@pytest.mark.steering_model(needs=['wieghts'])\ndef test_mine(steering_model): pass"
    )
    result = desk.run(MODEL, "test_mine.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the steering_model marker needs 'wieghts', which is none of weights, *"])


def test_what_only_an_adapter_can_promise_is_asked_of_one(desk: Desk) -> None:
    desk.write(
        test_mine="import pytest\n@pytest.mark.steering_model(needs=['beams'])\ndef test_mine(steering_model): pass"
    )
    result = desk.run(MODEL, TIMID, "test_mine.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*needs 'beams', which an adapter declares, and the test has none: ask for *"])


def test_several_adapters_are_part_of_the_id(desk: Desk) -> None:
    desk.write(
        test_mine="""
import pytest

@pytest.mark.parametrize("x", [7])
def test_both(x, steering_adapter): assert steering_adapter.name in ("Right", "Timid")
def test_model(steering_model): pass
"""
    )
    assert ids(desk.run(MODEL, *BOTH, "--co", "-q", "test_mine.py")) == [
        "test_mine.py::test_model[my_models:a]",
        "test_mine.py::test_both[my_models:a-my_steering:Right-7]",
        "test_mine.py::test_both[my_models:a-my_steering:Timid-7]",
    ]
    assert desk.run(MODEL, *BOTH, "test_mine.py").parseoutcomes() == {"passed": 3}
    assert desk.loaded() == ["a"]


def test_a_hook_provides_an_adapter(desk: Desk) -> None:
    desk.write(
        conftest="""
from types import SimpleNamespace

def pytest_steering_adapter(config):
    made = lambda model, architecture: SimpleNamespace(name="Mine", capabilities=frozenset(), steer=print)
    return {"mine": made}
""",
        test_mine="def test_mine(steering_adapter): assert steering_adapter.name == 'Mine'",
    )
    assert desk.run(MODEL, "--steering-adapter=mine", "test_mine.py").parseoutcomes() == {"passed": 1}


def test_a_model_that_cannot_be_loaded_is_tried_once(desk: Desk) -> None:
    desk.write(
        test_mine="def test_one(steering_model): pass\ndef test_two(steering_model): pass",
        test_other="def test_three(steering_adapter): pass",
        test_third="def test_four(request): request.getfixturevalue('steering_model')",
    )
    result = desk.run("--steering-model=my_models:broken", "test_mine.py", "test_other.py", "test_third.py", "-rs")
    assert result.ret == 1
    assert desk.loaded() == ["broken"]
    assert result.parseoutcomes() == {"errors": 1, "failed": 1, "skipped": 2}
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_one*",
            "my_models:broken: calling it raised ValueError: the weights end in the middle",
            "SKIPPED [[]2[]] test_mine.py:1: see test_mine.py::test_one[[]my_models:broken[]]",
        ]
    )


def test_an_adapter_that_cannot_be_built_is_tried_once(desk: Desk) -> None:
    desk.write(
        counted="""
from pathlib import Path

def Counted(model, architecture):
    Path(f"tried-{len(list(Path().glob('tried-*')))}").touch()
    raise KeyError("h")
""",
        test_mine="def test_one(steering_adapter): pass\ndef test_two(steering_adapter): pass",
        test_other="def test_three(request): request.getfixturevalue('steering_adapter')",
    )
    result = desk.run(MODEL, "--steering-adapter=counted:Counted", "test_mine.py", "test_other.py")
    assert result.parseoutcomes() == {"errors": 1, "failed": 1, "skipped": 1}
    assert [path.name for path in desk.path.glob("tried-*")] == ["tried-0"]


def test_a_model_is_freed_before_the_next_is_loaded(desk: Desk) -> None:
    desk.run(MODEL, "--steering-model=my_models:b", BAD, *FEW)
    moments = [" ".join(line.split()[:2]) for line in desk.logged()]
    assert moments[:3] == ["loaded a", "freed a", "loaded b"]
