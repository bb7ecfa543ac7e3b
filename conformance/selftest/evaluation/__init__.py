"""The study: the tests of ``pytest_steering.evaluation``."""
