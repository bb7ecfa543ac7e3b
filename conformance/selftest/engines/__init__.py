"""Engines: the tests of ``pytest_steering.engines`` and its judge, and every known-bad engine before the suite."""
