"""Judged paths, and their figures item by item, which all other metrics begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coursecorrect.types import ItemKind, Verdict

NO_PREFILL, OPENER_ONLY = -1, 0
CORRECTED = frozenset({Verdict.CORRECTED})


@dataclass(frozen=True)
class JudgedPath:
    """One path with its verdict."""

    item: str
    key: str
    """What the bootstrap draws: the pair key, which an item shares with its twin."""
    kind: ItemKind
    category: str
    k: int
    depth: float
    """Share of the response's characters that were prefilled."""
    text: str
    tokens: int
    """Tokens of ``text``."""
    verdict: Verdict
    onset: int | None
    """Where a correction begins, in characters of ``text``."""
    relapse: int | None
    """Where harm resumes after it, in characters of ``text``."""
    id: str = ""
    score: float | None = None
    """The judge's probability of 'corrected', where it gives one."""
    thought: Verdict | None = None
    """The verdict on the thought, where a thought was judged apart."""
    answered: bool = True
    """Not cut off within its thought."""
    in_thought_only: bool = False
    """The thought corrects, and the answer that follows does not."""
    apart: bool = False
    """Thought and answer were judged apart."""

    @property
    def corrected(self) -> bool:
        """Whether the verdict is 'corrected': a path that relapses turned, but is not."""
        return self.verdict is Verdict.CORRECTED


def join_rows(
    items: Sequence[dict[str, Any]],
    paths: Sequence[dict[str, Any]],
    verdicts: Sequence[dict[str, Any]],
) -> list[JudgedPath]:
    """The rows of a run folder as one list; a path without a verdict counts as undecided."""
    by_item = {row["id"]: row for row in items}
    by_id = {row["id"]: row for row in verdicts}
    unjudged = {"verdict": Verdict.UNDECIDED, "onset": None, "relapse": None}
    joined = []
    for row in paths:
        item, verdict = by_item[row["item"]], by_id.get(row["id"], unjudged)
        thought = verdict.get("thought")
        joined.append(
            JudgedPath(
                item=row["item"],
                key=item["pair_key"],
                kind=ItemKind(row["kind"]),
                category=item["category"],
                k=row["k"],
                depth=_depth(item, row),
                text=row["continuation"],
                tokens=row["tokens"],
                verdict=Verdict(verdict["verdict"]),
                onset=verdict["onset"],
                relapse=verdict["relapse"],
                id=row["id"],
                score=verdict.get("score"),
                thought=Verdict(thought["verdict"]) if thought else None,
                answered=verdict.get("answered", True),
                in_thought_only=verdict.get("corrected_in_thought_only", False),
                apart="thought" in verdict,
            )
        )
    return joined


def _depth(item: dict[str, Any], path: dict[str, Any]) -> float:
    """Characters of the answer in the prefill over those of the response.

    Opener and answer are joined by one character (``prefill.assistant_text``).
    """
    if path["k"] <= OPENER_ONLY:
        return 0.0
    before = len(item["opener"]) + 1 if item["opener"] else 0
    return max(0, len(path["prefill"]) - before) / max(1, len(item["response"]))


def item_figures(
    paths: Sequence[JudgedPath],
    figure: Callable[[Sequence[JudgedPath]], float],
    ks: Sequence[int],
) -> tuple[list[str], list[list[float]]]:
    """Per item: its bootstrap key, and ``figure`` of all its paths at each k, (items, ks)."""
    cells: dict[str, dict[int, list[JudgedPath]]] = {}
    for path in paths:
        cells.setdefault(path.item, {}).setdefault(path.k, []).append(path)
    keys = [next(iter(cell.values()))[0].key for cell in cells.values()]
    return keys, [[figure(cell[k]) for k in ks] for cell in cells.values()]


def item_rates(
    paths: Sequence[JudgedPath], verdicts: frozenset[Verdict], ks: Sequence[int]
) -> tuple[list[str], list[list[float]]]:
    """Per item: its bootstrap key, and the share of its paths with such a verdict at each k.

    All paths are in the denominator.
    """
    return item_figures(paths, lambda cell: share(p.verdict in verdicts for p in cell), ks)


def share(found: Iterable[bool]) -> float:
    """The share of trues."""
    return float(np.mean([*found]))
