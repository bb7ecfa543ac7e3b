"""One judge for any session: played by the reference implementation and by the adapter, and compared."""

from __future__ import annotations

from pytest_steering.errors import Violation
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.comparing import Comparison
from pytest_steering.scenarios.playing import play
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.seen import Played
from pytest_steering.scenarios.steerers import ByAdapter, ByReference
from pytest_steering.scenarios.steps import Session


def judge(harness: Harness, session: Session) -> None:
    """The session is steered exactly as its plans say, or ``Violation``; ``Unfit`` where the model cannot do it."""
    wanted = expected(harness, session)
    if wanted.unfit:
        raise Unfit(wanted.unfit)
    failed = next((seen.error for seen in wanted.seen if seen.error), "") or next(iter(wanted.odd), "")
    if failed:
        raise Unfit(f"the unsteered model itself fails: {failed}")
    found = play(harness, session, ByAdapter(harness))
    if found.unfit:
        # The unsteered model could do it.
        raise Violation(f"what the steered model returned cannot be gone on from: {found.unfit}")
    Comparison(harness, session, wanted).check(found)


def expected(harness: Harness, session: Session) -> Played:
    """The session as the reference implementation plays it: each call once for a model, whatever adapters it has."""
    return play(harness, session, ByReference(harness), kept=harness.unsteered.calls)
