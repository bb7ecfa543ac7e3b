"""What only requirements share: the tests of ``pytest_steering.suite``."""
