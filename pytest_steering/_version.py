"""The version of the suite: what a verdict says that a model conforms to."""

SUITE_VERSION = "1.1"
