"""Where the checkout is, and the trained checkpoints in it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAINED = ROOT / "fixtures" / "trained"
