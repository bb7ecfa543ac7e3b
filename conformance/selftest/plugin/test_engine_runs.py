"""Runs on engines: what is asked when one is named, how one is found, and how its verdict reads."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk, functions, ids, refused
from pytest_steering.suite.catalogue import Asked

MODEL = "--steering-model=tiny:llama"
OWN = "--steering-engine=own"
PREFILL = "--steering-engine=pytest_steering.fixtures.engines.known_bad.tokens:PrefillOnly"
DECODE = ("-k", "decode_steered")

OF_ENGINES = sorted(each.nodeid for each in Asked(engines=True).requirements.values())
OF_ADAPTERS = sorted(each.nodeid for each in Asked().requirements.values())

ENGINES = """
number = 7
def both(*given): raise RuntimeError("no licence")
class Nothing:
    name, capabilities = "nothing", frozenset()
    def __init__(self, directory, architecture): pass
class Misspelt(Nothing):
    capabilities = {"severl"}
    def run(self, requests): return []
    def close(self): pass
"""


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--steering-engine=onw"], "there is no steering engine 'onw': did you mean 'own'?"),
        (["--steering-engine=mine:E"], "steering engine 'mine:E': module 'mine' cannot be imported *"),
        (
            ["--steering-engine=my_engines:number"],
            "steering engine 'my_engines:number' is a int, not a callable (directory, architecture) -> engine",
        ),
        (
            ["--steering-engine=my_engines:both", "--steering-adapter=my_engines:both"],
            "'my_engines:both' names an adapter and an engine: judge them in two runs",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_engine_that_is_none(desk: Desk, args: list[str], sentence: str) -> None:
    desk.write(my_engines=ENGINES)
    refused(desk, MODEL, *args, sentence=sentence)


def test_an_engine_that_is_none_without_a_model(desk: Desk) -> None:
    refused(desk, "--steering-engine=nix", sentence="there is no steering engine 'nix': *")


@pytest.mark.parametrize(
    ("args", "ini", "asked"),
    [
        ([OWN], (), OF_ENGINES),
        ([OWN, "--steering-adapter=hooks"], (), sorted(OF_ENGINES + OF_ADAPTERS)),
        ([], (), OF_ADAPTERS),
        ([], (OWN,), OF_ENGINES),
        (["--steering-adapter=hooks"], (OWN,), OF_ADAPTERS),
        ([], (OWN, "steering_adapter = hooks"), sorted(OF_ENGINES + OF_ADAPTERS)),
        ([OWN, "--steering-suite=1.0"], (), []),
    ],
    ids=["engine", "both", "neither", "engine in ini", "adapter typed", "both in ini", "before engines"],
)
def test_what_is_asked(desk: Desk, args: list[str], ini: tuple[str, ...], asked: list[str]) -> None:
    desk.ini(*(line.replace("--steering-engine=", "steering_engines = ") for line in ini))
    assert functions(ids(desk.run(MODEL, *args, "--co", "-q"))) == asked


def test_a_verdict_on_an_engine(desk: Desk) -> None:
    result = desk.run(MODEL, OWN, PREFILL, *DECODE, "--steering-report=report.json")
    assert result.ret == 1
    left = len(OF_ENGINES) - 1
    result.stdout.fnmatch_lines(
        [
            "decode-steered: every generated token of a steered request is steered, *",
            "  PrefillOnly 1.0 on tiny:llama: log-probabilities off by up to *",
            "  likely: only the first pass (the prompt) is steered: positions *",
            f'  rerun: pytest {MODEL} {PREFILL} "conformance/test_engine.py::test_decode_steered[[]tiny:llama]"',
            f"tiny:llama with own 1.0: conforms to 1.1 as far as it ran, {left} of {left + 1} requirements left out *",
            f"tiny:llama with PrefillOnly 1.0: fails 1.1 as far as it ran, {left} of {left + 1} *",
        ]
    )
    rows = desk.report()["models"]
    assert [(row["kind"], row["verdict"], row["cause"]) for row in rows] == [
        ("engine", "conforms", ""),
        ("engine", "fails", "prompt-only"),
    ]


def test_an_adapter_beside_an_engine(desk: Desk) -> None:
    result = desk.run(
        MODEL,
        OWN,
        "--steering-adapter=hooks",
        "-k",
        "layers_found or exact_delta or one_token_request",
        "--steering-report=report.json",
    )
    rows = desk.report()["models"]
    found = [(row["kind"], row["adapter"], sorted({each["id"] for each in row["requirements"]})) for row in rows]
    assert [(kind, ids) for kind, _, ids in found] == [
        ("adapter", ["exact-delta", "layers-found"]),
        ("engine", ["one-token-request"]),
    ]
    assert result.ret == 0


def test_a_known_failure_of_an_engine(desk: Desk) -> None:
    desk.ini("steering_known_failures = decode-steered: see issue 3")
    assert desk.run(MODEL, PREFILL, *DECODE).ret == 0
    stale = desk.run(MODEL, OWN, *DECODE)
    assert stale.ret == 1
    stale.stdout.fnmatch_lines(["decode-steered is a known failure and fails no more: *"])
    desk.ini("steering_known_failures = prompt-steered[adapter=own, where=nowhere]: see issue 3")
    none = desk.run(MODEL, OWN, "-k", "prompt_steered")
    assert none.ret == 1
    none.stdout.fnmatch_lines(["prompt-steered*is a known failure and no test of prompt-steered is so: mend it*"])


def test_an_engine_on_a_worker(desk: Desk) -> None:
    result = desk.run_apart(MODEL, OWN, *DECODE, "-n", "1", "--steering-report=report.json")
    assert result.ret == 0
    assert [row["verdict"] for row in desk.report()["models"]] == ["conforms"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("both", "engine my_engines:both cannot be built: RuntimeError: no licence"),
        ("Nothing", "engine my_engines:Nothing made a Nothing, which has no run(requests) method: see the contract *"),
        (
            "Misspelt",
            "engine my_engines:Misspelt declares 'severl', which is no capability: did you mean "
            "EngineCapability.SEVERAL?",
        ),
    ],
)
def test_an_engine_that_does_not_start(desk: Desk, name: str, sentence: str) -> None:
    desk.write(my_engines=ENGINES)
    result = desk.run(MODEL, f"--steering-engine=my_engines:{name}", "-k", "decode_steered or mixed_batch")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"tiny:llama: {sentence}", f"*: error: {sentence}"])
    assert "Traceback" not in result.stdout.str()


def test_an_engine_needs_weights(desk: Desk) -> None:
    result = desk.run("--steering-model=my_models:a", OWN, *DECODE)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*my_models:a: * has no save_pretrained, so there is no checkpoint *"])
