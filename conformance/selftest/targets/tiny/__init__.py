"""Small instances of every model type: the tests of ``pytest_steering.targets.tiny``."""
