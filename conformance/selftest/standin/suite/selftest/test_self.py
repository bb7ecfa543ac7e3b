"""A test of the stand-in suite."""


def test_self() -> None:
    pass
