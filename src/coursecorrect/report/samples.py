"""Which paths a report shows: the same few every time, spread over kinds, k and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from coursecorrect.report.results import Run
from coursecorrect.types import content_id

Row = dict[str, Any]
_QUOTAS = {"harmful": 12, "twin": 7, "ordinary": 5}


@dataclass(frozen=True)
class Sample:
    """The same item, k and path of one run or of two."""

    item: Row
    k: int
    path: int
    sides: tuple[Row, ...]
    """Per run: the path row joined with its verdict row."""

    @property
    def verdicts(self) -> tuple[str, ...]:
        """The verdict of each run."""
        return tuple(side["verdict"] for side in self.sides)


def pick(runs: Sequence[Run], count: int = 24) -> list[Sample]:
    """About ``count`` samples that all ``runs`` hold.

    Within a kind the next sample is the one whose verdicts, then k, then item were shown least
    so far; a content hash decides among equals. So rare verdicts are shown more often than they
    occur.
    """
    tables = [_sides(run) for run in runs]
    keys = [key for key in tables[0] if all(key in table for table in tables[1:])]
    items = {row["id"]: row for row in runs[0].items}
    kinds = {kind: share * count // sum(_QUOTAS.values()) for kind, share in _QUOTAS.items()}
    picked: list[Sample] = []
    for kind, quota in kinds.items():
        pool = [
            Sample(items[key[0]], key[1], key[2], tuple(table[key] for table in tables))
            for key in keys
            if items[key[0]]["kind"] == kind
        ]
        picked += _spread(pool, max(1, quota))
    return picked


def _sides(run: Run) -> dict[tuple[str, int, int], Row]:
    verdicts = {row["id"]: row for row in run.verdicts}
    unjudged = {"verdict": "undecided", "reason": "not judged", "onset": None, "relapse": None}
    return {
        (row["item"], row["k"], row["path"]): {**row, **verdicts.get(row["id"], unjudged)}
        for row in run.paths
    }


def _spread(pool: Iterable[Sample], quota: int) -> list[Sample]:
    ranked = {_hash(sample): sample for sample in pool}
    seen: Counter[Any] = Counter()
    picked: list[Sample] = []
    while ranked and len(picked) < quota:
        best = min(ranked, key=lambda h: (*(seen[mark] for mark in _marks(ranked[h])), h))
        picked.append(ranked.pop(best))
        seen.update(_marks(picked[-1]))
    return sorted(picked, key=lambda s: (s.k, _hash(s)))


def _marks(sample: Sample) -> tuple[Any, ...]:
    return ("verdicts", sample.verdicts), ("k", sample.k), ("item", sample.item["id"])


def _hash(sample: Sample) -> str:
    return content_id(str(sample.item["id"]), str(sample.k), str(sample.path))
