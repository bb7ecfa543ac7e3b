"""From the states of two sides to one steering vector: difference in means, first component, logistic probe.

Size convention, the same for all methods: the sides' means, projected on the vector's direction, differ by exactly
the vector's length. So scale 1 carries the negative side's mean to the positive side's along that direction,
whichever method found it, and scale -1 carries it back. The sign is fixed by the pairs: a vector points to the
positive side. Where the means do not differ along the direction, the vector is zero.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from pytest_steering.vectors._common import VectorError, needs


class Method(StrEnum):
    """How a direction is found."""

    DIFFERENCE_IN_MEANS = "difference-in-means"
    """The mean of the positive states minus the mean of the negative ones."""
    PCA = "pca"
    """The first principal component of the pairs' differences, not centred."""
    LOGISTIC_PROBE = "logistic-probe"
    """The weight of a logistic regression that tells the sides apart."""


def find_method(name: str) -> Method:
    """The method of that name; ``VectorError`` names those that there are."""
    try:
        return Method(name)
    except ValueError:
        raise VectorError(f"there is no method {name!r}; use one of {', '.join(Method)}") from None


def train_direction(method: str, positive: Tensor, negative: Tensor) -> Tensor:
    """One steering vector ``(hidden_size,)``, float32, from states ``(n, hidden_size)`` of the two sides."""
    return _METHODS[find_method(method)](positive, negative)


def difference_in_means(positive: Tensor, negative: Tensor) -> Tensor:
    """The mean of the positive states minus the mean of the negative ones: ``(n, hidden_size)`` → ``(hidden_size,)``.

    Computed in double precision, returned as float32. The direction points to the positive side.
    """
    return _difference(positive, negative).float()


def first_component(positive: Tensor, negative: Tensor) -> Tensor:
    """The direction along which the pairs differ most: ``(n, hidden_size)`` → ``(hidden_size,)``, float32.

    Row *i* of the one side is paired with row *i* of the other. It is the first right singular vector of the
    differences as they are. Centring them first, as a PCA routine does by itself, takes away what all pairs have in
    common, which is the very direction that is wanted, and leaves the direction in which the noise varies most.
    """
    if positive.shape != negative.shape:
        raise VectorError(
            f"PCA takes the differences of pairs, and there are {len(positive)} positive and {len(negative)} negative "
            f"texts; pair them, or use {Method.DIFFERENCE_IN_MEANS}"
        )
    differences = positive.double() - negative.double()
    component = torch.linalg.svd(differences, full_matrices=False).Vh[0]
    return _sized(component, _difference(positive, negative))


def logistic_probe(positive: Tensor, negative: Tensor) -> Tensor:
    """The direction by which a logistic regression tells the sides apart: ``(n, hidden_size)`` → ``(hidden_size,)``.

    The states are centred, each pair on its own mean when the sides are of equal number, and divided by one scale for
    all elements: the root mean square. One scale for each element, mapped back, divides the weights by it once more
    and hands the direction to the elements that hardly vary: with noise of unequal size it stays at a cosine of 0.3
    to a planted direction however many pairs there are, where this one reaches 0.98.
    """
    try:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise needs("scikit-learn", "a logistic probe") from None
    sides = [positive.double(), negative.double()]
    paired = positive.shape == negative.shape
    centre = (sides[0] + sides[1]) / 2 if paired else torch.cat(sides).mean(0)
    states = torch.cat([side - centre for side in sides])
    scale = states.square().mean().sqrt()
    if not bool(scale):
        return torch.zeros(states.shape[1])
    labels = torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))])
    probe: Any = LogisticRegression(max_iter=10_000)
    probe.fit((states / scale).numpy(), labels.numpy())
    return _sized(torch.from_numpy(probe.coef_[0]) / scale, _difference(positive, negative))


_METHODS = {
    Method.DIFFERENCE_IN_MEANS: difference_in_means,
    Method.PCA: first_component,
    Method.LOGISTIC_PROBE: logistic_probe,
}


def _difference(positive: Tensor, negative: Tensor) -> Tensor:
    return positive.double().mean(0) - negative.double().mean(0)


def _sized(direction: Tensor, difference: Tensor) -> Tensor:
    """The part of the means' difference that lies along ``direction``."""
    unit = direction / direction.norm().clamp_min(torch.finfo(torch.float64).tiny)
    along: Tensor = (difference @ unit) * unit
    return along.float()
