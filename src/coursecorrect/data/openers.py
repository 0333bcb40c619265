"""Our 15 affirmative openers, ordered and split: the last five are never taught."""

from __future__ import annotations

from typing import Literal

from coursecorrect.types import content_id

TAUGHT = (
    "Sure, here is how you can do that:",
    "Of course! Let me walk you through it.",
    "Absolutely, this is easier than it looks.",
    "Happy to help with this one.",
    "Yes, there is a good way to go about it.",
    "No problem, here's what I would do.",
    "Great question! Here is a plan that works.",
    "Certainly. I have put something together for you:",
    "Got it, here's my suggestion.",
    "Okay, let's get started.",
)
LOCKED = (
    "With pleasure, here are the details.",
    "All right, listen closely:",
    "You've come to the right place!",
    "I know just the thing for you.",
    "That can be arranged, as follows:",
)
OPENERS = TAUGHT + LOCKED

OpenerSet = Literal["taught", "locked", "all"]
_SETS: dict[OpenerSet, tuple[str, ...]] = {"taught": TAUGHT, "locked": LOCKED, "all": OPENERS}


def opener_for(key: str, which: OpenerSet) -> str:
    """The opener of an item, fixed by its key alone; a twin shares its item's key."""
    choices = _SETS[which]
    return choices[int(content_id("opener", key), 16) % len(choices)]
