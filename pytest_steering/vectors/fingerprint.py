"""What a file of steering vectors says of the model that they fit and of how they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from pytest_steering._version import SUITE_VERSION
from pytest_steering.architecture.model import Architecture
from pytest_steering.vectors._common import VectorError

_MUST_FIT = ("hidden_size", "num_layers", "layers_path", "model_type")
_VOLATILE = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache", "_attn_implementation")


@dataclass(frozen=True)
class Fingerprint:
    """The model that vectors fit, and how they were made; what is not known is empty."""

    hidden_size: int
    num_layers: int
    layers_path: str
    model_type: str = ""
    """The config's own name of the architecture, e.g. ``starcoder2``."""
    model: str = ""
    """The name or directory that the weights were loaded from."""
    config_hash: str = ""
    """The sha256 of the config, without what changes no weight (version, dtype, cache)."""
    layers: tuple[int, ...] = ()
    dtype: str = ""
    """The dtype of the residual stream that the vectors were made from."""
    method: str = ""
    position: str = ""
    data_hash: str = ""
    """The sha256 of the training texts: :func:`pytest_steering.vectors.hash_pairs`."""
    suite: str = ""

    @classmethod
    def of(cls, architecture: Architecture, vectors: Mapping[int, Tensor] | None = None, **made: str) -> Self:
        """The fingerprint of these vectors for this model; ``made`` has the method, position, data hash, model name."""
        config = getattr(architecture.entry, "config", None)
        return cls(
            hidden_size=architecture.hidden_size,
            num_layers=architecture.num_layers,
            layers_path=architecture.layers_path,
            model_type=str(getattr(config, "model_type", "")),
            model=made.pop("model", "")
            or str(getattr(config, "_name_or_path", "") or architecture.model_class.__name__),
            config_hash=_hash_of_config(config),
            layers=tuple(sorted(vectors or ())),
            dtype=str(architecture.decoder_layers[0].dtype).removeprefix("torch."),
            suite=SUITE_VERSION,
            **made,
        )

    @classmethod
    def parsed(cls, path: Path, text: str) -> Self:
        """The fingerprint that a file holds as JSON; ``VectorError`` when it is none."""
        try:
            found = json.loads(text)
            known: dict[str, Any] = {field.name: found[field.name] for field in fields(cls) if field.name in found}
            layers = tuple(known.pop("layers", ()))
            sizes = [known["hidden_size"], known["num_layers"], *layers]
            texts = [value for name, value in known.items() if name not in ("hidden_size", "num_layers")]
            if not all(type(size) is int for size in sizes) or not all(isinstance(text, str) for text in texts):
                raise TypeError("a value is of another type")
            return cls(layers=layers, **known)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise VectorError(f"{path}: the fingerprint cannot be read ({error!r}); save the vectors again") from None

    def as_json(self) -> str:
        """The text that :meth:`parsed` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    def check(self, path: Path, architecture: Architecture, *, same_config: bool = False) -> None:
        """The file was made for a model of this architecture, or ``VectorError`` names what differs.

        A fine-tuned model has its base model's architecture and may take its vectors; with ``same_config`` the
        whole config must be the same.
        """
        wanted = Fingerprint.of(architecture)
        for name in (*_MUST_FIT, *(["config_hash"] if same_config else [])):
            there, here = getattr(self, name), getattr(wanted, name)
            # A model without a config has neither type nor hash, and the first format had no place for them.
            if there != here and "" not in (there, here):
                raise VectorError(
                    f"{path} was made for a model with {name}={there}; this one has {here}; "
                    "train vectors on this model, or load that one"
                )

    def check_layers(self, path: Path, vectors: Mapping[int, Tensor]) -> None:
        """There is a vector for each layer that was saved and no other; the first format did not name them."""
        if self.layers and set(vectors) != set(self.layers):
            raise VectorError(
                f"{path} holds vectors of layers {sorted(vectors)} and was saved with {list(self.layers)}; "
                "save the vectors again"
            )


def _hash_of_config(config: Any) -> str:
    to_dict = getattr(config, "to_dict", None)
    if to_dict is None:
        return ""
    kept = {key: value for key, value in to_dict().items() if key not in _VOLATILE}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()
