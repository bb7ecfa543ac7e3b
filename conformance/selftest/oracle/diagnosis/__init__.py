"""Which bug explains a failure: the tests of ``pytest_steering.oracle.diagnosis``."""
