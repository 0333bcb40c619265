"""The places where a text may be cut.

A cut stands after the end of a sentence, of a list item or of a clause, and never inside a word, a
number, an abbreviation, a list marker, a short quotation or code. Abbreviations and fronted clauses
are known for English, the rest follows punctuation of any script. ``token_points`` adds the ends of
all other words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from coursecorrect.cut.base import Cut
from coursecorrect.cut.words import WORD, count_words, gaps

MIN_CLAUSE_WORDS = 3
"""A clause cut has this many words of its sentence before it."""
SHORT_SPAN = 200
"""Quotations and brackets up to this many characters are never opened by a cut."""

_OPENING = "\"'“‘«‹„([{（「『"
_CLOSERS = "\"'”’»›)]}）」』*_"
_WIDE_END, _WIDE_CLAUSE = "。！？．", "，；：、"
_END, _CLAUSE = f".!?…؟।{_WIDE_END}", f",;:،؛{_WIDE_CLAUSE}"
# One class for the first character of any sign: that alone lets the engine skip to it.
_SIGN = re.compile(rf"[{_END}{_CLAUSE}—–-](?:(?<=[{_END}])[{_END}]+|(?<=-)-+)?")
LIST_MARKER = re.compile(
    r"[ \t]*(?:[*_]{2})?(?:[-*•+–]|\(?\d{1,3}[.)]|[a-zA-Z][.)])[*_]*[ \t]+(?=\S)"
)
"""What opens a list item at the start of its line."""
_LABEL = re.compile(r"(?:step|part|phase|stage|day|week|section|chapter|tip|no|rule)\s+\d+$", re.I)
_CODE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|``(?!`)[^\n]+?``(?!`)|`[^`\n]+`|https?://\S+", re.S
)
_MAY_BE_CODE = re.compile(r"[`~]|://")
_TABLE_OR_HEAD = re.compile(r"^[ \t]*(?:\||#{1,6} ).*$", re.M)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")
_ENCLOSED = re.compile(
    r"“[^”\n]*”?|«[^»\n]*»?|„[^“”\n]*[“”]?|「[^」\n]*」?|『[^』\n]*』?|\"[^\"\n]*\"?"
    r"|\([^()\n]*\)?|（[^（）\n]*）?|\[[^\[\]\n]*\]?"
)
_MAY_BE_ENCLOSED = re.compile(r"[“«„「『\"(（\[]")
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|mx|dr|prof|rev|hon|st|sr|jr|vs|etc|approx|dept|est|fig|figs|vol|ed|eds|pp"
    r"|inc|ltd|co|corp|gen|sgt|capt|lt|col|cf|ca|al|min|max|tel|ext|apt|ave|blvd|rd|jan"
    r"|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|eg|ie|viz|bzw|usw|z.b|d.h)",
    re.I,
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_FOR_EXAMPLE = re.compile(r"\b(?:e\.?g|i\.?e)\.?$", re.I)
_FRONTING = re.compile(
    r"(?:if|when|while|once|after|before|because|since|although|though|unless|until|as"
    r"|whenever|wherever|to|by|with|without|in|on|at|for|from|during|under|over|instead"
    r"|given|depending|first|second|next|then|finally|despite|even|please)",
    re.I,
)
_PART = re.compile(r"[,—–]")
_CLAUSE_OPENS = re.compile(r"[:;]")


class _Mark(NamedTuple):
    """A run of punctuation at ``start``, or with ``sign`` empty the end of a line."""

    after: int
    """Where a cut would stand: past the marks and past what they close."""
    start: int
    sign: str

    @property
    def ends(self) -> bool:
        return self.sign[-1:] in _END

    @property
    def dash(self) -> bool:
        return self.sign[:1] in "—–-"


def cut_points(text: str) -> list[Cut]:
    """All places in order where a sentence or a clause ends; the end of the text is not among them.

    Sentence cuts stand after sentence ends and after list items, clause cuts after a comma,
    semicolon, colon or dash. The white space that follows belongs to neither side's words and is
    left out of the kept part.
    """
    seal = _sealed(text)
    end = len(text.rstrip())
    one_case = text == text.lower()
    cuts: list[Cut] = []
    sentence = 0
    for mark in _marks(text):
        after = mark.after
        if after >= end:
            break
        if not mark.sign:
            if seal[after] < 2 and _ends_item(text, after):
                sentence = after
                cuts.append(Cut(after, "sentence"))
        elif not _preceded(text, mark):
            continue
        elif mark.ends:
            if _ends_sentence(text, mark, one_case):
                sentence = after
                if seal[after] < 2:
                    cuts.append(Cut(after, "sentence"))
        elif not seal[after] and _ends_clause(text, mark, sentence):
            cuts.append(Cut(after, "clause"))
    return cuts


def sentence_points(text: str) -> list[Cut]:
    """The places where a sentence or a list item ends."""
    return [cut for cut in cut_points(text) if cut.kind == "sentence"]


def token_points(text: str) -> list[Cut]:
    """All places where a word ends, in order.

    Where a sentence or a clause ends too, the cut is of that kind. Other places after punctuation
    are left out: an abbreviation, a list marker, the comma after 'When he looks away'.
    """
    seal = _sealed(text)
    end = len(text.rstrip())
    cuts = {at: Cut(at, "token") for at in gaps(text) if at < end and seal[at] < 2}
    cuts |= {cut.offset: cut for cut in cut_points(text)}
    return [cuts[at] for at in sorted(cuts)]


def _sealed(text: str) -> bytearray:
    """For each offset: 2 where no cut may stand, 1 where no clause cut may."""
    seal = bytearray(len(text) + 1)
    if _MAY_BE_ENCLOSED.search(text):
        for span in _ENCLOSED.finditer(text):
            level = 1 if len(span[0]) > SHORT_SPAN else 2
            unclosed = span[0][-1] not in _CLOSERS
            _seal(seal, span.start() + 1, span.end() + unclosed, level)
    if "**" in text or "__" in text:
        _seal_all(seal, _BOLD, text)
    if "|" in text or "#" in text:
        for span in _TABLE_OR_HEAD.finditer(text):  # its end is not a place to stop either
            _seal(seal, span.start() + 1, span.end() + 1, 2)
    if _MAY_BE_CODE.search(text):
        _seal_all(seal, _CODE, text)
    return seal


def _seal_all(seal: bytearray, pattern: re.Pattern[str], text: str) -> None:
    for span in pattern.finditer(text):
        _seal(seal, span.start() + 1, span.end(), 2)


def _seal(seal: bytearray, start: int, stop: int, level: int) -> None:
    stop = min(stop, len(seal))
    if stop > start:
        # Spans of a pattern don't overlap and the weak level comes first, so nothing is weakened.
        seal[start:stop] = bytes([level]) * (stop - start)


def _marks(text: str) -> list[_Mark]:
    """Every punctuation mark and unpunctuated line end, in order."""
    found: list[_Mark] = []
    length = len(text)
    for match in _SIGN.finditer(text):
        sign = match[0]
        start, after = match.span()
        if sign[0] not in "—–-":
            while after < length and text[after] in _CLOSERS:
                after += 1
        elif sign in ("-", "–") and not _stands_free(text, start):
            continue  # a hyphen, or a range
        found.append(_Mark(after, start, sign))
    if "\n" in text:
        taken = {mark.after for mark in found}
        found += [_Mark(at, at, "") for at in _line_ends(text) if at not in taken]
        found.sort()
    return found


def _stands_free(text: str, at: int) -> bool:
    """Is the character at ``at`` between white space?"""
    return text[at - 1 : at].isspace() and text[at + 1 : at + 2].isspace()


def _line_ends(text: str) -> list[int]:
    """Where the lines end that hold something, without blanks at their ends."""
    ends = []
    newline = text.find("\n")
    while newline >= 0:
        at = newline
        while at and text[at - 1] in " \t":
            at -= 1
        if at and not text[at - 1].isspace():
            ends.append(at)
        newline = text.find("\n", newline + 1)
    return ends


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _next(text: str, at: int) -> str:
    """The first character from ``at`` that is no white space; there must be one."""
    while text[at].isspace():
        at += 1
    return text[at]


def _preceded(text: str, mark: _Mark) -> bool:
    """Does a mark follow something said, not a line's start or an opening quote?"""
    if mark.dash:
        return True
    before = text[mark.start - 1 : mark.start]
    if not before or before.isspace():
        return False
    return before not in _OPENING or not (mark.start == 1 or text[mark.start - 2].isspace())


