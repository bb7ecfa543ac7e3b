"""What should have happened, and whether it did: the tests of ``pytest_steering.oracle``."""
