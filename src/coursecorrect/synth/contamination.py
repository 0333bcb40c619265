"""What must never be taught: the requests and answers of the benchmarks, and texts that share runs
of words with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from coursecorrect.data.builtin import items_hash, load_builtin
from coursecorrect.data.readers import Row, item_from_row, rows_of
from coursecorrect.data.words import WordRuns, normalized
from coursecorrect.types import Item

_SHOWN = 200  # characters of a shared run in a reason


class BenchmarkRow(NamedTuple):
    """One item of a benchmark, with all answers that its row holds."""

    where: str
    item: Item
    answers: tuple[str, ...]


def benchmark_rows(files: Sequence[str] = ()) -> Iterator[BenchmarkRow]:
    """The built-in dev and locked items, then those of ``files``.

    Raises:
        DataError: a file or one of its rows cannot be read: a benchmark is taken whole or not.
    """
    for item in (*load_builtin("dev"), *load_builtin("locked")):
        yield BenchmarkRow(f"built-in {item.split} item", item, _answers(item, {}))
    for file in files:
        for where, row in rows_of(file):
            item = item_from_row(row, where)
            yield BenchmarkRow(where, item, _answers(item, row))


def _answers(item: Item, row: Row) -> tuple[str, ...]:
    others = (item.safe_response, row.get("response_0"), row.get("response_1"))
    return (item.response, *(text for text in others if isinstance(text, str)))


class Benchmark:
    """An index of everything in the benchmarks that a seed could share.

    A seed is contaminated by the same request, whatever its case, punctuation and spacing, or by a
    run of ``overlap`` words in its request or answer that stands in a benchmark's request or
    answer. Eight bytes are kept for each run, and four for where it stands.
    """

    def __init__(self, rows: Iterable[BenchmarkRow], overlap: int) -> None:
        self.overlap = overlap
        self._where: list[str] = []
        self._requests: dict[str, int] = {}
        ids: dict[str, Item] = {}
        hashes = [np.zeros(0, np.uint64)]
        owners = [np.zeros(0, np.int32)]
        for number, row in enumerate(rows):
            self._where.append(row.where)
            ids.setdefault(row.item.id, row.item)
            request = normalized(row.item.request)
            self._requests.setdefault(request, number)
            for text in {request, *map(normalized, row.answers)}:
                runs = WordRuns(text).hashes(overlap)
                hashes.append(runs)
                owners.append(np.full(len(runs), number, np.int32))
        self.hash = items_hash(list(ids.values()))
        """Digest of the items, in whatever order."""
        self._hashes, first = np.unique(np.concatenate(hashes), return_index=True)
        self._owners = np.concatenate(owners)[first]

    def shares(self, request: WordRuns, answer: WordRuns) -> str | None:
        """What a seed shares with which benchmark item; None where it may be taught."""
        number = self._requests.get(request.text)
        if number is not None:
            return f"the request is that of {self._where[number]}"
        for name, text in (("request", request), ("answer", answer)):
            found = self._first_shared(text)
            if found:
                return f"the {name} shares {found}"
        return None

    def _first_shared(self, text: WordRuns) -> str | None:
        hashes = text.hashes(self.overlap)
        if not len(hashes) or not len(self._hashes):
            return None
        at = np.searchsorted(self._hashes, hashes)
        at[at == len(self._hashes)] = 0
        hits = np.flatnonzero(self._hashes[at] == hashes)
        if not len(hits):
            return None
        run = text.run(int(hits[0]), self.overlap)[:_SHOWN]
        return f"{run!r} with {self._where[self._owners[at[hits[0]]]]}"


def load_benchmark(files: Sequence[str] = (), overlap: int = 10) -> Benchmark:
    """The index of the built-in benchmark and ``files``; see :func:`benchmark_rows`."""
    return Benchmark(benchmark_rows(files), overlap)