def _ends_sentence(text: str, mark: _Mark, one_case: bool) -> bool:
    """Is this run of full stops, question or exclamation marks the end of a sentence?"""
    after = mark.after
    if mark.sign[-1] in _WIDE_END:
        return not (mark.sign == "．" and text[mark.start - 1].isdigit() and text[after].isdigit())
    if not text[after].isspace():
        return False
    following = _next(text, after)
    if following.islower() and not one_case and "\n" not in text[after : after + 2]:
        return False
    if mark.sign != ".":
        return True
    line = text[_line_start(text, mark.start) : mark.start]
    token = line.rsplit(maxsplit=1)[-1].lstrip(_OPENING + "*_#>")
    if not token or _ABBREVIATION.fullmatch(token):
        return False
    if _INITIALS.fullmatch(token) and (token != "I" or not line[:-1].strip()):
        return False
    if token.lower() == "no" and following.isdigit():
        return False
    if token.isdigit():  # "1." opens an item at a line's start or after a colon or a sentence
        before = line[: -len(token)].rstrip(" \t*_#>(-•")
        marker = len(token) <= 2 and (not before or before[-1] in ":;,.!?)")
        return not (marker or following.isdigit() or _LABEL.search(line))
    return True


def _ends_clause(text: str, mark: _Mark, sentence: int) -> bool:
    """May a clause cut stand after this comma, semicolon, colon or dash?

    ``sentence`` is where the last sentence ended.
    """
    after, sign = mark.after, mark.sign
    if mark.dash and not _breaks_a_line(text, mark):
        return False
    if not mark.dash and sign not in _WIDE_CLAUSE and not text[after].isspace():
        return False
    following = _next(text, after)
    before = text[mark.start - 1] if not mark.dash else text[: mark.start].rstrip()[-1:]
    if (before.isdigit() and following.isdigit()) or following in _OPENING:
        return False
    own = _said(text, mark, sentence)
    words = len(WORD.findall(own))
    if words < MIN_CLAUSE_WORDS:
        return False
    if sign in ":：" and (words == MIN_CLAUSE_WORDS or _LABEL.search(own.rstrip("*_ "))):
        return False
    if sign == "," and all(map(_fronted, _PART.split(_CLAUSE_OPENS.split(own)[-1]))):
        return False
    return not _FOR_EXAMPLE.search(own[-6:])


