"""What is wrong with steering vectors, or with a file of them, as one sentence."""

from __future__ import annotations

from pytest_steering.errors import SteeringError


class VectorError(SteeringError, ValueError):
    """Steering vectors that cannot be made, or a file that cannot be used for this model: thing, reason and remedy."""


def needs(package: str, purpose: str) -> VectorError:
    """The error for an optional package that is not installed."""
    return VectorError(f"{purpose} needs the package {package}; run pip install 'pytest-steering[study]'")
