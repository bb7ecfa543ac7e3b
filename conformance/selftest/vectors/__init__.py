"""How steering vectors are made and kept: the tests of ``pytest_steering.vectors``."""
