"""What may come of an item in the place of the answer that was asked for: kinds, with which the errors begin."""

from __future__ import annotations

REFUSAL = "refusal"  # the model says that it will not
FILTERED = "content filter"  # a filter stopped prompt or answer
NO_LETTER = "no letter"  # a text that names none of the options
CUT = "cut before an answer"  # the limit of tokens went into thoughts
NO_TEXT = "no text"  # the model calls a tool, or thinks and ends
NO_ANSWER = "no answer"  # nothing came, or an error
UNREADABLE = "unreadable"  # what came is no answer of this protocol
REJECTED = "the server rejects it"
UNREACHED = "unreached"  # nobody at the address, for one request as for all
UNFIT = "unfit"  # numbers that cannot be the model's: not an item's, but the server's

ANSWERED = (REFUSAL, FILTERED, NO_LETTER, CUT, NO_TEXT)  # the model's own doing: wrong, and covered
AGAIN = (NO_ANSWER, UNREADABLE)  # another command asks for them again
ANSWER, FAILED = "answer", "failed"  # an outcome, and why there is none where no server is to blame


def kind_of(error: str) -> str:
    """The kind of an item's error; of "" and of errors without one, that."""
    kinds = (*ANSWERED, *AGAIN, REJECTED)
    return next((kind for kind in kinds if error.startswith(f"{kind}:")), FAILED) if error else ANSWER


RAW = "asked without its chat template"  # of a model that has one; how the note on it begins
PREFER = "prefer:"  # how the name of the metric begins that a model is: which of two texts it prefers
