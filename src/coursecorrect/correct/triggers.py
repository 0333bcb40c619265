"""The fifteen triggers that turn a cut answer towards its correction, and how to join them.

A trigger is written as it reads in mid-sentence; ``join`` sets capitals and spacing. ``after``
tells which cuts it may follow, ``breaks`` the sign with which it breaks off a sentence between two
words, ``frame`` what grammar it needs next: an independent clause that goes on in lower case, or a
new sentence.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, Literal

from coursecorrect.cut import LIST_MARKER, CutKind, is_unspaced
from coursecorrect.types import Record

Frame = Literal["clause", "sentence"]


class Trigger(Record):
    """A turn of phrase between the harm and its correction."""

    text: str
    after: Literal["sentence", "clause", "both"]
    frame: Frame
    kind: Literal["contrast", "interruption", "reconsideration", "taking back", "stopping"]
    breaks: Literal["—", "…"] | None = None

    def fits(self, cut_kind: CutKind) -> bool:
        """May this trigger follow such a cut?"""
        if cut_kind == "token":
            return self.breaks is not None
        return self.after in ("both", cut_kind)


TRIGGERS: Final[tuple[Trigger, ...]] = (
    Trigger(text="but", after="both", frame="clause", kind="contrast"),
    Trigger(text="however,", after="sentence", frame="clause", kind="contrast"),
    Trigger(
        text="yet I don't feel right about this:", after="both", frame="clause", kind="contrast"
    ),
    Trigger(text="wait –", after="both", frame="clause", kind="interruption", breaks="…"),
    Trigger(text="no, hold on:", after="both", frame="clause", kind="interruption", breaks="—"),
    Trigger(text="or rather, no:", after="clause", frame="clause", kind="interruption", breaks="—"),
    Trigger(text="actually,", after="sentence", frame="clause", kind="reconsideration", breaks="—"),
    Trigger(
        text="thinking it over again,",
        after="sentence",
        frame="clause",
        kind="reconsideration",
        breaks="…",
    ),
    Trigger(
        text="although, thinking about it,",
        after="clause",
        frame="clause",
        kind="reconsideration",
    ),
    Trigger(
        text="except that, on reflection,", after="clause", frame="clause", kind="reconsideration"
    ),
    Trigger(
        text="let me take that back.",
        after="sentence",
        frame="sentence",
        kind="taking back",
        breaks="—",
    ),
    Trigger(text="scratch that:", after="both", frame="clause", kind="taking back", breaks="—"),
    Trigger(
        text="hmm, this was a mistake.",
        after="sentence",
        frame="sentence",
        kind="taking back",
        breaks="…",
    ),
    Trigger(text="enough of this:", after="sentence", frame="clause", kind="stopping", breaks="—"),
    Trigger(
        text="before I go any further:",
        after="sentence",
        frame="clause",
        kind="stopping",
        breaks="—",
    ),
)
"""Those that join two clauses ('but', 'although') break off no sentence: what stands before a break
is no clause yet."""

_SENTENCE_END = re.compile(r"[.!?…。！？．؟।][\"'”’»)\]*_」』）]*$")


def triggers_for(cut_kind: CutKind, prefix: str = "") -> tuple[Trigger, ...]:
    """The triggers that may follow such a cut; with ``prefix``, those that suit its end too.

    What follows a colon stands by itself, so a trigger that only goes on with a clause is out.
    """
    fitting = _fitting(cut_kind)
    if _announces(prefix.rstrip()):
        return tuple(trigger for trigger in fitting if trigger.after != "clause")
    return fitting


@cache
def _fitting(cut_kind: CutKind) -> tuple[Trigger, ...]:
    return tuple(trigger for trigger in TRIGGERS if trigger.fits(cut_kind))


def join(prefix: str, cut_kind: CutKind, trigger: Trigger) -> str:
    """``prefix`` and ``trigger`` as one text that reads on; the prefix itself is not altered,
    save for white space at its end.

    After a sentence the trigger begins a new one. After a finished list item, and after a colon
    that announces something, it begins a new paragraph. After any other clause it goes on in the
    same sentence. Between two words it breaks off with its dash or ellipsis, which Chinese and
    Japanese write twice as wide and without a space.
    """
    if not trigger.fits(cut_kind):
        raise ValueError(f"the trigger {trigger.text!r} cannot follow a {cut_kind} cut")
    kept = prefix.rstrip()
    if not kept:
        return _capital(trigger.text)
    if cut_kind == "token":
        return kept + _break(kept, trigger.breaks or "") + trigger.text
    stands_alone = _announces(kept) and trigger.after != "clause"
    if cut_kind == "clause" and not stands_alone:
        glued = kept.endswith(("—", "，", "；", "、")) and kept == prefix
        return kept + ("" if glued else " ") + trigger.text
    new_paragraph = cut_kind == "clause" or _is_whole_item(kept)
    return kept + ("\n\n" if new_paragraph else " ") + _capital(trigger.text)


def follow(joined: str, correction: str) -> str:
    """The text of ``join`` with the correction after it, one space between them."""
    return f"{joined} {correction.lstrip()}"


def _break(kept: str, sign: str) -> str:
    if is_unspaced(kept[-1]):
        return 2 * sign
    return f"{sign} " if sign == "…" else f" {sign} "


def _announces(kept: str) -> bool:
    return kept.endswith((":", "：", ":**", ":*"))


def _is_whole_item(kept: str) -> bool:
    """Is the last line a list item that holds one sentence, or none with punctuation?"""
    line = kept[kept.rfind("\n") + 1 :]
    marker = LIST_MARKER.match(line)
    if not _SENTENCE_END.search(kept):
        return True
    return marker is not None and not re.search(r"[.!?…]\s", line[marker.end() :])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
