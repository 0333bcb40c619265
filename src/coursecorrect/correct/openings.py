"""First words of a change of course, whoever speaks, and the tokens that begin them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from coursecorrect.correct.triggers import TRIGGERS

OPENINGS: Final = (
    "actually",
    "although",
    "apologies",
    "but",
    "hmm",
    "hold on",
    "however",
    "instead",
    "never mind",
    "no",
    "oops",
    "sorry",
    "stop",
    "unfortunately",
    "wait",
    "yet",
)
"""Words that hardly ever go on with an instruction. "I" begins most refusals, and as many ordinary
sentences: it is left out, so the mass of these words is a lower bound."""


def first_tokens(tokenizer: Any, texts: Iterable[str]) -> frozenset[int]:
    """First tokens of ``texts``, capital or not, with a space before them or not."""
    spellings = {
        lead + form
        for text in texts
        for form in (text, text[0].upper() + text[1:])
        for lead in ("", " ")
    }
    return frozenset(
        next(
            i
            for i in tokenizer(text, add_special_tokens=False)["input_ids"]
            if tokenizer.decode([i]).strip()
        )
        for text in spellings
    )


def trigger_tokens(tokenizer: Any) -> frozenset[int]:
    """First tokens of all taught triggers."""
    return first_tokens(tokenizer, (trigger.text for trigger in TRIGGERS))
