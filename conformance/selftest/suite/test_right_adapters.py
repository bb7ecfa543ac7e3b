"""Right adapters pass on residual streams of any size: tiny ones of default weights, and those of real widths."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk
from conformance.selftest.samples import sample

ORDERS = [f"--steering-adapter=my_steering:{name}" for name in ("Right", "InSingles", "RoundedFirst")]
NUMBERS = ("-k", "numerics or exact_delta or scale_is_linear or seed_dose")


SUBJECTS = [
    ("tiny:llama?init=default", "bfloat16"),
    ("tiny:llama?init=default", "float32"),
    ("tiny:llama?init=default&layers=1", "float64"),
    ("tiny:llama?init=default", "float16"),
    ("tiny:gpt2?layers=2&hidden=768&init=default", "float32"),
    ("tiny:llama?layers=2&hidden=576", "float16"),
]


@pytest.mark.parametrize(("spec", "dtype"), sample(SUBJECTS, 2, "KNOWN_GOOD"))
def test_every_order_of_multiplying_and_rounding_passes(desk: Desk, spec: str, dtype: str) -> None:
    result = desk.run(
        f"--steering-model={spec}", f"--steering-dtype={dtype}", *ORDERS, *NUMBERS, "--steering-report=r.json"
    )
    found = [
        (one["id"], model["adapter"], one["reason"])
        for model in desk.report("r.json")["models"]
        for one in model["requirements"]
        if one["outcome"] not in ("passed", "not_applicable")
    ]
    assert found == []
    assert result.ret == 0
