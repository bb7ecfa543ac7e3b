"""``tiny:TYPE?layers=N&hidden=N``: small models of other sizes, and what of it cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from conformance.selftest.desk import BAD, FEW, OF_FEW, RIGHT, Desk, refused
from pytest_steering import SpecError, load_target
from pytest_steering.targets.patterns import expanded
from pytest_steering.targets.spec import IMAGE_TEXT, check_spec, parse_spec, sizes_of, tiny_of
from pytest_steering.targets.tiny.models import tiny_model
from pytest_steering.targets.tiny.sizes import SMALL, Sizes, parted

SIZED = "tiny:llama?layers=2&hidden=48"


def refusal(spec: str) -> str:
    with pytest.raises(SpecError) as caught:
        check_spec(parse_spec(spec))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(f"{spec}: ")
    return sentence.removeprefix(f"{spec}: ")


@pytest.mark.parametrize(
    ("spec", "sizes"),
    [
        ("tiny:llama", SMALL),
        ("tiny:llama?layers=12", Sizes(12, 32)),
        ("tiny:llama?hidden=576", Sizes(4, 576)),
        ("tiny:llama?layers=12&hidden=768", Sizes(12, 768)),
        ("tiny:llama?hidden=768&layers=12", Sizes(12, 768)),
        ("tiny:llama?init=default", Sizes(default_init=True)),
        ("tiny:llama@text-generation?layers=2&init=default", Sizes(2, 32, default_init=True)),
    ],
)
def test_what_is_given_is_read_and_the_rest_stays(spec: str, sizes: Sizes) -> None:
    parsed = parse_spec(spec)
    assert (parsed.text, parsed.is_pattern, sizes_of(parsed)) == (spec, False, sizes)
    assert tiny_of(parsed) == ("llama", "text-generation")
    check_spec(parsed)


@pytest.mark.parametrize("value", ["llama?", "llam?", "gpt?[ab]", "llama?layers"])
def test_a_wildcard_is_no_size(value: str) -> None:
    assert parted(value) == (value, "")
    assert parse_spec(f"tiny:{value}").is_pattern


@pytest.mark.parametrize(
    ("spec", "layers", "hidden"),
    [
        ("tiny:llama?layers=12&hidden=768", 12, 768),
        ("tiny:gpt2?hidden=576", 4, 576),
        ("tiny:gpt_bigcode?layers=1", 1, 32),
        ("tiny:starcoder2?layers=7&hidden=48", 7, 48),
        ("tiny:qwen2?hidden=16", 4, 16),
        ("tiny:gemma3?layers=9&hidden=64", 9, 64),
        ("tiny:mamba2?layers=3&hidden=64", 3, 64),
        ("tiny:gpt_neo?layers=3", 3, 32),
        ("tiny:bamba?layers=6&hidden=64", 6, 64),
    ],
)
def test_the_model_has_these_sizes_and_runs(spec: str, layers: int, hidden: int) -> None:
    target = load_target(spec)
    assert (target.architecture.num_layers, target.architecture.hidden_size) == (layers, hidden)
    assert target.spec == spec
    ids = torch.arange(40, 52).unsqueeze(0)
    assert torch.isfinite(target.model(input_ids=ids).logits).all()
    generated = target.model.generate(input_ids=ids, max_new_tokens=3, do_sample=False)  # type: ignore[operator]
    assert generated.shape == (1, 15)


def test_a_tower_is_as_large_as_the_text_decoder() -> None:
    config: Any = tiny_model("llava", IMAGE_TEXT, sizes=Sizes(2, 48)).config
    for part in (config.text_config, config.vision_config):
        assert (part.num_hidden_layers, part.hidden_size) == (2, 48)


def test_each_kind_of_layer_occurs_among_many() -> None:
    config: Any = tiny_model("gemma3", sizes=Sizes(8, 32)).config
    assert (len(config.layer_types), set(config.layer_types)) == (8, {"sliding_attention", "full_attention"})


def test_default_weights_are_those_of_the_class() -> None:
    def deviation(spec: str) -> float:
        return float(load_target(spec).model.get_parameter("model.layers.1.mlp.up_proj.weight").detach().std())

    assert deviation("tiny:llama?init=default") == pytest.approx(0.02, rel=0.1)
    assert deviation("tiny:llama") == pytest.approx(0.2, rel=0.1)
    assert deviation("tiny:llama?layers=3") == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("layer=2", "a small model has no 'layer' to set; did you mean layers?"),
        ("seed=2", "a small model has no 'seed' to set; give layers=N, hidden=N or init=default"),
        ("=2", "a small model has no '' to set; give layers=N, hidden=N or init=default"),
        ("layers=2&", "a small model has no '' to set; give layers=N, hidden=N or init=default"),
        ("layers=", "layers must be a whole number from 1 to 512; got ''"),
        ("layers=0", "layers must be a whole number from 1 to 512; got '0'"),
        ("layers=-2", "layers must be a whole number from 1 to 512; got '-2'"),
        ("layers=2.0", "layers must be a whole number from 1 to 512; got '2.0'"),
        ("layers=²", "layers must be a whole number from 1 to 512; got '²'"),
        ("layers=513", "layers must be a whole number from 1 to 512; got '513'"),
        ("hidden=1e3", "hidden must be a whole number from 1 to 16384; got '1e3'"),
        ("layers=2@text-generation", "layers must be a whole number from 1 to 512; got '2@text-generation'"),
        ("hidden=100", "hidden must be a multiple of 16, two heads of 8; give 96 or 112"),
        ("hidden=8", "hidden must be a multiple of 16, two heads of 8; give 16"),
        ("layers=2&layers=2", "layers is given twice; give it once"),
        ("init=0.02", "init can only be default, the model class's own initialisation; got '0.02'"),
    ],
)
def test_what_cannot_be_meant_is_said(given: str, sentence: str) -> None:
    assert refusal(f"tiny:llama?{given}") == sentence


def test_what_is_not_small_is_refused_before_memory_is_gone() -> None:
    assert refusal("tiny:llama?layers=1&hidden=16384").startswith("it would have ")
    assert refusal("tiny:gpt2?layers=12&hidden=768") == (
        "it would have 86 M parameters, and a small model has at most 20 M; "
        "give fewer layers or a smaller hidden, or the directory of a checkpoint"
    )


def test_what_the_type_cannot_be_is_refused() -> None:
    sentence = refusal("tiny:zamba?layers=1")
    assert sentence.startswith("zamba cannot be built in these sizes: ")
    assert sentence.endswith("; give others, or none")
    load_target("tiny:zamba?layers=4&hidden=64")


def test_no_type_has_no_sizes() -> None:
    with pytest.raises(SpecError, match=r"^tiny: names no model type; give for example tiny:llama$"):
        check_spec(parse_spec("tiny:?layers=2"))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "tiny:gpt*?layers=2",
            "sizes are given for one model type; name it, for example tiny:llama?layers=2",
        ),
        (
            "tiny:llama?layers:2",
            "no language model type of the installed transformers fits; "
            "sizes are given as in tiny:llama?layers=2&hidden=64",
        ),
    ],
)
def test_a_pattern_has_no_sizes(spec: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        expanded([parse_spec(spec)])
    assert str(caught.value) == f"{spec}: {sentence}"


def test_a_run_is_refused_with_one_sentence(desk: Desk) -> None:
    for spec, sentence in {
        "tiny:llama?hidden=100": "hidden must be a multiple of 16, two heads of 8; give 96 or 112",
        "tiny:llama?hidden=16384": "it would have * M parameters, and a small model has at most 20 M; *",
        "tiny:*?layers=2": "sizes are given for one model type; name it, for example tiny:llama?layers=2",
    }.items():
        refused(desk, f"--steering-model={spec}", "-n2", sentence=f"{spec}: {sentence}")


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=["no xdist", "-n2"])
def test_models_of_several_sizes_are_judged(desk: Desk, workers: tuple[str, ...]) -> None:
    specs = [SIZED, "tiny:llama?init=default"]
    models = [f"--steering-model={spec}" for spec in specs]
    result = desk.run(*models, *workers, RIGHT, *FEW, "--steering-report=report.json")
    assert result.parseoutcomes()["passed"] == 2 * len(OF_FEW)
    found = {model["spec"]: model["architecture"] for model in desk.report()["models"]}
    assert {spec: (of["num_layers"], of["hidden_size"]) for spec, of in found.items()} == {
        specs[0]: (2, 48),
        specs[1]: (4, 32),
    }


def test_a_shell_can_read_the_command_that_repeats(desk: Desk) -> None:
    failing = desk.run(f"--steering-model={SIZED}", BAD, "-k", "every_row and first")
    nodeid = f"conformance/test_positions.py::test_every_row[{SIZED}-first]"
    assert f"  rerun: pytest '--steering-model={SIZED}' {BAD} \"{nodeid}\"" in failing.outlines
    again = desk.run(f"--steering-model={SIZED}", BAD, nodeid)
    assert again.parseoutcomes() == {"failed": 1}
