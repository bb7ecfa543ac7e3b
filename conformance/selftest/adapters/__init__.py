"""How it is done: the tests of ``pytest_steering.adapters``, and every known-bad adapter before the suite."""
