"""The judge passes what is right, fails what is wrong, and says what cannot be asked of a model."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from conformance.selftest.scenarios.harnesses import BAD, harness_of
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.architecture.observation import observe
from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import Violation
from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.reference import reference
from pytest_steering.scenarios import nearest, prompts
from pytest_steering.scenarios.blocks import session_of
from pytest_steering.scenarios.comparing import chosen_otherwise
from pytest_steering.scenarios.judging import expected, judge
from pytest_steering.scenarios.nearest import check
from pytest_steering.scenarios.playing import play
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.scenes import scenes
from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.steerers import ByReference
from pytest_steering.scenarios.table import DIMENSIONS
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets import memory
from pytest_steering.targets.target import load_target


@pytest.fixture(scope="module")
def hooks() -> Harness:
    return harness_of()


@pytest.mark.parametrize("name", DIMENSIONS)
def test_hooks_is_right_in_every_value(hooks: Harness, name: str) -> None:
    apart = ("blocks", "beside", "checkpoints")
    values = [value for value in DIMENSIONS[name].values.values() if value.name not in apart]
    runs = [{} if value.forward or name == "run" else {"run": "generate"} for value in values]
    scenarios = [Scenario.of({name: value.name}, **run) for value, run in zip(values, runs, strict=True)]
    assert len(check(hooks, scenarios)) == len(values)


def test_a_call_is_run_once_by_the_reference_implementation(hooks: Harness) -> None:
    first = expected(hooks, session_of(Scenario.of(scale="half")))
    # In another session, for another adapter, the same call with the same plan open is the same.
    again = expected(hooks.anew(), session_of(Scenario.of(scale="half", block="late")))
    assert again.seen[1].trace is first.seen[0].trace
    assert again.seen[0].trace is not first.seen[0].trace, "with no block open it is another"


def test_a_large_model_is_asked_each_value_once_and_its_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [*scenes("scale", run=("forward", "generate")), Scenario.of(scale="half", tokens="1025")]
    harness = harness_of()
    assert len(check(harness, asked)) == len(asked)
    assert nearest.ONCE not in harness.target.notes
    monkeypatch.setattr(memory, "SMALL", 1)
    monkeypatch.setattr(prompts, "LARGEST", 4 * 1024 * harness.target.vocab_size)
    harness = harness_of()
    judged = check(harness, asked)
    assert {scenario["scale"] for scenario in judged} == {scenario["scale"] for scenario in asked}
    assert Scenario.of(scale="half", tokens="1025") not in judged, "its logits would be too large"
    assert harness.target.notes.count(nearest.ONCE) == 1
    assert len(check(harness, asked, all_of_them=True)) == len(asked) - 1


def test_what_the_model_itself_cannot_do_is_not_asked() -> None:
    with pytest.raises(Unfit, match="takes no position_ids"):
        judge(harness_of(spec="tiny:bloom"), session_of(Scenario.of(arguments="positions")))
    with pytest.raises(Unfit, match="returns no past_key_values"):
        judge(harness_of(spec="tiny:mamba"), session_of(Scenario.of(memory="callers")))


@pytest.mark.parametrize(
    ("adapter", "values", "said"),
    [
        ("uses.padding:FirstQueryIsThePadding", {"mask": "additive"}, "an additive mask of four axes"),
        ("uses.calls:OnlyIdsMaskAndPositions", {"arguments": "labels"}, "labels"),
        ("uses.passes:LastColumnWithoutCache", {"run": "uncached", "positions": "last"}, "positions LAST"),
    ],
)
def test_the_smallest_failure_names_the_use(adapter: str, values: dict[str, str], said: str) -> None:
    wide = Scenario.of({**values, "scale": "half", "tokens": "square", "vectors": "float64"})
    with pytest.raises(Violation) as caught:
        check(harness_of(f"{BAD}.{adapter}"), [wide])
    assert said in caught.value.where
    assert "float64" not in caught.value.where
    if len(values) == 1:
        assert caught.value.likely is not None
        assert caught.value.likely.cause is Cause.USE
        assert str(caught.value.likely).startswith("one kind of use goes wrong: fails with ")


def test_what_is_left_behind_is_seen() -> None:
    with pytest.raises(Violation, match="the warnings filters is another afterwards"):
        check(harness_of(f"{BAD}.uses.leftovers:WarningsOff"), [Scenario.of()])
    with pytest.raises(Violation, match="where nothing is steered"):
        check(harness_of(f"{BAD}.uses.blocks:StaysAfterCtrlC"), [Scenario.of(ends="interrupt")])


def test_two_models_in_two_threads_are_told_apart() -> None:
    scenario = [Scenario.of(thread="beside")]
    with pytest.raises(Violation):
        check(harness_of(f"{BAD}.uses.modes:SharedByThreads"), scenario)
    assert len(check(harness_of(), scenario)) == 1


class CatchesWarnings(HooksAdapter):
    """Each pass ignores warnings, and puts the filters back that it found."""

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        caught = threading.local()

        def begin(_module: nn.Module, _args: Any) -> None:
            caught.now = warnings.catch_warnings()
            caught.now.__enter__()
            warnings.simplefilter("ignore")

        def end(_module: nn.Module, _args: Any, _output: Any) -> None:
            time.sleep(0.01)  # the passes of two threads overlap
            caught.now.__exit__(None, None, None)

        entry = self.architecture.entry
        around = hooked(entry.register_forward_pre_hook(begin), entry.register_forward_hook(end))
        with around, super().steer(plan) as steered:
            yield steered


def test_two_threads_that_put_back_each_others_filters_are_no_fault() -> None:
    scenarios = [Scenario.of(thread="beside", run=run) for run in ("forward", "generate")] * 4
    target = load_target("tiny:llama")
    adapter = CatchesWarnings(target.model, target.architecture)
    assert len(check(Harness(target, adapter, CatchesWarnings), scenarios)) == len(scenarios)


def test_the_settings_of_a_checkpoint_are_a_use() -> None:
    asked = [Scenario.of(run="generate", options="checkpoints")]
    preferring = "pytest_steering.fixtures.preferring"
    for name in ("penalties", "beams", "several", "sampled", "static_cache"):
        assert len(check(harness_of(spec=f"{preferring}:{name}"), asked)) == 1, name
    for spec, why in (("tiny:llama", "without generation settings"), (f"{preferring}:guidance", "ask for guidance")):
        with pytest.raises(Unfit, match=why):
            judge(harness_of(spec=spec), session_of(asked[0]))


def test_rounding_moves_the_sum_also_where_it_is_large_beside_the_vector(hooks: Harness) -> None:
    architecture, inputs = hooks.architecture, hooks.prompts.batch()
    nothing = {0: torch.full((architecture.hidden_size,), 1e-12, dtype=torch.float64)}

    def received(shaken: torch.Generator | None) -> torch.Tensor:
        with torch.no_grad(), reference(architecture, nothing, shaken=shaken):
            trace = observe(architecture, [0, 1], lambda: hooks.model(**inputs))
        return trace.passes[0].received[0]

    exact, otherwise = received(None), received(torch.Generator().manual_seed(1))
    off = (exact - otherwise).abs() / exact.abs()
    assert 0 < float(off.max()) <= 1.5 * torch.finfo(exact.dtype).eps
    assert 0.5 < float((off > 0).float().mean()) < 0.8


def test_a_beam_that_does_not_win_is_chosen_otherwise_too(hooks: Harness) -> None:
    """What is returned is the same, and what was fed meanwhile is not."""
    scenario = Scenario.of(run="generate", decoding="beams")
    mine, again = (play(hooks, session_of(scenario), ByReference(hooks)).seen[0] for _ in range(2))
    assert not chosen_otherwise(again, mine)
    fed = again.trace.passes[1].fed
    assert fed is not None
    fed[-1] += 1
    assert chosen_otherwise(again, mine)
