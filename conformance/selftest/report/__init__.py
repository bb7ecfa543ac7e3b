"""Results and their forms: the tests of ``pytest_steering.report``, through runs of pytest."""
