"""The classes of bugs that a steering implementation has: an id to compare, and the sentence that a person reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """A class of bugs: its value is its id in reports, ``sentence`` what is said of it.

    Those that explain more stand first: where the failures of one run name several, the first of them is the cause
    and the others its effects. The last ones describe a pattern and name no bug.
    """

    sentence: str

    def __new__(cls, identity: str, sentence: str) -> Cause:
        """A member is a string, its id."""
        member = str.__new__(cls, identity)
        member._value_ = identity
        member.sentence = sentence
        return member

    # Nothing can be said of steering before these are mended.
    TYPE = "output-type", "the steered layer returns another type"
    LEFT = "left-behind", "something is left behind after the block"
    INPUTS = "inputs-changed", "the caller's inputs are changed"
    MASK_DROPPED = "mask-dropped", "the attention mask does not reach the model"
    MADE = "made-changes", "making the adapter changes what is the caller's"
    HOOKS_REMOVED = "hooks-removed", "the hooks of others are removed"

    # Over several processes
    RANKS_SUMMED = "added-on-every-rank", "each rank adds the vector, and what they add is summed up"
    RANKS_SHARE = "divided-by-ranks", "the scale is divided by the number of ranks"
    RANK_ALONE = "some-ranks-only", "not every rank is steered"
    RANKS_APART = "ranks-apart", "the ranks do not steer the same"

    # Where in the model
    BEFORE = "before-the-layers", "something before the decoder layers is steered too"
    LAYER_INPUT = "layer-input", "the layer's input is steered, not what it emits"
    LAYER_BEFORE = "layer-before", "the layer before is steered"
    ANOTHER_LAYER = "another-layer", "another layer is steered"
    INSIDE = "inside-the-layer", "a part inside the layer is steered"
    BEHIND = "behind-the-layer", "the vector lands behind the layer"
    NEXT_INPUT = "next-input", "what the next layer receives is steered, not what others read"
    EACH_RUN = "not-each-run", "the vector is not added each time that the layer runs"
    LOGITS = "behind-all-layers", "something behind the decoder layers is changed too"
    RUN_AGAIN = "run-again", "the model is run again for steering"

    # State
    STALE = "stale-plan", "something of an earlier plan or call is kept"
    STALE_MASK = "stale-mask", "the mask of an earlier batch is kept"
    KEPT = "kept", "what was steered is kept for good: memory grows with each use"

    # Which tokens
    NEVER = "never-arrives", "the vector never arrives: no hook fires, or what it returns is thrown away"
    STREAMS = "some-streams", "not every residual stream is steered"
    EXCHANGED = (
        "rows-and-positions-exchanged",
        "rows and positions are exchanged (the mask is laid over the residual stream as its memory lies)",
    )
    OWN = "own-positions-steered", "positions that the model itself puts before the tokens are steered"
    ROW_ZERO = "row-zero-only", "only batch row 0 is steered (output[0] on a layer that returns a tensor)"
    LAST_ROW = "last-row-left-out", "the last batch row is left out"
    OTHER_ROWS = "every-other-row", "only every other batch row is steered"
    SOME_ROWS = "rows-left-out", "batch rows are left out"
    BEAMS = "beams-left-out", "only as many rows are steered as the prompt has"
    PADDING = "padding-steered", "padding is steered (the attention mask is ignored)"
    ONE_TOKEN = "one-token-prompt", "a prompt pass of one token is taken for a decode pass"
    LAST_POSITION = "last-position-only", "only the last position of a pass is steered"
    FIRST_TOKENS = "first-tokens-only", "only the first tokens of a long prompt are steered"
    ALL_POSITIONS = "all-positions", "every token is steered, whatever positions the plan names"
    GENERATED_AS_ALL = "generated-as-all", "a plan for generated tokens is taken for one for all"
    BORDER = "first-generated-left-out", "the first generated token is left out"
    OFF_BY_ONE = "positions-off-by-one", "the positions are off by one"
    LAST_OF_PASS = "last-of-each-pass", "LAST is counted anew in every pass"
    PROMPT_ONLY = "prompt-only", "only the first pass (the prompt) is steered"
    GIVES_UP = "gives-up", "after some passes nothing is steered any more"
    FADES = "fades", "the scale that arrives changes from pass to pass"
    LAST_CANDIDATE = "last-candidate-only", "of a decode pass of several tokens only the last is steered"

    # How much of what
    TWICE = "added-twice", "the vector is added twice"
    SUBTRACTED = "subtracted", "the vector is subtracted"
    SIGN = "sign-lost", "the sign of the scale is lost"
    SCALE_IGNORED = "scale-ignored", "the scale is ignored"
    SCALE_TWICE = "scale-applied-twice", "the scale is applied twice"
    NORMALISED = "vector-normalised", "the vector is normalised before it is added"
    WHOLE = "whole-scales", "the scale is cut to a whole number"
    CLAMPED = "scale-clamped", "the scale is clamped"
    SMALL_LOST = "small-scales-lost", "small scales are lost"
    REFUSED = "scale-refused", "a scale that the dtype can hold is refused"
    DIVIDED = "divided-by-tokens", "the scale is divided by the number of tokens in the pass"
    COMPONENT = "component-replaced", "the component along the vector is replaced and not added to"
    NORM_KEPT = "norm-kept", "the residual stream is scaled back to its norm (each token's is what it was)"
    SHIFTED = "elements-shifted", "the elements of the vector are shifted"
    ELEMENTS = "elements-left-out", "elements of the vector are left out"
    CLIPPED = "elements-clipped", "the largest elements of the vector are clipped"
    BROADCAST = "broadcast", "one number is added to every element (a vector of another shape is broadcast)"
    ROUNDED = "vector-rounded", "the vector is rounded on its way"
    FACTOR = "constant-factor", "a constant factor changes every scale"
    PROMOTED = "dtype-promoted", "the vector's dtype is not made the residual stream's"
    AT_ZERO = "added-at-zero", "something is added at scale 0"

    # Several layers
    SOME_LAYERS = "layers-left-out", "not every layer of a plan is steered"
    SUMMED = "vectors-summed", "each layer gets the sum of the plan's vectors"
    MIXED = "vectors-mixed", "a layer gets the vector of another layer"

    # What is refused
    UNCHECKED = "plan-unchecked", "the plan is not checked before the model is touched (plan.check(architecture))"
    OVERFLOW = "overflow", "scale times vector is not checked against the dtype"

    # What belongs to others
    VECTOR = "vector-changed", "the caller's vector is changed in place"
    SWALLOWED = "exceptions-swallowed", "exceptions of the caller are swallowed"
    NOT_FINALLY = "no-finally", "hooks are removed only when the block ends well (no try/finally)"
    HOOK_LEFT = "hook-left", "a hook is left on the model"
    SETTING = "setting-changed", "a setting of the process is left changed"
    RANDOM = "random-state-used", "random numbers are drawn or a seed is set"
    MODE = "training-mode-changed", "the model's training mode is left changed"
    CONFIG = "config-changed", "the model's config is left changed"
    FLAGS = "gradient-flags-changed", "gradient flags of parameters are left changed"
    ATTRIBUTE = "attribute-left", "an attribute is left on the model"
    PARAMETERS = "parameters-changed", "parameters or buffers are left changed"

    # Engines
    PREFIX = "prefix-of-another-plan", "the cached prefix of a request with another plan is taken"
    SLOT = "plan-of-another-request", "a request gets the plan of another one"
    WAITING = "waiting-unsteered", "requests that had to wait for a slot are not steered"
    RESUMED = "resumed-unsteered", "a request that was preempted is not steered when it is resumed"
    FIRST_CHUNK = "first-chunk-only", "only the first chunk or block of a prompt is steered"
    CHUNK_TAIL = "chunk-tail", "a chunk of one token at the end of a prompt is taken for a decode pass"
    FIRST_LEFT = "first-block-left-out", "the first block or chunk of a long prompt is not steered"
    CACHED = "cached-prefix-miscounted", "positions are counted from where a cached prefix ends"
    COMPANY = "steered-alone-only", "a request is steered alone, and not in each company"
    PROMPT_END = "prompt-end-left-out", "the last token of the prompt is not steered"
    PROMPT_LEFT = "prompt-left-out", "the prompt is not steered"
    DRAFTS = "drafts-unsteered", "tokens that were drafted are not steered"
    FIRST_COPY = "first-completion-only", "only the first of several completions is steered"
    ORDER = "responses-exchanged", "responses do not stand in the order of their requests"
    INCOMPLETE = "response-incomplete", "a response does not hold what its request asks for"
    NOT_CHOSEN = "tokens-from-elsewhere", "tokens are chosen from other log-probabilities than those that are given"
    SEED = "seed-ignored", "a seed does not draw the same tokens again"
    IGNORED = "plan-ignored", "a plan that cannot be meant is ignored, and the request runs"
    HALVED = "half-added", "half of the vector is added"
    UNEQUAL_ZERO = "other-path-at-zero", "a plan of scale 0 is computed otherwise than no plan"
    SLOW = "slow-steering", "steered requests take much longer than unsteered ones"

    # Ways to run
    SHARED = "state-shared", "state is shared between models"
    RUN_STATE = "state-between-runs", "state is kept from run to run"
    SAMPLING = "sampling-unsteered", "generation that samples is not steered"
    DETACHED = "vector-detached", "the vector is detached"
    OUTSIDE = "outside-state", "something outside the plan is used: a cache, the clock, the random state"

    # What it costs
    IDLE = "idle-work", "something is done while nothing steers"
    OTHER_LAYERS = "other-layers-work", "layers that are not steered do something for steering"
    READS_BACK = "reads-back", "the host reads a tensor and waits for it (.item(), .tolist(), .nonzero(), a bool)"
    GROWS = "grows", "each step costs more than the one before: something is made anew over all of the past"
    TOKEN_LOOP = "token-loop", "rows or tokens are walked through one by one"
    LAYER_LOOP = "layer-loop", "each steered layer does the work of the others too"
    PREPARED_EACH_PASS = "prepared-each-pass", "what the plan alone determines is computed anew in each pass"
    COPIED = "copied", "the residual stream is copied beside the sum"
    SLOW_PASS = "slow-pass", "each pass takes longer"

    USE = "use", "one kind of use goes wrong"

    # Patterns: several bugs look so.
    UNSEEN = "unseen", "modules of the model are replaced, another copy is run, or the hooks of others are removed"
    COPY = "copy-refers-to-original", "the copy's modules still refer to the original's"
    EXTRA_TOKENS = "extra-tokens", "tokens that are not in the plan's positions are steered"
    POSITIONS = "positions-left-out", "positions of a pass are left out"
    SILENT_PASSES = "silent-passes", "nothing arrives in some passes"
    DIRECTION = "another-direction", "another direction than the steering vector is added"
    UNEVEN = "uneven-scale", "the scale that arrives is not the same at every token"
    PRECISION = "precision-lost", "the vector loses precision on its way"
    ANOTHER_SCALE = "another-scale", "another scale than the plan's arrives"


PATTERNS = frozenset(tuple(Cause)[tuple(Cause).index(Cause.UNSEEN) :])
"""The causes that describe what arrived and name no bug: further runs may say more."""

OF_STATE = frozenset(
    (Cause.LEFT, Cause.STALE, Cause.STALE_MASK, Cause.KEPT, Cause.GIVES_UP, Cause.FADES, Cause.SHARED, Cause.RUN_STATE)
)
"""The causes that say themselves that what ran before matters."""


@dataclass(frozen=True)
class Diagnosis:
    """A cause and what was seen of it: ``str`` is the text that follows "likely"."""

    cause: Cause
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.cause.sentence}: {self.detail}" if self.detail else self.cause.sentence
