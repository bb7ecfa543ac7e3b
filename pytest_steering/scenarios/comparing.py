"""All that was seen under the adapter, beside all that the reference implementation did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from pytest_steering.adapters.protocol import accumulates
from pytest_steering.architecture.inputs import embedding_of
from pytest_steering.architecture.observation import Pass
from pytest_steering.architecture.residual import same_bits
from pytest_steering.architecture.weights import device_of
from pytest_steering.errors import Violation
from pytest_steering.oracle import comparison, tolerance
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.model_state import likely_leftover
from pytest_steering.scenarios.arriving import Arrival
from pytest_steering.scenarios.playing import play
from pytest_steering.scenarios.seen import Played, Seen
from pytest_steering.scenarios.steerers import ByReference
from pytest_steering.scenarios.steps import Call, Session

_SHAKES = 8


class Comparison:
    """What was seen of one session, beside what should have been."""

    def __init__(self, harness: Harness, session: Session, wanted: Played) -> None:
        self._harness = harness
        self._session = session
        self._wanted = wanted
        self._rounded: set[int] = set()
        """The calls in which something arrived that is near what should have, and not the same bits."""
        self._shakes: list[Played] = []

    def check(self, found: Played) -> None:
        """Nothing differs that should not, or ``Violation``."""
        for number, (one, other) in enumerate(zip(found.seen, self._wanted.seen, strict=False)):
            where = self._where(one)
            if one.error:
                raise Violation(f"the call raises {one.error}", where=where)
            alike = self._passes(number, one, other, where)
            if one.tensors.keys() != other.tensors.keys():
                names = sorted(one.tensors.keys() ^ other.tensors.keys())
                raise Violation(f"what is returned differs in {names[0].removeprefix('.') or 'type'}", where=where)
            if alike:
                self._returned(number, one, other, where)
                self._gradients(number, one, other, where)
                if one.wants != other.wants:
                    name = min(one.wants ^ other.wants).removeprefix(".")
                    raise Violation(f"the returned {name} {'wants a' if one.wants else 'has no'} gradient", where=where)
            self._beside(one, other, where)
        if found.odd:
            raise Violation(found.odd[0], where=self._where(found.seen[-1]) if found.seen else "")
        self._left(found)

    def _where(self, seen: Seen) -> str:
        layers = sorted({layer for plan in seen.plans for layer in plan.vectors})
        plans = f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}" if layers else "no open block"
        return f"{plans}, step {seen.step + 1} of {len(self._session)}"

    # Passes

    def _passes(self, number: int, one: Seen, other: Seen, where: str) -> bool:
        """Every pass arrives as it should; false when the tokens went apart by rounding."""
        alive: Tensor | None = None
        for count, (step, before) in enumerate(zip(one.trace.passes, other.trace.passes, strict=False)):
            here = f"{where}, pass {count}" if one.ask.generates else where
            if not _same_fed(step, before):
                if count and self._by_rounding(number):
                    return False
                raise Violation(_fed_differs(step, before), where=here)
            if step.training != before.training:
                what = "training" if before.training else "evaluation"
                raise Violation(f"the pass is no longer in {what} mode", where=here, likely=Diagnosis(Cause.MODE))
            if one.ask.ends is not None and before.fed is not None and count:
                # What comes after a row's end is nobody's.
                going = ~self._is_token(before.fed[:, -1], one.ask.ends)
                alive = going if alive is None else alive & going
            for layer in self._harness.architecture.every_layer:
                found, wanted = step.received[layer], before.received[layer]
                if not same_bits(found, wanted):
                    self._rounded.add(number)
                    self._arrives(number, count, layer, one, step, here, alive)
        passes = len(one.trace.passes), len(other.trace.passes)
        if passes[0] != passes[1]:
            if passes[0] and self._by_rounding(number):
                return False
            raise Violation(f"{passes[0]} passes are seen, {passes[1]} without steering", where=where)
        return True

    def _is_token(self, fed: Tensor, token: int) -> Tensor:
        """Which of these are the token: ids, or the same embedded by a wrapper that puts virtual tokens before them."""
        if not fed.is_floating_point():
            return fed == token
        embedding = embedding_of(self._harness.model)
        with torch.no_grad():
            embedded: Tensor = embedding(torch.tensor(token, device=device_of(embedding)))
        same: Tensor = (fed == embedded.to(fed)).all(-1)
        return same

    def _arrives(
        self, number: int, count: int, layer: int, one: Seen, step: Pass, where: str, alive: Tensor | None
    ) -> None:
        def living(residual: Tensor) -> Tensor:
            return residual[alive] if alive is not None and len(alive) == len(residual) else residual

        def of(played: Played) -> Tensor | None:
            passes = played.seen[number].trace.passes if number < len(played.seen) else []
            return living(passes[count].received[layer]) if count < len(passes) else None

        before = self._wanted.seen[number].trace.passes[count]
        found, wanted = living(step.received[layer]), living(before.received[layer])
        steering = [plan for plan in one.plans if plan.scale]
        first = min((min(plan.vectors) for plan in steering), default=self._harness.architecture.num_layers)
        what = f"the residual stream after layer {layer}"
        if found.shape != wanted.shape or found.dtype != wanted.dtype or layer < first:
            floor = self._harness.unsteered.floor(layer)
            if found.shape == wanted.shape and floor and tolerance.furthest(found, wanted) <= floor:
                return
            likely = None if one.plans else Diagnosis(Cause.LEFT, "a block that was left still steers")
            what += "" if one.plans else ", where nothing is steered"
            comparison.identical(found, wanted, what, where=where, likely=likely)
        elif layer == first:
            here = [plan for plan in steering if layer in plan.vectors]
            arrival = Arrival(self._harness, one.ask, here, layer, wanted, before, alive, self._dtype(one))
            try:
                arrival.check(found, None, where)
            except Violation:
                added = self._inside.seen[number].trace.passes[count].added.get(layer)
                arrival.check(found, None if added is None else living(added), where)
        else:
            what += ", beside that of the reference implementation"
            self._near(found, wanted, what, where, of, dtype=self._dtype(one))

    def _dtype(self, one: Seen) -> torch.dtype | None:
        """What an adapter that adds inside a matrix product rounds to, where it is not the residual stream's dtype."""
        call = self._session[one.step]
        halves = isinstance(call, Call) and call.state == "autocast" and accumulates(self._harness.adapter)
        return torch.bfloat16 if halves else None

    # What is returned, and what else changes

    def _returned(self, number: int, one: Seen, other: Seen, where: str) -> None:
        for name, wanted in other.tensors.items():
            found = one.tensors[name]
            if found.is_inference() != wanted.is_inference():
                raise Violation(
                    f"{name.removeprefix('.') or 'what is returned'} is made in inference mode", where=where
                )
            what = f"the returned {name.removeprefix('.') or 'tensor'}"
            if found.shape != wanted.shape or found.dtype != wanted.dtype or not wanted.is_floating_point():
                if not same_bits(found, wanted) and not self._last_by_rounding(number, name, found, wanted):
                    comparison.identical(found, wanted, what, where=where)
            else:

                def of(played: Played, name: str = name) -> Tensor | None:
                    return played.seen[number].tensors.get(name) if number < len(played.seen) else None

                self._near(found, wanted, what, where, of, dtype=self._dtype(one) or self._harness.dtype_of(wanted))

    def _gradients(self, number: int, one: Seen, other: Seen, where: str) -> None:
        for index, (found, wanted) in enumerate(zip(one.gradients, other.gradients, strict=True)):
            if wanted is None:
                continue

            def of(played: Played, index: int = index) -> Tensor | None:
                return played.seen[number].gradients[index] if number < len(played.seen) else None

            likely = None if found is not None and bool(found.any()) else Diagnosis(Cause.DETACHED)
            given = torch.zeros_like(wanted) if found is None else found
            dtype = self._harness.architecture.decoder_layers[0].dtype
            self._near(given, wanted, "a gradient of the loss", where, of, likely=likely, dtype=dtype)

    def _beside(self, one: Seen, other: Seen, where: str) -> None:
        if one.random is not None and other.random is not None and not torch.equal(one.random, other.random):
            raise Violation(
                "the random state is another than after the same call unsteered",
                where=where,
                likely=Diagnosis(Cause.RANDOM),
            )
        for name, wanted in other.inputs.items():
            if name in one.inputs and not same_bits(one.inputs[name], wanted):
                raise Violation(f"the caller's {name} is changed", where=where, likely=Diagnosis(Cause.INPUTS, name))

    def _left(self, found: Played) -> None:
        """What is another after the session is another after the unsteered one too."""
        changes = found.changes
        if changes is None or not (changes.changed or changes.settings):
            return
        self._harness.restore()
        wanted = play(self._harness, self._session, ByReference(self._harness)).changes
        if wanted is None:
            return
        for piece in changes.changed:
            if piece not in wanted.changed:
                likely = likely_leftover(piece, changes.before.get(piece), changes.after.get(piece))
                raise Violation(f"{piece} of the model is another afterwards", likely=likely)
        for name in changes.settings:
            if name not in wanted.settings:
                raise Violation(f"{name} is another afterwards", likely=Diagnosis(Cause.SETTING, name))

    # What rounding alone does

    def _near(
        self,
        found: Tensor,
        wanted: Tensor,
        what: str,
        where: str,
        of: Callable[[Played], Tensor | None],
        *,
        likely: Diagnosis | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """The two are as near as rounding is to the reference implementation itself."""
        if found.shape == wanted.shape and tolerance.furthest(found, wanted) <= tolerance.rounding(wanted, dtype=dtype):
            return
        others = [other for other in map(of, self._shaken) if other is not None and other.shape == wanted.shape]
        floor = max((tolerance.furthest(other, wanted) for other in others), default=0.0)
        comparison.close(found, wanted, what, where=where, floor=floor, likely=likely, dtype=dtype)

    def _by_rounding(self, number: int) -> bool:
        """Something was rounded otherwise, and that makes the reference implementation choose other tokens, too."""
        if number not in self._rounded:
            return False
        mine = self._wanted.seen[number]
        others = (played.seen[number] for played in self._shaken_often() if number < len(played.seen))
        return any(chosen_otherwise(other, mine) for other in others)

    def _last_by_rounding(self, number: int, name: str, found: Tensor, wanted: Tensor) -> bool:
        """Tokens that no pass is fed with any more differ where they do under the reference implementation, rounded
        otherwise."""
        if found.shape != wanted.shape or found.dtype != wanted.dtype or not self._by_rounding(number):
            return False
        others = [played.seen[number].tensors.get(name) for played in self._shaken if number < len(played.seen)]
        open_ = [other != wanted for other in others if other is not None and other.shape == wanted.shape]
        return bool(open_) and not bool(((found != wanted) & ~torch.stack(open_).any(0)).any())

    @property
    def _shaken(self) -> list[Played]:
        """The session by the reference implementation, rounded a little otherwise wherever something is added."""
        return list(islice(self._shaken_often(), 2))

    def _shaken_often(self) -> Iterator[Played]:
        """More such sessions, as many as are asked for: which of two tokens is chosen is open less often than a sum."""
        for number in range(_SHAKES):
            if number == len(self._shakes):
                shaken = ByReference(self._harness, shaken=number + 1)
                self._shakes.append(play(self._harness, self._session, shaken))
            yield self._shakes[number]

    @cached_property
    def _inside(self) -> Played:
        """The session by the reference implementation, with what the layers' own parts added up."""
        return play(self._harness, self._session, ByReference(self._harness, inside=True))


def _same_fed(one: Pass, other: Pass) -> bool:
    return (
        one.fed is not None
        and other.fed is not None
        and one.columns == other.columns
        and torch.equal(one.fed, other.fed)
    )


def chosen_otherwise(one: Seen, other: Seen) -> bool:
    """Other tokens are returned, or fed to a pass: those of a beam that does not win are fed alone."""
    chosen = [name for name, tensor in other.tensors.items() if not tensor.is_floating_point()]
    return any(
        name not in one.tensors or not same_bits(one.tensors[name], other.tensors[name]) for name in chosen
    ) or not all(map(_same_fed, one.trace.passes, other.trace.passes))


def _fed_differs(one: Pass, other: Pass) -> str:
    if one.fed is None or other.fed is None or one.fed.shape != other.fed.shape:
        shapes = [None if step.fed is None else tuple(step.fed.shape[:2]) for step in (one, other)]
        return f"a pass of {shapes[0]} rows and tokens is run, of {shapes[1]} by the reference implementation"
    row, column = (one.fed != other.fed).reshape(*one.fed.shape[:2], -1).any(-1).nonzero()[0].tolist()
    return f"another token is fed at row {row}, position {one.start + column} than by the reference implementation"
