"""What is asked for: the tests of ``pytest_steering.steering``."""
