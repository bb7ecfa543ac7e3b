"""Steering vectors: trained from contrastive pairs, kept as safetensors with a fingerprint, shared with llama.cpp."""

from __future__ import annotations

from pytest_steering.vectors._common import VectorError
from pytest_steering.vectors.files import FORMAT, load_vectors, read_fingerprint, save_vectors, stack
from pytest_steering.vectors.fingerprint import Fingerprint
from pytest_steering.vectors.gguf import load_gguf, save_gguf
from pytest_steering.vectors.methods import Method, difference_in_means, first_component, logistic_probe
from pytest_steering.vectors.states import hash_pairs, read_states
from pytest_steering.vectors.training import train_from_texts, train_vectors

__all__ = [
    "FORMAT",
    "Fingerprint",
    "Method",
    "VectorError",
    "difference_in_means",
    "first_component",
    "hash_pairs",
    "load_gguf",
    "load_vectors",
    "logistic_probe",
    "read_fingerprint",
    "read_states",
    "save_gguf",
    "save_vectors",
    "stack",
    "train_from_texts",
    "train_vectors",
]
