"""What was computed once is kept as long as there is room, and longest where it is asked for most."""

from __future__ import annotations

from collections.abc import Callable

from pytest_steering.oracle.store import Store


def test_each_is_made_once_while_there_is_room() -> None:
    store, made = Store[str](len, most=4), list[str]()
    assert [store.once(key, _making(made, key)) for key in ("aa", "bb", "aa", "bb")] == ["aa", "bb", "aa", "bb"]
    assert made == ["aa", "bb"]


def test_what_is_asked_for_least_goes_first() -> None:
    store, made = Store[str](len, most=4), list[str]()
    for key in ("aa", "bb", "bb", "cc", "bb", "aa", "aa"):
        store.once(key, _making(made, key))
    assert made == ["aa", "bb", "cc", "aa"], "the second is asked for twice, and the first before the third"


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    store, made = Store[str](len, most=4), list[str]()
    for key in ("bb", "aaaaa", "aaaaa", "bb"):
        assert store.once(key, _making(made, key)) == key
    assert made == ["bb", "aaaaa", "aaaaa"]


def _making(made: list[str], key: str) -> Callable[[], str]:
    def make() -> str:
        made.append(key)
        return key

    return make
