"""The public door to small random models: ``tiny_model`` makes what ``tiny:TYPE`` names."""

from pytest_steering.targets.tiny.models import tiny_config, tiny_model

__all__ = ["tiny_config", "tiny_model"]
