"""What was measured of others: the tests of ``pytest_steering.survey``."""
