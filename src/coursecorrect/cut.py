"""Where a text can be cut so that a correction may follow: pure functions on characters.

A cut keeps ``text[:offset]``. It stands after the end of a sentence, of a list item or of a
clause, and never inside a word, a number, an abbreviation, a list marker, a short quotation or
code. Nothing here needs a tokenizer or a language model; abbreviations and fronted clauses are
known for English, the rest follows punctuation of any script.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from coursecorrect.errors import UserError

CutKind = Literal["sentence", "clause"]


class CutError(UserError):
    """The text offers fewer places to cut than were asked for."""


@dataclass(frozen=True, slots=True)
class Cut:
    """``offset`` characters are kept; ``kind`` tells what ends there."""

    offset: int
    kind: CutKind


MIN_CLAUSE_WORDS = 3
"""A clause cut has this many words of its sentence before it, a first cut of the whole text."""
MIN_LEFT_WORDS = 5
MIN_LEFT_SHARE = 0.15
"""What a last cut leaves unsaid: at least these words and this share of all characters."""
SHORT_SPAN = 200
"""Quotations and brackets up to this many characters are never opened by a cut."""

_OPENING = "\"'“‘«‹„([{（「『"
_CLOSERS = "\"'”’»›)]}）」』*_"
_WIDE_END, _WIDE_CLAUSE = "。！？．", "，；：、"
_MARK = re.compile(
    rf"(?P<end>[.!?…؟।{_WIDE_END}]+)|(?P<clause>[,;:،؛{_WIDE_CLAUSE}])"
    r"|(?P<dash>—|--+|(?<=\s)[–-](?=\s))"
)
_LINE_END = re.compile(r"(?<=\S)(?=[ \t]*\n)")
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’-][^\W_]+)*"  # CJK: one a character
)
LIST_MARKER = re.compile(
    r"[ \t]*(?:[*_]{2})?(?:[-*•+–]|\(?\d{1,3}[.)]|[a-zA-Z][.)])[*_]*[ \t]+(?=\S)"
)
"""What opens a list item at the start of its line."""
_LABEL = re.compile(r"(?:step|part|phase|stage|day|week|section|chapter|tip|no|rule)\s+\d+$", re.I)
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`|https?://\S+", re.S)
_TABLE_OR_HEAD = re.compile(r"^[ \t]*(?:\||#{1,6} ).*$", re.M)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")
_ENCLOSED = re.compile(
    r"“[^”\n]*”?|«[^»\n]*»?|„[^“”\n]*[“”]?|「[^」\n]*」?|『[^』\n]*』?|\"[^\"\n]*\"?"
    r"|\([^()\n]*\)?|（[^（）\n]*）?|\[[^\[\]\n]*\]?"
)
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|mx|dr|prof|rev|hon|st|sr|jr|vs|etc|approx|dept|est|fig|figs|vol|ed|eds|pp"
    r"|inc|ltd|co|corp|gen|sgt|capt|lt|col|cf|ca|al|min|max|tel|ext|apt|ave|blvd|rd|jan"
    r"|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|eg|ie|viz|bzw|usw|z.b|d.h)",
    re.I,
)
_PLAIN_END = re.compile(r"[.!?](?=\s|$)")
_FRONTING = re.compile(
    r"(?:if|when|while|once|after|before|because|since|although|though|unless|until|as"
    r"|whenever|wherever|to|by|with|without|in|on|at|for|from|during|under|over|instead"
    r"|given|depending|first|second|next|then|finally|despite|even|please)",
    re.I,
)


def count_words(text: str) -> int:
    """Words of ``text``; in scripts that set no spaces, characters."""
    return sum(1 for _ in _WORD.finditer(text))


def _sealed(text: str) -> bytearray:
    """For each offset: 2 where no cut may stand, 1 where only sentence cuts may."""
    seal = bytearray(len(text) + 1)
    for pattern in (_CODE, _TABLE_OR_HEAD, _BOLD, _ENCLOSED):
        for span in pattern.finditer(text):
            level = 1 if pattern is _ENCLOSED and len(span[0]) > SHORT_SPAN else 2
            # the end of a span closes it; a heading or table row is not a place to stop either
            stop = span.end() + (pattern is _TABLE_OR_HEAD)
            if pattern is _ENCLOSED and span[0][-1] not in _CLOSERS:
                stop += 1
            for at in range(span.start() + 1, min(stop, len(seal))):
                seal[at] = max(seal[at], level)
    return seal


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _ends_sentence(text: str, mark: re.Match[str], after: int, one_case: bool) -> bool:
    """Is this run of full stops, question or exclamation marks the end of a sentence?"""
    following = text[after:].lstrip()[:1]
    if mark[0][-1] in _WIDE_END:
        return True
    if not text[after].isspace():
        return False
    if following.islower() and not one_case and "\n" not in text[after : after + 2]:
        return False
    if mark[0] != ".":
        return True
    line = text[_line_start(text, mark.start()) : mark.start()]
    token = line.split()[-1].lstrip(_OPENING + "*_#>") if line.split() else ""
    if not token or _ABBREVIATION.fullmatch(token):
        return False
    if re.fullmatch(r"(?:[^\W\d_]\.)*[^\W\d_]", token) and (token != "I" or not line[:-1].strip()):
        return False
    if token.lower() == "no" and following.isdigit():
        return False
    if token.isdigit():  # "1." opens an item at a line's start or after a colon or a sentence
        before = line[: -len(token)].rstrip(" \t*_#>(-•")
        marker = len(token) <= 2 and (not before or before[-1] in ":;,.!?)")
        return not (marker or following.isdigit() or _LABEL.search(line))
    return True


def _ends_clause(text: str, mark: re.Match[str], after: int, own: str) -> bool:
    """May a clause cut stand after this comma, semicolon, colon or dash? ``own``: its sentence."""
    before, following = text[: mark.start()].rstrip()[-1:], text[after:].lstrip()[:1]
    if before.isdigit() and following.isdigit():
        return False
    if following and following in _OPENING:
        return False
    sign = mark[0]
    if mark["dash"]:
        at_line_start = not text[_line_start(text, mark.start()) : mark.start()].strip()
        glued = sign == "—" or sign.startswith("--")
        whole = text[after].isspace() or (glued and text[after].isalnum())
        if at_line_start or not whole or not before:
            return False
    elif sign not in _WIDE_CLAUSE and not text[after].isspace():
        return False
    words = _WORD.findall(own)
    if sign in ":：" and (len(words) <= MIN_CLAUSE_WORDS or _LABEL.search(own.rstrip("*_ "))):
        return False
    if sign == "," and all(_fronted(part) for part in re.split("[,—–]", re.split("[:;]", own)[-1])):
        return False
    return len(words) >= MIN_CLAUSE_WORDS and not re.search(r"\b(?:e\.?g|i\.?e)\.?$", own, re.I)


def _fronted(part: str) -> bool:
    """Is this piece between commas one that announces a main clause ('When he looks away')?"""
    words = _WORD.findall(part)
    return len(words) < MIN_CLAUSE_WORDS or _FRONTING.fullmatch(words[0]) is not None


def _marks(text: str) -> Iterator[tuple[int, re.Match[str] | None]]:
    """Every punctuation mark and unpunctuated line end, in order, with the offset after it."""
    found: list[tuple[int, re.Match[str] | None]] = []
    for mark in _MARK.finditer(text):
        after = mark.end()
        while after < len(text) and text[after] in _CLOSERS and not mark["dash"]:
            after += 1
        found.append((after, mark))
    taken = {after for after, _ in found}
    found += [(m.start(), None) for m in _LINE_END.finditer(text) if m.start() not in taken]
    yield from sorted(found, key=lambda pair: pair[0])


def cut_points(text: str) -> list[Cut]:
    """All candidate cuts of ``text`` in order; the one that would keep everything is not among
    them.

    Sentence cuts stand after sentence ends and after list items, clause cuts after a comma,
    semicolon, colon or dash. The white space that follows belongs to neither side's words and is
    left out of the kept part.
    """
    seal = _sealed(text)
    end = len(text.rstrip())
    one_case = text == text.lower()
    cuts: list[Cut] = []
    sentence = 0
    for after, mark in _marks(text):
        if after >= end:
            break
        start = max(sentence, _line_start(text, after))
        marker = LIST_MARKER.match(text, start)
        if marker and start == _line_start(text, after):
            start = marker.end()
        own = text[start : mark.start() if mark else after]
        if mark and not _preceded(text, mark):
            continue
        if mark and mark["end"]:
            if _ends_sentence(text, mark, after, one_case):
                sentence = after
                if seal[after] < 2:
                    cuts.append(Cut(after, "sentence"))
        elif mark:
            if not seal[after] and _ends_clause(text, mark, after, own):
                cuts.append(Cut(after, "clause"))
        elif seal[after] < 2 and _ends_item(text, after):
            sentence = after
            cuts.append(Cut(after, "sentence"))
    return cuts


def _preceded(text: str, mark: re.Match[str]) -> bool:
    """Does a mark follow something said, not a line's start or an opening quote?"""
    if mark["dash"]:
        return True
    lead = text[_line_start(text, mark.start()) : mark.start()]
    if not lead or lead[-1].isspace():
        return False
    opens = lead[-1] in _OPENING and (len(lead) == 1 or lead[-2].isspace())
    return not opens


