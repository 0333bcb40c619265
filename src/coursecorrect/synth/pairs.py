"""Preference pairs of ranked groups, as rows and as an Arrow table.

A response stands in up to five pairs, so its text is kept once and the table's columns are taken
from the distinct texts by index: pairing 750,000 pairs copies memory and makes no Python objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from coursecorrect.synth.settings import PairSettings
from coursecorrect.types import RankedGroup, Response

ALL = PairSettings()


@dataclass(frozen=True)
class Pair:
    """Two responses of a group by index, the better one first."""

    better: int
    worse: int
    principle: int
    """1: correction over none, 2: earlier over later (paper section 3.2), 0: a benign group."""
    margin: int
    """Distance in rank."""
    weight: float


def choose_pairs(group: RankedGroup, settings: PairSettings = ALL) -> list[Pair]:
    """The pairs of a group that are written; all 15 of six ranks by default."""
    wanted = {"all": {0, 1, 2}, "principle-1": {0, 1}, "principle-2": {0, 2}}[settings.pairs]
    found = []
    for i, j in combinations(range(len(group.responses)), 2):
        better, worse = group.responses[i], group.responses[j]
        principle = _principle(group, better, worse)
        margin = worse.rank - better.rank
        if principle in wanted and margin >= settings.min_margin:
            found.append(Pair(i, j, principle, margin, 1.0))
    if settings.weights == "equal" or not found:
        return found
    mean = sum(pair.margin for pair in found) / len(found)
    return [Pair(p.better, p.worse, p.principle, p.margin, p.margin / mean) for p in found]


def _principle(group: RankedGroup, better: Response, worse: Response) -> int:
    """-1 where the pair must not be written."""
    if group.harmful:
        return 1 if worse.role == "FHR" else 2
    # A false correction is never a chosen response, not even against a refusal: the likelihood
    # term would teach it.
    return 0 if better.role == "GOOD" else -1


def pairs_of(group: RankedGroup, settings: PairSettings = ALL) -> Iterator[dict[str, Any]]:
    """The pairs of a group as rows in TRL's conversational format.

    ``cut_chosen`` counts the characters of the chosen response before its correction, ``share``
    is that as a share of the harmful answer.
    """
    for pair in choose_pairs(group, settings):
        better, worse = group.responses[pair.better], group.responses[pair.worse]
        yield {
            "id": f"{group.id}-{better.rank}-{worse.rank}",
            "group": group.id,
            "pair_key": group.pair_key,
            "prompt": [{"role": "user", "content": group.request}],
            "chosen": [{"role": "assistant", "content": better.text}],
            "rejected": [{"role": "assistant", "content": worse.text}],
            "role_chosen": better.role,
            "role_rejected": worse.role,
            "rank_chosen": better.rank,
            "rank_rejected": worse.rank,
            "principle": pair.principle,
            "margin": pair.margin,
            "weight": pair.weight,
            "harmful": group.harmful,
            "cut_chosen": better.cut,
            "cut_rejected": worse.cut,
            "share_chosen": better.share,
            "share_rejected": worse.share,
        }


MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("pair_key", pa.string()),
        ("prompt", MESSAGES),
        ("chosen", MESSAGES),
        ("rejected", MESSAGES),
        ("role_chosen", pa.string()),
        ("role_rejected", pa.string()),
        ("rank_chosen", pa.int64()),
        ("rank_rejected", pa.int64()),
        ("principle", pa.int64()),
        ("margin", pa.int64()),
        ("weight", pa.float64()),
        ("harmful", pa.bool_()),
        ("cut_chosen", pa.int64()),
        ("cut_rejected", pa.int64()),
        ("share_chosen", pa.float64()),
        ("share_rejected", pa.float64()),
    ]
)


def pair_table(groups: Sequence[RankedGroup], settings: PairSettings = ALL) -> pa.Table:
    """The rows of ``pairs_of`` for all groups, in their order, with ``SCHEMA``."""
    responses = [r for group in groups for r in group.responses]
    chosen = [choose_pairs(group, settings) for group in groups]
    pairs = [pair for found in chosen for pair in found]
    counts = [len(found) for found in chosen]
    group_of = np.repeat(np.arange(len(groups)), counts)
    first = np.cumsum([0, *(len(group.responses) for group in groups)])[group_of]
    sides = {
        "chosen": first + np.array([pair.better for pair in pairs], dtype=np.int64),
        "rejected": first + np.array([pair.worse for pair in pairs], dtype=np.int64),
    }
    columns: dict[str, Any] = {
        "group": _taken([group.id for group in groups], group_of),
        "pair_key": _taken([group.pair_key for group in groups], group_of),
        "harmful": pa.array([group.harmful for group in groups]).take(pa.array(group_of)),
        "prompt": _messages("user", [group.request for group in groups], group_of),
        "principle": pa.array([pair.principle for pair in pairs], pa.int64()),
        "margin": pa.array([pair.margin for pair in pairs], pa.int64()),
        "weight": pa.array([pair.weight for pair in pairs], pa.float64()),
    }
    for side, at in sides.items():
        columns[side] = _messages("assistant", [r.text for r in responses], at)
        columns[f"role_{side}"] = _taken([r.role for r in responses], at)
        for name in ("rank", "cut", "share"):
            values = np.array([getattr(r, name) for r in responses])
            columns[f"{name}_{side}"] = pa.array(values[at] if len(at) else [])
    columns["id"] = _ids(columns)
    return pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)


def _taken(values: Sequence[str], at: Any) -> pa.Array:
    return pa.array(values, pa.string()).take(pa.array(at, pa.int64()))


def _messages(role: str, texts: Sequence[str], at: Any) -> pa.Array:
    """One conversation of one message for each index in ``at``."""
    content = _taken(texts, at)
    message = pa.StructArray.from_arrays(
        [pa.array([role], pa.string()).take(pa.array(np.zeros(len(at), dtype=np.int64))), content],
        names=["role", "content"],
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(len(at) + 1), pa.int32()), message)


def _ids(columns: dict[str, Any]) -> pa.Array:
    import pyarrow.compute as pc

    ranks = [columns[f"rank_{side}"].cast(pa.string()) for side in ("chosen", "rejected")]
    return pc.binary_join_element_wise(columns["group"], *ranks, "-")
