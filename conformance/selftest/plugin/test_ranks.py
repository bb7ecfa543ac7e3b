"""The suite under ``torchrun``: ranks end each test together, and a bug that shows over several processes is named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import RANKS
from pytest_steering.fixtures.known_bad.ranks import LeftOnOthers

from conformance.selftest.desk import Desk, refused
from conformance.selftest.places import ROOT, TRAINED
from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.suite.catalogue import Asked, catalogue
from pytest_steering.targets.tiny.models import tiny_model

RIGHT = (
    "hooks",
    "pytest_steering.fixtures.known_good.hooks:ReceiverHooks",
    "pytest_steering.fixtures.known_good.arithmetic:OuterProduct",
)
WAYS = ("tensor", "fsdp2")
SPREAD = [("llama", "tensor"), ("llama", "fsdp2"), ("starcoder2", "fsdp2"), ("starcoder2", "tensor")]
BAD = "pytest_steering.fixtures.known_bad.ranks"
OF_RANKS = frozenset(name for name, each in catalogue().items() if each.group == "parallel")


def ranked(*args: str | Path, at: Path = ROOT, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Pytest run by two ranks; the port that they meet at is free."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "pytest"]
    quiet = ["-q", "-p", "no:cacheprovider", "--benchmark-disable", "-W", "ignore"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [*command, *quiet, *map(str, args)],
        cwd=at,
        env={**environment, "OMP_NUM_THREADS": "1", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def judged(tmp_path: Path, spec: str | Path, way: str, adapters: Sequence[str], *args: str) -> dict[str, Any]:
    """What a run of two ranks reports, by adapter."""
    report = tmp_path / f"{way}.json"
    named = [f"--steering-adapter={adapter}" for adapter in adapters]
    done = ranked(
        f"--steering-model={spec}", f"--steering-parallel={way}", f"--steering-report={report}", *named, *args
    )
    assert report.exists(), done.stdout + done.stderr
    rows = json.loads(report.read_text())["models"]
    failing = any(row["verdict"] != "conforms" for row in rows)
    assert (done.returncode != 0) == failing, done.stdout + done.stderr
    assert done.stdout.count("- steering -") == 1, "one rank alone speaks"
    return {row["adapter"].partition(" ")[0]: row for row in rows}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "llama"
    tiny_model("llama").save_pretrained(directory)  # type: ignore[operator]
    return directory


def failed(row: dict[str, Any]) -> set[str]:
    return {entry["id"] for entry in row["requirements"] if entry["outcome"] in ("failed", "error")}


def passed(row: dict[str, Any]) -> set[str]:
    return {entry["id"] for entry in row["requirements"] if entry["outcome"] == "passed"}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "way"), sample(SPREAD, 2, "KNOWN_GOOD"))
def test_right_adapters_conform(model: str, way: str, llama: Path, tmp_path: Path) -> None:
    """The core, and all that is asked of ranks."""
    spec = llama if model == "llama" else TRAINED / model
    found = judged(tmp_path, spec, way, RIGHT[:1], "--steering-profile=core")
    for row in found.values():
        assert (failed(row), row["verdict"]) == (set(), "conforms")
        asked = {name for name, each in Asked(profile="core", parallel=True).requirements.items() if each.core}
        assert asked - passed(row) == set()
        assert row["device"] == f"2×cpu:{way} float32"
        assert row["notes"][0].startswith("spread over 2 ranks: ")
    found = judged(tmp_path, spec, way, RIGHT, "-m", "steering_requirement(group='parallel')")
    assert [passed(row) for row in found.values()] == [OF_RANKS] * len(RIGHT)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "way"), sample([("starcoder2", "fsdp2"), ("llama", "tensor")], 2, "KNOWN_BAD"))
def test_what_shows_over_several_processes_is_named(model: str, way: str, llama: Path, tmp_path: Path) -> None:
    spec = llama if model == "llama" else TRAINED / model
    # What the last one changes stays changed for those after it.
    adapters = [f"{BAD}:{each.__name__}" for each in sorted(RANKS, key=lambda each: each is LeftOnOthers)]
    found = judged(tmp_path, spec, way, adapters, "-m", "steering_requirement(group='parallel')")
    for each in RANKS:
        row = found[each.__name__]
        assert each.chiefly in failed(row)
        assert (each.__name__, failed(row)) == (each.__name__, set(each.breaks))
        assert (each.__name__, row["cause"]) == (each.__name__, each.cause.value)
    assert set().union(*(each.breaks for each in RANKS)) == OF_RANKS


def test_they_are_right_in_one_process(tmp_path: Path) -> None:
    adapters = [f"--steering-adapter={BAD}:{each.__name__}" for each in RANKS]
    chosen = "exact_delta or every_pass or clean_after_exit"
    found = verdicts(tmp_path / "report.json", "--steering-model=tiny:llama", *adapters, "-k", chosen)
    assert [row["failed"] for row in found.values()] == [set() for _ in RANKS]


@pytest.mark.slow
def test_what_fails_on_one_rank_fails_the_run_and_its_command_repeats_it(llama: Path) -> None:
    """Rank 0 steers rightly, and the requirement is one that asks nothing of ranks."""
    asked = (f"--steering-model={llama}", "--steering-parallel=fsdp2", f"--steering-adapter={BAD}:FirstRankOnly")
    done = ranked(*asked, "-k", "exact_delta and first")
    assert done.returncode != 0
    lines = done.stdout.splitlines()
    assert any("(on rank 1 of 2)" in line for line in lines), done.stdout
    assert (
        f"  rerun: torchrun --nproc-per-node=2 -m pytest --steering-model={llama} "
        f"--steering-adapter={BAD}:FirstRankOnly --steering-parallel=fsdp2 "
        f'"conformance/test_divergence.py::test_exact_delta[{llama}-first-0.5]"'
    ) in lines, done.stdout


ENDING = """
import os, time
import torch
from pytest_steering.adapters.hooks import HooksAdapter


