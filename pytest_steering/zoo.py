"""The public door to small random models: ``tiny_model`` makes what ``tiny:TYPE`` names."""

from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.targets.tiny.models import random_model, tiny_config, tiny_model

__all__ = ["random_model", "tiny_config", "tiny_model", "tiny_tokenizer"]
