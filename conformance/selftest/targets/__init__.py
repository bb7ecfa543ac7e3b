"""What is judged: the tests of ``pytest_steering.targets``."""