def _breaks_a_line(text: str, mark: _Mark) -> bool:
    """Does a dash part what stands before it in its line from what follows?"""
    if not text[_line_start(text, mark.start) : mark.start].strip():
        return False
    glued = mark.sign == "—" or mark.sign.startswith("--")
    follows = text[mark.after]
    return follows.isspace() or (glued and follows.isalnum())


def _said(text: str, mark: _Mark, sentence: int) -> str:
    """What of its sentence, or of its list item, stands before a mark."""
    line = _line_start(text, mark.after)
    if sentence > line:
        return text[sentence : mark.start]
    marker = LIST_MARKER.match(text, line)
    return text[marker.end() if marker else line : mark.start]


def _fronted(part: str) -> bool:
    """Is this piece between commas one that announces a main clause ('When he looks away')?"""
    words = WORD.findall(part)
    return len(words) < MIN_CLAUSE_WORDS or _FRONTING.fullmatch(words[0]) is not None


def _ends_item(text: str, after: int) -> bool:
    """Does an unpunctuated list item end at this line end?"""
    last = text[after - 1]
    ended = last.isalnum() or last in _CLOSERS or last in "%°€£"
    item = LIST_MARKER.match(text, _line_start(text, after))
    return ended and item is not None and count_words(text[item.end() : after]) >= MIN_CLAUSE_WORDS
