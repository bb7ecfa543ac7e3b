"""What a user types, and what a project's own hooks and modules do, ends in one sentence: exit status 4."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import FEW, MODEL, RIGHT, Desk

ERROR_WITHOUT_TEXT = "class E(Exception):\n    def __str__(self): raise ValueError\nraise E()"


def sentence(desk: Desk, *args: str) -> str:
    """The one sentence of a refusal, which forges no second line and holds nothing that a terminal obeys."""
    result = desk.run(*args, *FEW)
    assert result.ret == 4, result.stdout.str() + result.stderr.str()
    (line,) = [line for line in result.errlines if line]
    assert line.isprintable()
    assert len(line) < 2100
    return line.removeprefix("ERROR: ")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (f"./{'x' * 5000}", "it cannot be a path (File name too long); give a Hub id"),
        (f"config:{'x' * 5000}", "it cannot be a path (File name too long); give a Hub id"),
        ("tiny:" + "x" * 5000, "did you mean|tiny:xxx"),
        ("config:a\0b", r"config:a\x00b: there is no such file or directory"),
        ("./a\0b", r"./a\x00b: there is no such directory"),
        ("~nosuchuser/x", "~nosuchuser/x: there is no such directory"),
        ("config:~nosuchuser/x", "config:~nosuchuser/x: there is no such file or directory"),
        ("./a\udc80b", r"./a\udc80b: there is no such directory"),
        ("./a\n\x1b[31mb", r"./a \x1b[31mb: there is no such directory"),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_odd_specs(desk: Desk, spec: str, said: str) -> None:
    found = sentence(desk, f"--steering-model={spec}", RIGHT)
    assert any(each in found for each in said.split("|")), found


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{'y' * 300}.json", "cannot be written: File name too long"),
        (f"{'y' * 245}.json", "cannot be written: File name too long"),
        ("a\0b.json", "cannot be written: embedded null byte"),
        ("~nosuchuser/b.json", "there is no directory ~nosuchuser"),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_odd_names_of_reports(desk: Desk, name: str, said: str) -> None:
    assert sentence(desk, MODEL, RIGHT, f"--steering-report={name}").endswith(said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return []", "returned []: give a dict of names and callables (model, architecture) -> adapter"),
        ("return 3", "returned 3: give a dict of names and callables (model, architecture) -> adapter"),
        ("return {3: 4}", "returned {3: 4}: give a dict of names and callables (model, architecture) -> adapter"),
        ("raise ValueError('no\\nway')", "failed: ValueError: no way"),
        ("raise SystemExit(0)", "failed: SystemExit: 0"),
        ("raise KeyboardInterrupt", "failed: KeyboardInterrupt"),
        ("import pytest; pytest.skip('x')", "failed: Skipped: x"),
        ("return {'a': 3}", "steering adapter 'a' is a int, not a callable (model, architecture) -> adapter"),
    ],
    ids=lambda text: text[:30],
)
def test_hooks_that_give_no_adapters(desk: Desk, body: str, said: str) -> None:
    desk.write(conftest=f"def pytest_steering_adapter(config): {body}")
    assert sentence(desk, MODEL, "--steering-adapter=a").endswith(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise BaseException('x')", "BaseException: x"),
        ("import pytest; pytest.skip('x', allow_module_level=True)", "Skipped: x"),
        ("raise ValueError('a\\x1b[31m\\udc80\\nERROR: b' + 'z' * 5000)", r"ValueError: a\x1b[31m\udc80 ERROR: bzzz"),
        (ERROR_WITHOUT_TEXT, "E: it has no text of its own, because its __str__ raises an exception"),
        ("import os; os._exit(0)", "SystemExit: os._exit(0)"),
    ],
    ids=lambda text: ascii(text)[:30],
)
@pytest.mark.parametrize("option", ["--steering-model=odd:a", "--steering-adapter=odd:a"])
def test_modules_that_cannot_be_imported(desk: Desk, option: str, source: str, said: str) -> None:
    desk.write(odd=source)
    assert said in sentence(desk, *([MODEL] if "adapter" in option else []), option)