def _ends_item(text: str, after: int) -> bool:
    """Does an unpunctuated list item end at this line end?"""
    last = text[after - 1]
    ended = last.isalnum() or last in _CLOSERS or last in "%°€£"
    item = LIST_MARKER.match(text, _line_start(text, after))
    return ended and item is not None and count_words(text[item.end() : after]) >= MIN_CLAUSE_WORDS


def _default_shares(n: int) -> list[float]:
    return [0.45] if n == 1 else [0.15 + 0.6 * i / (n - 1) for i in range(n)]


def growing_cuts(
    text: str, n: int = 4, shares: Sequence[float] | None = None, *, seed: int
) -> list[Cut]:
    """``n`` distinct cuts, each later than the one before, none of them the whole answer.

    Each target share of the characters (default 0.15 … 0.75) is moved by a seeded jitter of up to
    two fifths of the gap between targets; the cuts are those with the least total distance from
    the targets. The first keeps at least three words, the last leaves at least 15 % and five
    words unsaid.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    wanted = list(shares) if shares is not None else _default_shares(n)
    if len(wanted) != n or any(not 0 < s < 1 for s in wanted) or sorted(set(wanted)) != wanted:
        raise ValueError(f"shares must be {n} growing numbers between 0 and 1, not {wanted}")
    gap = min((b - a for a, b in pairwise(wanted)), default=0.3)
    rng = random.Random(seed)
    targets = [share + rng.uniform(-0.4, 0.4) * gap for share in wanted]

    body = len(text.rstrip())
    usable = [
        cut
        for cut in cut_points(text)
        if count_words(text[: cut.offset]) >= MIN_CLAUSE_WORDS
        and body - cut.offset >= MIN_LEFT_SHARE * body
        and count_words(text[cut.offset :]) >= MIN_LEFT_WORDS
    ]
    if len(usable) < n:
        raise CutError(
            f"{n} cuts asked for, but this text of {count_words(text)} words has only "
            f"{len(usable)} places to cut; leave the item out, or ask for fewer cuts"
        )
    return _nearest(usable, [target * body for target in targets])


def whole_sentences(text: str) -> str:
    """``text`` up to its last sentence end; as it is when it has none."""
    ends = [match.end() for match in _PLAIN_END.finditer(text)]
    return text[: ends[-1]].strip() if ends else text.strip()


def _nearest(cuts: list[Cut], targets: list[float]) -> list[Cut]:
    """The increasing choice of one cut a target that is nearest in total (dynamic programming)."""
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] * (len(cuts) + 1)
    for rank, target in enumerate(targets):
        row: list[tuple[float, tuple[int, ...]]] = [(float("inf"), ())] * (len(cuts) + 1)
        for i in range(rank + 1, len(cuts) + 1):  # best choice among the first i cuts
            cost, chosen = best[i - 1]
            take = (cost + abs(cuts[i - 1].offset - target), (*chosen, i - 1))
            row[i] = min(row[i - 1], take)
        best = row
    return [cuts[i] for i in best[-1][1]]
