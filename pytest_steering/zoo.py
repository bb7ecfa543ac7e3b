"""The public door to small random models: ``tiny_model`` makes what ``tiny:TYPE`` names."""

from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.targets.tiny.models import random_model, tiny_config, tiny_model
from pytest_steering.targets.tiny.sizes import Sizes

__all__ = ["Sizes", "random_model", "tiny_config", "tiny_model", "tiny_tokenizer"]
