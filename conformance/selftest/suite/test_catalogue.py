"""The catalogue is complete, and the folder's README says what it says."""

from __future__ import annotations

import re

from conformance.selftest.places import ROOT
from pytest_steering.suite.catalogue import catalogue, first_sentence, table

VERSION_1_0 = {
    "architecture": "layers-found layers-chain hidden-size-measured text-decoder-only each-layer-once default-layers",
    "shapes": "residual-shape steering-tensor-shape output-type-preserved wrong-shape-refused",
    "vectors": "vectors-nonzero planted-direction-recovered vector-round-trip foreign-vector-refused "
    "caller-vector-unchanged",
    "divergence": "exact-delta upstream-untouched zero-scale-is-identity scale-is-linear sign-is-kept logits-diverge "
    "tokens-diverge dose-response beats-random-direction",
    "positions": "only-these-positions every-row padding-untouched padded-equals-unpadded batch-equals-single",
    "generation": "every-pass cache-equals-no-cache single-token-prompt chunked-prefill beams seeded-sampling assisted",
    "reproducibility": "same-twice same-in-fresh-process rng-untouched order-independent",
    "lifecycle": "clean-after-exit clean-after-exception re-entry nesting two-models model-left-alone "
    "steers-after-compile steers-in-inference-mode",
    "numerics": "",
    "hot-path": "",
}


def test_every_requirement_of_version_1_0_is_there() -> None:
    found = catalogue()
    for group, ids in VERSION_1_0.items():
        assert any(requirement.group == group for requirement in found.values())
        for name in ids.split():
            assert found[name].group == group


def test_each_states_what_is_true() -> None:
    for requirement in catalogue().values():
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", requirement.id)
        assert requirement.sentence[0].islower()
        assert "\n" not in requirement.sentence
        assert not requirement.sentence.startswith(("check", "test", "verify", "ensure"))


def test_first_sentence() -> None:
    assert first_sentence("One thing is\n    true. Another too.\n\nMore.") == "One thing is true"
    assert first_sentence("Scale 0.5 is kept.\n\nMore.") == "Scale 0.5 is kept"


def test_the_folder_s_readme_has_the_table() -> None:
    readme = (ROOT / "conformance" / "README.md").read_text(encoding="utf-8")
    between = re.search(r"<!-- requirements -->\n(.*)\n<!-- /requirements -->", readme, re.DOTALL)
    assert between is not None
    assert between[1] == table(), "run: python -m pytest_steering requirements, and paste it"
