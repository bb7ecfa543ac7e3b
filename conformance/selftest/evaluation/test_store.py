from __future__ import annotations

import json
import resource
import signal
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


@pytest.mark.parametrize("name", ["parts/a/doses.json", "experiment.json"])
def test_every_damage_to_a_stored_file_is_told(tmp_path: Path, name: str) -> None:
    """One bit, wherever it lies, makes no other result: it is an error, or no change of what was written."""
    content = {"answers": [0.25, -1.5, 3], "texts": ["a", "é"], "clean_after": True}
    store = Store(tmp_path, identity())
    store.write("a/doses", content)
    path = tmp_path / name
    whole = path.read_bytes()
    told = 0
    for place in range(len(whole)):
        for bit in (0x01, 0x04, 0x80):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            try:
                found = store.read("a/doses") if name.startswith("parts") else Store(tmp_path, identity()).identity
            except ExperimentError as error:
                told += "delete it, and it is made again" in str(error)
            else:
                assert found == (content if name.startswith("parts") else json.loads(json.dumps(identity())))
    assert told > 2.5 * len(whole), "but for blanks, which mean nothing"
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ExperimentError):
            store.read("a/doses") if name.startswith("parts") else Store(tmp_path, identity())


def test_a_full_disk_is_told_and_nothing_is_torn(tmp_path: Path) -> None:
    store = Store(tmp_path, identity())
    store.write("a/doses", {"value": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ExperimentError) as caught:
            store.write("a/texts", {"texts": ["x" * 5000]})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handled)
    assert str(caught.value).endswith(
        "it cannot be written (File too large); what is finished is kept: make room, and run the same command again to "
        "go on"
    )
    assert [path.name for path in (tmp_path / "parts" / "a").iterdir()] == ["doses.json"]
    store.write("a/texts", {"texts": ["x" * 5000]})
    assert store.read("a/texts") == {"texts": ["x" * 5000]}
