from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_steering.fixtures.checkpoint import write_checkpoint
from pytest_steering.fixtures.hub_server import Hub, Mode, Repository, hub

pytestmark = pytest.mark.slow

# huggingface_hub reads its settings when it is imported: each set of them needs a process.
SCRIPT = """
import json, sys, time
from pytest_steering import SteeringError, load_target

for spec in sys.argv[1:]:
    started = time.perf_counter()
    try:
        target = load_target(spec)
    except SteeringError as error:
        sentence = f"{type(error).__name__}: {error}"
    else:
        sentence = "; ".join([f"{len(target.tokenizer)} tokens, trained: {target.trained}", *target.notes])
    print(json.dumps([spec, sentence, time.perf_counter() - started]))
"""
LOADED = "320 tokens, trained: True"
REACH = "run where the Hub can be reached"
FIRST = "model-00001-of-00002.safetensors"


@dataclass
class Answer:
    """What loading one spec came to, and how long it took."""

    sentence: str
    seconds: float


def load(url: str, home: Path, *specs: str, **settings: str) -> dict[str, Answer]:
    inherited = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    environment = inherited | {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"} | settings
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, *specs],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (run.returncode, run.stderr) == (0, "")
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return {spec: Answer(sentence, seconds) for spec, sentence, seconds in lines}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One process that asks a Hub for every kind of repository, and then one that has only the cache."""
    root = tmp_path_factory.mktemp("hub")
    sharded = write_checkpoint(root / "sharded", max_shard_size="100KB")
    pickled = write_checkpoint(root / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    repositories = {f"team/{mode}": Repository(sharded, mode) for mode in Mode}
    repositories["team/pickled"] = Repository(pickled)
    with hub(repositories) as running:
        online = load(running.url, root / "home", *repositories, "team/normal", "team/none")
    offline = load(running.url, root / "home", "team/normal", "team/cut", "team/none", HF_HUB_OFFLINE="1")
    return SimpleNamespace(hub=running, online=online, offline=offline, home=root / "home")


def fetched(running: Hub, ending: str) -> list[str]:
    return [request for request in running.requests if request.startswith("GET") and request.endswith(ending)]


def test_downloaded_once(session: SimpleNamespace) -> None:
    assert session.online["team/normal"].sentence == LOADED
    assert session.online["team/normal"].seconds < 30
    assert len(fetched(session.hub, f"team/normal/resolve/main/{FIRST}")) == 1


def test_slow_download_works(session: SimpleNamespace) -> None:
    assert session.online["team/slow"].sentence == LOADED
    assert session.online["team/slow"].seconds > 1


def test_download_that_breaks_off(session: SimpleNamespace) -> None:
    sentence = session.online["team/cut"].sentence
    assert sentence.startswith(f"TargetError: team/cut: the download of {FIRST} broke off: ")
    assert sentence.endswith("; run again to resume it")


def test_file_that_is_listed_and_missing(session: SimpleNamespace) -> None:
    assert session.online["team/missing"].sentence == (
        f"TargetError: team/missing: the repository lists {FIRST} and does not have it (404); tell its owner"
    )


def test_gated(session: SimpleNamespace) -> None:
    assert session.online["team/gated"].sentence == (
        "TargetError: team/gated: the model is gated; "
        f"accept its terms on {session.hub.url}/team/gated and set HF_TOKEN"
    )


def test_no_such_model(session: SimpleNamespace) -> None:
    assert session.online["team/none"].sentence == (
        f"TargetError: team/none: no such model on {session.hub.url} (or a private one: set HF_TOKEN)"
    )


def test_pickled_weights_are_not_even_downloaded(session: SimpleNamespace) -> None:
    assert session.online["team/pickled"].sentence == (
        "TargetError: team/pickled: the weights are pickled (pytorch_model.bin), and reading a pickle can run code; "
        "convert them to safetensors, or pass --steering-trust-remote-code"
    )
    assert not fetched(session.hub, ".bin")


def test_offline_from_the_cache(session: SimpleNamespace) -> None:
    assert session.offline["team/normal"].sentence == f"{LOADED}; loaded from the cache: HF_HUB_OFFLINE is set"


def test_offline_and_half_cached(session: SimpleNamespace) -> None:
    assert session.offline["team/cut"].sentence == (
        "TargetError: team/cut: the cache has its config.json and no safetensors weights, "
        f"and HF_HUB_OFFLINE is set; {REACH}"
    )


def test_offline_and_not_cached(session: SimpleNamespace) -> None:
    assert session.offline["team/none"].sentence == (
        f"TargetError: team/none: it is not in the cache, and HF_HUB_OFFLINE is set; give a directory, or {REACH}"
    )
    assert session.offline["team/none"].seconds < 8  # retries take 25


def test_nobody_listens_at_the_endpoint(session: SimpleNamespace) -> None:
    reason = f"{session.hub.url} cannot be reached ([Errno 111] Connection refused)"
    answers = load(session.hub.url, session.home, "team/none", "team/normal")
    assert answers["team/none"].sentence == (
        f"TargetError: team/none: it is not in the cache, and {reason}; give a directory, or {REACH}"
    )
    assert answers["team/none"].seconds < 8  # retries take 25
    assert answers["team/normal"].sentence == f"{LOADED}; loaded from the cache: {reason}"


def test_nobody_listens_at_the_proxy(tmp_path: Path) -> None:
    answers = load("http://hub.invalid", tmp_path, "team/none", http_proxy="http://127.0.0.1:9")
    assert answers["team/none"].sentence == (
        "TargetError: team/none: it is not in the cache, and http://hub.invalid cannot be reached "
        "through the proxy 127.0.0.1:9 ([Errno 111] Connection refused); "
        f"give a directory, or {REACH}"
    )
    assert answers["team/none"].seconds < 8  # retries take 25


def test_endpoint_that_listens_and_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        answers = load(url, tmp_path, "team/none", HF_HUB_ETAG_TIMEOUT="1")
    sentence = answers["team/none"].sentence
    assert sentence.startswith(
        f"TargetError: team/none: it is not in the cache, and {url} does not answer (ReadTimeout"
    )
    assert sentence.endswith(f"; give a directory, or {REACH}")
    assert answers["team/none"].seconds < 10
