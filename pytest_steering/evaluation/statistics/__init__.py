"""Statistics of a study: paired by scenario, clustered, and silent where the data cannot carry a p-value.

The unit is the scenario, a vulnerable file and its patch. Prompts, augmentations and repeats of one scenario form a
cluster and are never counted as independent. Every result prints as one sentence.
"""

from __future__ import annotations

from pytest_steering.evaluation.statistics.clusters import Clusters, cluster
from pytest_steering.evaluation.statistics.control import RandomControl, random_control
from pytest_steering.evaluation.statistics.effects import (
    Behaviour,
    Shift,
    behaviour,
    cohens_g,
    matched_odds_ratio,
    shift,
    standardised_mean_difference,
)
from pytest_steering.evaluation.statistics.intervals import Interval, mean_interval, proportion_interval
from pytest_steering.evaluation.statistics.multiplicity import Corrected, holm
from pytest_steering.evaluation.statistics.paired import McNemar, SignFlip, mcnemar, sign_flip
from pytest_steering.evaluation.statistics.power import (
    mcnemar_power,
    mcnemar_sample_size,
    minimum_clusters,
    minimum_directions,
    minimum_discordant,
)
from pytest_steering.evaluation.statistics.slopes import Slopes, slopes

__all__ = [
    "Behaviour",
    "Clusters",
    "Corrected",
    "Interval",
    "McNemar",
    "RandomControl",
    "Shift",
    "SignFlip",
    "Slopes",
    "behaviour",
    "cluster",
    "cohens_g",
    "holm",
    "matched_odds_ratio",
    "mcnemar",
    "mcnemar_power",
    "mcnemar_sample_size",
    "mean_interval",
    "minimum_clusters",
    "minimum_directions",
    "minimum_discordant",
    "proportion_interval",
    "random_control",
    "shift",
    "sign_flip",
    "slopes",
    "standardised_mean_difference",
]
