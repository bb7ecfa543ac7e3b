"""A bar for work that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_steering.vectors.errors import needs


@contextmanager
def progress_bar(total: int, what: str, *, shown: bool) -> Iterator[Callable[[int], object]]:
    """What is yielded is called with the number of rows done; nothing is imported or written unless ``shown``."""
    if not shown:
        yield lambda _rows: None
        return
    try:
        from tqdm import tqdm  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise needs("tqdm", "a progress bar") from None
    with tqdm(total=total, desc=what, unit="text") as bar:
        yield bar.update