def rank():
    return torch.distributed.get_rank()


class Ending(HooksAdapter):
    def __init__(self, model, architecture):
        super().__init__(model, architecture)
        layer = architecture.layers[1]
        self.steering = False
        layer.register_forward_hook(self.act)

    def act(self, *_):
        if self.steering and rank():
            self.end()

    def steer(self, plan):
        self.steering = True
        return super().steer(plan)


class Raises(Ending):
    def end(self):
        raise RuntimeError("no luck on this rank")


class Sleeps(Ending):
    def end(self):
        time.sleep(1000)


class Dies(Ending):
    def end(self):
        os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Raises", "Sleeps", "Dies"])
def test_a_rank_that_ends_inside_a_pass_leaves_no_other_waiting_for_good(how: str, llama: Path, tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(ENDING)
    started = time.perf_counter()
    done = ranked(
        f"--steering-model={llama}",
        "--steering-parallel=tensor",
        f"--steering-adapter=ending:{how}",
        "--steering-timeout=8",
        "-k",
        "exact_delta and first",
        at=tmp_path,
        seconds=120,
    )
    assert done.returncode != 0
    assert time.perf_counter() - started < 100
    said = done.stdout + done.stderr
    # Where a rank is killed, torchrun may end the other before it can say so.
    launcher = how == "Dies" and re.search(r"exitcode +: -9 ", said)
    assert launcher or "has not ended after 8 s (--steering-timeout)" in said or "another rank has ended" in said, said


UNDER = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "0"}


@pytest.mark.parametrize(
    ("started", "args", "sentence"),
    [
        (
            False,
            ["--steering-parallel=tensor"],
            "--steering-parallel=tensor spreads the model over processes, and this is one alone: start several by "
            "torchrun --nproc-per-node=2 -m pytest --steering-parallel=tensor …",
        ),
        (True, ["--steering-parallel=tenso"], "--steering-parallel: there is no way 'tenso'; did you mean tensor?"),
        (True, ["--steering-parallel=x"], "--steering-parallel: there is no way 'x'; known are tensor, fsdp2"),
        (
            True,
            [],
            "this run is one of 2 that torchrun has started, and each would judge the same: say how they share the "
            "model (--steering-parallel=tensor or fsdp2), or start one",
        ),
    ],
)
def test_what_cannot_be_meant_of_ranks_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, started: bool, args: list[str], sentence: str
) -> None:
    for name, value in UNDER.items() if started else ():
        monkeypatch.setenv(name, value)
    refused(desk, "--steering-model=my_models:a", *args, sentence=sentence)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--steering-device-map=cpu", "--steering-device-map: both say where the model goes"),
        ("--steering-fuzz=1", "--steering-fuzz: each rank would look at its own clock"),
        ("--steering-bundle=x", "--steering-bundle: no script of one process shows a failure of several"),
        ("-n2", "-n: workers of pytest-xdist are no ranks"),
        ("--steering-engine=own", "--steering-engine: an engine runs a checkpoint by itself"),
    ],
)
def test_what_does_not_go_together_with_ranks_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, option: str, said: str
) -> None:
    for name, value in UNDER.items():
        monkeypatch.setenv(name, value)
    sentence = f"--steering-parallel=fsdp2 does not go together with {said}; leave one out"
    refused(desk, "--steering-model=my_models:a", "--steering-parallel=fsdp2", option, sentence=sentence)


def test_shapes_are_not_spread(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in UNDER.items():
        monkeypatch.setenv(name, value)
    spec = f"config:{TRAINED / 'starcoder2'}"
    sentence = f"{spec} has shapes and no weights to spread: leave out --steering-parallel"
    refused(desk, f"--steering-model={spec}", "--steering-parallel=tensor", sentence=sentence)


def test_where_one_process_is_all_nothing_of_ranks_is_asked(desk: Desk) -> None:
    result = desk.run("--steering-model=my_models:a", "--collect-only", "-q")
    assert "test_parallel.py" not in result.stdout.str()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_is_built_here_is_spread_like_a_checkpoint(way: str, tmp_path: Path) -> None:
    found = judged(tmp_path, "tiny:llama", way, ["hooks"], "-k", "equals_one_process or exact_delta")
    assert found["hooks"]["verdict"] == "conforms"
    assert {"equals-one-process", "exact-delta"} <= passed(found["hooks"])


@pytest.mark.slow
def test_a_model_without_a_plan_is_an_error_with_the_other_way(tmp_path: Path) -> None:
    done = ranked(f"--steering-model={TRAINED / 'gpt_bigcode'}", "--steering-parallel=tensor", "-k", "layers_found")
    assert done.returncode != 0
    assert "transformers has no tensor parallel plan for GPTBigCodeForCausalLM" in done.stdout, (
        done.stdout + done.stderr
    )
    assert "give --steering-parallel=fsdp2" in done.stdout
