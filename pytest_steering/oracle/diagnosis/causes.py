"""The classes of bugs that a steering implementation has, each by the words that a failure names it with."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """A class of bugs. What a failure calls likely begins with one of these, and numbers follow.

    Those that explain more stand first: where the failures of one run name several, the first of them is the cause
    and the others its effects.
    """

    # Nothing can be said of steering before these are mended.
    TYPE = "the steered layer returns another type"
    LEFT = "something is left behind after the block"
    INPUTS = "the caller's inputs are changed"
    MASK_DROPPED = "the attention mask does not reach the model"
    HOOKS_REMOVED = "the hooks of others are removed"

    # Where in the model
    BEFORE = "something before the decoder layers is steered too"
    LAYER_INPUT = "the layer's input is steered, not what it emits"
    LAYER_BEFORE = "the layer before is steered"
    ANOTHER_LAYER = "another layer is steered"
    INSIDE = "a part inside the layer is steered"
    BEHIND = "the vector lands behind the layer"
    NEXT_INPUT = "what the next layer receives is steered, not what others read"
    EACH_RUN = "the vector is not added each time that the layer runs"
    LOGITS = "something behind the decoder layers is changed too"
    RUN_AGAIN = "the model is run again for steering"

    # State
    STALE = "what an earlier plan steered is kept"
    STALE_MASK = "the mask of an earlier batch is kept"
    FIRST_CALL = "only the first call inside a block is steered"

    # Which tokens
    NEVER = "the vector never arrives"
    STREAMS = "of the residual streams only"
    EXCHANGED = "rows and positions are exchanged"
    OWN = "positions that the model itself puts before the tokens are steered"
    ROW_ZERO = "only batch row 0 is steered"
    LAST_ROW = "the last batch row is left out"
    OTHER_ROWS = "only every other batch row is steered"
    SOME_ROWS = "batch rows are left out"
    BEAMS = "only as many rows are steered as the prompt has"
    PADDING = "padding is steered"
    ONE_TOKEN = "a prompt pass of one token is taken for a decode pass"
    LAST_POSITION = "only the last position of a pass is steered"
    FIRST_TOKENS = "only the first tokens of a long prompt are steered"
    ALL_POSITIONS = "every token is steered, whatever positions the plan names"
    GENERATED_AS_ALL = "a plan for generated tokens is taken for one for all"
    BORDER = "the first generated token is left out"
    OFF_BY_ONE = "the positions are off by one"
    LAST_OF_PASS = "LAST is counted anew in every pass"
    PROMPT_ONLY = "only the first pass (the prompt) is steered"
    GIVES_UP = "after some passes nothing is steered any more"
    FADES = "the dose changes from pass to pass"
    LAST_CANDIDATE = "of a decode pass of several tokens only the last is steered"

    # How much of what
    TWICE = "the vector is added twice"
    SUBTRACTED = "the vector is subtracted"
    SIGN = "the sign of the scale is lost"
    SCALE_IGNORED = "the scale is ignored"
    SCALE_TWICE = "the scale is applied twice"
    NORMALISED = "the vector is normalised before it is added"
    WHOLE = "the scale is cut to a whole number"
    CLAMPED = "the scale is clamped"
    SMALL_LOST = "small scales are lost"
    REFUSED = "a scale that the dtype can hold is refused"
    DIVIDED = "the dose is divided by the number of tokens"
    COMPONENT = "the component along the vector is replaced and not added to"
    NORM_KEPT = "the residual stream is scaled back to its norm"
    SHIFTED = "the elements of the vector are shifted"
    ELEMENTS = "elements of the vector are left out"
    CLIPPED = "the largest elements of the vector are clipped"
    BROADCAST = "one number is added to every element (a vector of another shape is broadcast)"
    ROUNDED = "the vector is rounded to"
    FACTOR = "a constant factor changes every dose"
    PROMOTED = "the vector's dtype is not made the residual stream's"
    AT_ZERO = "something is added at scale 0"

    # Several layers
    SOME_LAYERS = "not every layer of a plan is steered"
    SUMMED = "each layer gets the sum of the plan's vectors"
    MIXED = "a layer gets the vector of another layer"

    # What is refused
    UNCHECKED = "the plan is not checked before the model is touched"
    OVERFLOW = "the dose is not checked against the dtype"

    # What belongs to others
    VECTOR = "the caller's vector is changed in place"
    SWALLOWED = "exceptions of the caller are swallowed"
    NOT_FINALLY = "hooks are removed only when the block ends well (no try/finally)"
    HOOK_LEFT = "a hook is left on the model"
    SETTING = "a setting of the process is left changed"
    RANDOM = "random numbers are drawn or a seed is set"
    MODE = "the model's training mode is left changed"
    CONFIG = "the model's config is left changed"
    FLAGS = "gradient flags of parameters are left changed"
    ATTRIBUTE = "an attribute is left on the model"
    PARAMETERS = "parameters or buffers are left changed"

    # Ways to run
    SHARED = "state is shared between models"
    RUN_STATE = "state is kept from run to run"
    INNER = "an inner block takes the place of the outer one"
    COMPILED = "hooks added after the first compiled call are not seen"
    INFERENCE = "inference mode is not steered"
    SAMPLING = "generation that samples is not steered"
    NOT_GENERATING = "generation is not steered"
    DETACHED = "the vector is detached"
    OUTSIDE = "something outside the plan is used: a cache, the clock, the random state"
    SLOW_PASS = "each pass takes longer"

    @classmethod
    def of(cls, likely: str) -> Cause | None:
        """The class that a failure's likely cause names, or none."""
        return next((cause for cause in cls if likely.startswith(cause)), None)
