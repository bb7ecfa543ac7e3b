"""The README's commands end as it says where only the wheel is installed, run one after the other in a new folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .environment import CHECKOUT, Environment
from .readme import commands, files

CHEAP = '-k "layers_found or exact_delta or every_pass or left_alone"'
"""For a command that selects nothing itself: the whole suite from a wheel runs in ``test_wheel``."""

TEXT = """
To test it, write `steer.py` and `lib/steer.py`:

```python
import torch
```

In a clone of the repository:

```console
$ pytest -n 2
```

On a clone of another:

```console
$ pip install it
$ pytest --steering-model=some/model   # from the Hub
$ pytest --steering-model=./model \\
    -x    # exit status 1: it is wrong
Passed.
$ python -m pytest_steering table  # in a clone
```

```python
# tests/test_it.py
def test_it(): ...
```

```python
unnamed = True
```
"""


def test_how_a_readme_is_read(tmp_path: Path) -> None:
    read = commands(TEXT)
    assert [(each.text, each.status, each.needs_clone, each.is_ours) for each in read] == [
        ("pytest -n 2", 0, True, True),
        ("pip install it", 0, False, False),
        ("pytest --steering-model=some/model", 0, False, True),
        ("pytest --steering-model=./model -x", 1, False, True),
        ("python -m pytest_steering table", 0, True, True),
    ]
    assert [each.hub_id(tmp_path) for each in read] == [None, None, "some/model", None, None]
    (tmp_path / "some" / "model").mkdir(parents=True)
    assert read[2].hub_id(tmp_path) is None
    assert files(TEXT) == {
        "lib/steer.py": "import torch\n",
        "tests/test_it.py": "# tests/test_it.py\ndef test_it(): ...\n",
    }


@pytest.mark.slow
def test_every_command_ends_as_the_readme_says(full: Environment, tmp_path: Path) -> None:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for name, source in files(text).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    ours = [command for command in commands(text) if command.is_ours and not command.needs_clone]
    assert len(ours) > 3
    wrong = {}
    for command in ours:
        hub_id = command.hub_id(tmp_path)
        result = full.run(
            command.text,
            tmp_path,
            HF_ENDPOINT="http://127.0.0.1:9",
            HF_HOME=str(tmp_path / "hub"),
            HF_HUB_OFFLINE="0",
            OMP_NUM_THREADS="1",
            PYTEST_ADDOPTS="" if re.search(r" -[km] |::", command.text) else CHEAP,
        )
        shown = result.stdout + result.stderr
        sentence = f"{hub_id}: it is not in the cache, and http://127.0.0.1:9 cannot be reached"
        if result.returncode != (1 if hub_id else command.status) or (hub_id and sentence not in shown):
            wrong[command.text] = f"exit status {result.returncode}\n{shown[-1500:]}"
    assert not wrong, "\n\n".join(f"$ {command}\n{shown}" for command, shown in wrong.items())
