"""Every token that goes through a watched model is counted."""

from __future__ import annotations

import torch
from pytest_steering.fixtures.anatomies import InSequential

from pytest_steering.plugin.metering import ForwardPasses, peak_bytes


def test_passes_and_the_tokens_of_every_row_and_column_are_counted() -> None:
    model, counter = InSequential(), ForwardPasses()
    counter.watch(model)
    model(torch.ones(2, 5, dtype=torch.long))
    assert (counter.passes, counter.tokens) == (1, 10)
    model(torch.ones(3, 1, dtype=torch.long))
    assert (counter.passes, counter.tokens) == (2, 13)


def test_this_process_holds_some_memory() -> None:
    before = peak_bytes()
    assert before > 10_000_000, "torch alone takes more than ten megabytes"
    held = torch.ones(before // 8)
    assert peak_bytes() > before + before // 4 > held.numel()
