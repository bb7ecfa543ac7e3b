"""Hub ids: transformers' own cache, and one sentence at once when a model cannot be had."""

from __future__ import annotations

import socket
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub import constants, errors

from pytest_steering.errors import TargetError, one_line
from pytest_steering.targets.checkpoint import INDEX, check_config, choose_weights, shards
from pytest_steering.targets.memory import check_fits
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import Spec

_PROBE_SECONDS = 4.0
_SMALL = (".json", ".txt", ".model", ".jinja", ".tiktoken")


def snapshot(spec: Spec, *, dtype: torch.dtype | None, trust_remote_code: bool) -> tuple[Path, list[str]]:
    """The directory in the Hub's cache that holds the checkpoint, downloaded where it was not, and notes.

    Offline, or where the endpoint does not answer, the cache alone decides, at once. ``TargetError`` for a
    model that does not exist, is private, does not fit, or whose download breaks off.
    """
    reason = _unreachable()
    if reason is None:
        try:
            return _downloaded(spec, dtype=dtype, trust_remote_code=trust_remote_code), []
        except _Unreachable as error:
            reason = str(error)
    cached = _cached(spec.value)
    if cached is None:
        raise TargetError(
            f"{spec.text}: it is not in the cache, and {reason}; give a directory, or run where the Hub can be reached"
        )
    if not any(cached.glob("*.safetensors")) and not trust_remote_code:
        raise TargetError(
            f"{spec.text}: the cache has its config.json and no safetensors weights, and {reason}; "
            "run where the Hub can be reached"
        )
    return cached, [f"loaded from the cache: {reason}"]


class _Unreachable(Exception):
    """The Hub stopped answering before the first file."""


def _downloaded(spec: Spec, *, dtype: torch.dtype | None, trust_remote_code: bool) -> Path:
    name, repo = spec.text, spec.value
    sizes = _listing(name, repo)
    if "config.json" not in sizes:
        raise TargetError(f"{name}: the repository has no config.json, so it is no transformers checkpoint")
    directory = _fetched(name, repo, "config.json").parent
    check_config(name, directory, trust_remote_code=trust_remote_code)
    first = choose_weights(name, sizes, trust_remote_code=trust_remote_code)
    files = shards(name, _fetched(name, repo, INDEX)) if first == INDEX else [first]
    if dtype is None:
        check_fits(
            name,
            sum(sizes.get(file) or 0 for file in files),
            torch.device("cpu"),
            "pass --steering-dtype=bfloat16, or use a machine with more memory",
        )
    kinds = (*_SMALL, ".py") if trust_remote_code else _SMALL
    small = [file for file in sizes if "/" not in file and file.endswith(kinds) and file not in files]
    for file in (*small, *files):
        _fetched(name, repo, file)
    return directory


def _listing(name: str, repo: str) -> dict[str, int | None]:
    """The repository's files and their sizes in bytes."""
    try:
        info = huggingface_hub.HfApi().model_info(repo, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except errors.GatedRepoError:
        raise _gated(name, repo) from None
    except errors.RepositoryNotFoundError:
        raise TargetError(f"{name}: no such model on {constants.ENDPOINT} (or a private one: set HF_TOKEN)") from None
    except errors.HfHubHTTPError as error:
        reason = one_line(error, kind=False).partition(" For more information")[0]
        raise TargetError(f"{name}: {constants.ENDPOINT} refused: {reason}") from None
    except Exception as error:
        # requests under huggingface_hub 0.x and httpx under later ones share no class for a lost connection.
        raise _Unreachable(f"{constants.ENDPOINT} does not answer ({one_line(error)})") from None
    return {sibling.rfilename: sibling.size for sibling in info.siblings or ()}


def _fetched(name: str, repo: str, file: str) -> Path:
    """The cached path of one file, downloaded when it is not there."""
    try:
        with quiet_transformers():
            return Path(huggingface_hub.hf_hub_download(repo, file))
    except errors.GatedRepoError:
        # A gated repository is listed for everyone, and gives its files only to those who accepted.
        raise _gated(name, repo) from None
    except Exception as error:
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            raise TargetError(
                f"{name}: the repository lists {file} and does not have it (404); tell its owner"
            ) from None
        raise TargetError(
            f"{name}: the download of {file} broke off: {one_line(error)}; run again to resume it"
        ) from None


def _gated(name: str, repo: str) -> TargetError:
    return TargetError(f"{name}: the model is gated; accept its terms on {constants.ENDPOINT}/{repo} and set HF_TOKEN")


def _cached(repo: str) -> Path | None:
    found = huggingface_hub.try_to_load_from_cache(repo, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _unreachable() -> str | None:
    """Why the Hub cannot be asked, or None: offline mode, or nothing listens where its requests would go."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    endpoint = urllib.parse.urlsplit(constants.ENDPOINT)
    host = endpoint.hostname or ""
    proxies = {} if urllib.request.proxy_bypass(host) else urllib.request.getproxies()
    proxy = proxies.get(endpoint.scheme) or proxies.get("all")
    address = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else endpoint
    port = address.port or (443 if address.scheme == "https" else 80)
    failure: list[str] = [f"no answer in {_PROBE_SECONDS:.0f} s"]

    def connect() -> None:
        try:
            socket.create_connection((address.hostname, port), timeout=_PROBE_SECONDS).close()
        except OSError as error:
            failure[0] = one_line(error, kind=False)
        else:
            failure.clear()

    # A thread, because looking up a name has no timeout of its own.
    probe = threading.Thread(target=connect, daemon=True)
    probe.start()
    probe.join(_PROBE_SECONDS)
    if not failure:
        return None
    through = f" through the proxy {address.hostname}:{port}" if proxy else ""
    return f"{constants.ENDPOINT} cannot be reached{through} ({failure[0]})"
