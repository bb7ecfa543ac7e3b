from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_steering.evaluation.config import ExperimentError
from pytest_steering.evaluation.store import Store


def identity(**changes: Any) -> dict[str, Any]:
    return {
        "config": {"steering_scale": 100.0, "doses": (0, 0.1)} | changes,
        "versions": {"torch": "1"},
        "plan": {"a": 1},
    }


def test_store_goes_on_with_the_same_experiment_and_refuses_another(tmp_path: Path) -> None:
    store = Store(tmp_path / "out", identity())
    store.write("CWE-89/fold-1/doses", {"value": 0.1 + 0.2})
    again = Store(tmp_path / "out", identity() | {"plan": {"a": 2}})
    assert again.identity["plan"] == {"a": 1}
    assert again.read("CWE-89/fold-1/doses") == {"value": 0.1 + 0.2}
    with pytest.raises(ExperimentError) as caught:
        Store(tmp_path / "out", identity(steering_scale=50.0))
    assert str(caught.value) == (
        f"{tmp_path / 'out'} holds an experiment with config steering_scale 100.0, and this one has 50.0: their "
        "numbers do not mix; give another output directory, or run it as it was"
    )
    with pytest.raises(ExperimentError, match="with schema null, and this one has 9"):
        Store(tmp_path / "out", identity() | {"schema": 9})
    with pytest.raises(ExperimentError, match='versions torch "1", and this one has "2"'):
        Store(tmp_path / "out", identity() | {"versions": {"torch": "2"}})


def test_store_says_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExperimentError, match="results cannot be written there"):
        Store(tmp_path / "file", identity())
    (tmp_path / "parts").mkdir()
    with pytest.raises(ExperimentError, match=r"no experiment\.json to tell which"):
        Store(tmp_path, identity())
    store = Store(tmp_path / "new", identity())
    store.write("part", {})
    (tmp_path / "new" / "parts" / "part.json").write_text('{"cut')
    with pytest.raises(ExperimentError, match="delete it, and it is made again"):
        store.read("part")


def test_a_part_that_fails_to_be_written_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path, identity())
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write("part", {"value": float("nan")})
    assert not store.has("part")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == []
