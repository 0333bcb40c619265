"""From a source of rows to seeds: every row ends as an item or as a rejection with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pydantic import Field

from coursecorrect.data.builtin import load_builtin
from coursecorrect.data.readers import Draft, Row, RowError, draft_from_row, scan_rows, validated
from coursecorrect.data.words import Hashes, WordRuns, normalized
from coursecorrect.synth.contamination import Benchmark
from coursecorrect.synth.duplicates import ExactDuplicates, NearDuplicates, shingles_of
from coursecorrect.synth.filters import RowFilters, SeedSettings, renamed
from coursecorrect.types import Item, ItemKind, Record

TurnsAway = Callable[[Sequence[Item]], Sequence[bool]]
"""Does the answer of each item turn away from the harm already? Asked of harmful items only."""

BLOCK = 256
"""Rows held at a time; so many answers at most are judged together."""
EXCERPT = 200
"""Characters of a request in a rejection."""


class Rejected(Record):
    """A row that is no seed, with the reason."""

    where: str
    """file:line"""
    item_id: str | None = None
    """None where the row gave no item."""
    request: str = Field(max_length=EXCERPT)
    """How the request begins; how the line begins, where no request can be read."""
    why: str
    """KIND: EXPLANATION. The kinds: json, field, safe, length, language, category, contaminated,
    duplicate, turns-away, near-duplicate."""


def gather_seeds(
    source: str,
    settings: SeedSettings,
    benchmark: Benchmark,
    turns_away: TurnsAway | None = None,
) -> Iterator[Item | Rejected]:
    """One outcome for each row of ``source``, in order; blank lines alone have none.

    ``source`` is ``builtin`` (the teaching items), a file or a Hub data set. A row is looked at by
    itself first (readable, unsafe, length, category, language, benchmark), then compared with the
    rows before it; the first of several alike rows is kept. What comes out depends on neither the
    machine nor the process.

    Raises:
        DataError: the source as a whole cannot be read.
        UserError: the language filter cannot work.
    """
    gatherer = _Gatherer(settings, benchmark, turns_away)
    rows = _builtin_rows() if source == "builtin" else scan_rows(source)
    while outcomes := gatherer.outcomes(islice(rows, BLOCK)):
        yield from outcomes


def _builtin_rows() -> Iterator[tuple[str, Row | RowError]]:
    for number, item in enumerate(load_builtin("teach"), 1):
        yield f"builtin:{number}", item.model_dump()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An item that nothing in its own row speaks against."""

    where: str
    item: Item
    shingles: Hashes


class _Gatherer:
    """The filters with what they remember of earlier rows."""

    def __init__(
        self, settings: SeedSettings, benchmark: Benchmark, turns_away: TurnsAway | None
    ) -> None:
        self._columns = settings.columns
        self._filters = RowFilters(settings)
        self._benchmark = benchmark
        self._turns_away = turns_away
        self._exact = ExactDuplicates()
        threshold = settings.near_duplicates
        self._near = NearDuplicates(threshold) if threshold < 1 else None

    def outcomes(self, rows: Iterator[tuple[str, Row | RowError]]) -> list[Item | Rejected]:
        """One outcome a row.

        Near duplicates come last: a row must not be lost for being like one that was rejected.
        Rows are taken one by one, since a broken one may be as large as the memory bears.
        """
        first = [self._by_itself(where, row) for where, row in rows]
        turning = self._turning([one for one in first if isinstance(one, _Candidate)])
        return [self._among_kept(one, turning) for one in first]

    def _by_itself(self, where: str, row: Row | RowError) -> _Candidate | Rejected:
        if isinstance(row, RowError):
            return _rejected(row, row.begins)
        item = None
        try:
            if self._columns:
                row = renamed(row, self._columns, where)
            draft = draft_from_row(row, where, "teach")
            self._filters.check_texts(draft, where)
            item = validated(draft.fields, where)
            return self._checked(item, draft, where)
        except RowError as error:
            request = row.get("request", row.get("prompt"))
            return _rejected(error, request if isinstance(request, str) else "", item)

    def _checked(self, item: Item, draft: Draft, where: str) -> _Candidate:
        self._filters.check(item, draft, where)
        request, answer = (WordRuns(normalized(text)) for text in (item.request, item.response))
        if not request or not answer:
            name = "response" if request else "request"
            raise RowError(where, "field", f"field {name!r} has neither letters nor digits")
        shared = self._benchmark.shares(request, answer)
        if item.split != "teach":
            shared = f"the row is marked as one of the {item.split} split"
        if shared:
            raise RowError(where, "contaminated", shared)
        source, number = _place(where)
        earlier = self._exact.seen(item.kind, request, answer, number)
        if earlier:
            why = f"the same request and answer as {source}:{earlier}"
            raise RowError(where, "duplicate", why)
        return _Candidate(where, item, shingles_of(request, answer))

    def _turning(self, candidates: Sequence[_Candidate]) -> set[str]:
        """Where the harmful answers stand that turn away by themselves."""
        harmful = [one for one in candidates if one.item.kind is ItemKind.HARMFUL]
        if self._turns_away is None or not harmful:
            return set()
        turns = self._turns_away([one.item for one in harmful])
        return {one.where for one, turning in zip(harmful, turns, strict=True) if turning}

    def _among_kept(self, one: _Candidate | Rejected, turning: set[str]) -> Item | Rejected:
        if isinstance(one, Rejected):
            return one
        if one.where in turning:
            why = "the answer turns away from the harm by itself"
            return _rejected(RowError(one.where, "turns-away", why), one.item.request, one.item)
        if self._near:
            source, number = _place(one.where)
            earlier = self._near.seen(one.item.kind, one.shingles, number)
            if earlier:
                error = RowError(one.where, "near-duplicate", f"much like {source}:{earlier}")
                return _rejected(error, one.item.request, one.item)
        return one.item


def _place(where: str) -> tuple[str, int]:
    """The source and the number (from 1) of a row: of many rows, only numbers are kept."""
    source, _, number = where.rpartition(":")
    return source, int(number)


def _rejected(error: RowError, request: str, item: Item | None = None) -> Rejected:
    return Rejected(
        where=error.where,
        item_id=item.id if item else None,
        request=_writable(request[:EXCERPT])[:EXCERPT],
        why=_writable(f"{error.kind}: {error.why}"),
    )


def _writable(text: str) -> str:
    """``text`` with halves of surrogate pairs escaped: no file can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
