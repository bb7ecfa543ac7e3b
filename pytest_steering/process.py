"""A Python process that shares nothing with this one but its environment."""

from __future__ import annotations

import os
import subprocess
import sys

import torch


class FreshProcess:
    """``python -m module arguments…``, which works while the caller does something else."""

    def __init__(self, module: str, *arguments: str) -> None:
        """The process starts at once."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                # As many threads as here, since their number may change the last bits; and none that spins while the
                # caller works.
                "OMP_NUM_THREADS": str(torch.get_num_threads()),
                "OMP_WAIT_POLICY": "PASSIVE",
            },
        )

    def output(self, *, seconds: float = 600) -> str:
        """What the process printed once it has ended.

        Raises ``RuntimeError`` with the last line of its errors, or when it has not ended after ``seconds``.
        """
        try:
            output, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise RuntimeError(f"it has not ended after {seconds:g} s") from None
        if self._process.returncode != 0:
            lines = [line for line in errors.splitlines() if line.strip()] or ["no message"]
            raise RuntimeError(f"exit status {self._process.returncode}: {lines[-1]}")
        return output

    @property
    def ended(self) -> bool:
        """True when it runs no more."""
        return self._process.poll() is not None

    def close(self) -> None:
        """The process is ended if it still runs."""
        if not self.ended:
            self._process.kill()
        self._process.communicate()
