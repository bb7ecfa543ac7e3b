"""Which axis is which: told by the lengths of one run, or by what changes in a second run of other lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_steering.architecture.residual import Layout, Path

ROWS, TOKENS = 2, 5
OTHER_ROWS, OTHER_TOKENS = 3, 7


def layout_of(path: Path, shape: Sequence[int], other: Callable[[], Sequence[int] | None]) -> Layout | None:
    """The layout of a residual stream of ``shape`` in a run of ``ROWS`` rows of ``TOKENS`` tokens, if it has one.

    ``other`` gives the shape of the same tensor in a run of ``OTHER_ROWS`` rows of ``OTHER_TOKENS`` tokens. It is
    asked only where the lengths of the first run leave a doubt.
    """
    lead = list(shape[:-1])
    if lead.count(ROWS) == 1 and lead.count(TOKENS) == 1:
        return Layout(path, lead.index(ROWS), lead.index(TOKENS))
    second = other()
    if second is None or len(second) != len(shape):
        return None
    pairs = list(zip(lead, second, strict=False))
    batch = [axis for axis, pair in enumerate(pairs) if pair == (ROWS, OTHER_ROWS)]
    sequence = [axis for axis, pair in enumerate(pairs) if pair[0] != pair[1] and axis not in batch]
    if len(batch) != 1 or len(sequence) != 1:
        return None
    now, then = pairs[sequence[0]]
    if now % TOKENS == 0 and now // TOKENS * OTHER_TOKENS == then:
        return Layout(path, batch[0], sequence[0], repeats=now // TOKENS)
    if now - TOKENS == then - OTHER_TOKENS > 0:
        return Layout(path, batch[0], sequence[0], extra=now - TOKENS)
    return None
