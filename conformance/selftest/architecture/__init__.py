"""What a model is, found by data flow: the tests of ``pytest_steering.architecture``."""
