"""Token dynamics: the rows of a probe as means over requests, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coursecorrect.metrics.bootstrap import column_means

Row = dict[str, Any]
REACH = 20
"""An attacker who picks each token can usually choose among so many (arXiv 2512.05518)."""


def mass(view: Row) -> list[float]:
    """Probability of changing course at each position: taught triggers and other openings."""
    return [a + b for a, b in zip(view["taught_mass"], view["other_mass"], strict=True)]


def positions(tokens: int) -> list[int]:
    """Where figures are shown: tokens of the answer seen before, 0 after the opener alone."""
    return sorted({k for k in (0, 10, 20, 40, 80) if k < tokens} | {tokens})


def figures(view: Row) -> dict[str, float]:
    """The figures of one item under one model, as ``name@position`` and, over all, ``name``.

    ``mass`` and ``taught_mass`` are probabilities, ``entropy`` is in nats. ``opening_in_reach``:
    does an opening rank among the first ``REACH``? ``log_p_begun``: log p(opener and so many tokens
    of the answer | request). ``walkable``: do all these tokens rank among the first ``REACH``?
    """
    tokens = len(view["log_p"])
    along = mass(view)
    found = {
        "mass": sum(along) / len(along),
        "taught_mass": sum(view["taught_mass"]) / len(along),
        "entropy": sum(view["entropy"]) / len(along),
        "opening_in_reach": sum(rank <= REACH for rank in view["best_rank"]) / len(along),
    }
    for k in positions(tokens):
        found[f"mass@{k}"] = along[k]
        found[f"taught_mass@{k}"] = view["taught_mass"][k]
        found[f"entropy@{k}"] = view["entropy"][k]
        found[f"opening_in_reach@{k}"] = float(view["best_rank"][k] <= REACH)
        found[f"log_p_begun@{k}"] = view["log_p_opener"] + sum(view["log_p"][:k])
        found[f"walkable@{k}"] = float(all(rank <= REACH for rank in view["rank"][:k]))
    return found


def dynamics_results(rows: Sequence[Row]) -> dict[str, Any]:
    """Per kind: the figures of each side, their differences by request, and the divergence."""
    kinds = sorted({row["kind"] for row in rows})
    return {
        "tokens": len(rows[0]["model"]["log_p"]),
        "kinds": {kind: _kind([row for row in rows if row["kind"] == kind]) for kind in kinds},
    }


def _kind(rows: Sequence[Row]) -> Row:
    keys = [row["pair_key"] for row in rows]
    now = [figures(row["model"]) for row in rows]
    found = {"model": _means(keys, now)}
    if "against" in rows[0]:
        before = [figures(row["against"]) for row in rows]
        change = [{name: a[name] - b[name] for name in a} for a, b in zip(now, before, strict=True)]
        found["against"] = _means(keys, before)
        found["change"] = _means(keys, change)
        found["kl"] = _means(keys, [_divergence(row["kl"]) for row in rows])
    return found


def _divergence(kl: Sequence[float]) -> dict[str, float]:
    at = {f"kl@{k}": kl[k] for k in positions(len(kl) - 1)}
    return {"kl": sum(kl) / len(kl), **at}


def _means(keys: Sequence[str], items: Sequence[dict[str, float]]) -> Row:
    columns = {name: [item[name] for item in items] for name in items[0]}
    return {name: e.model_dump() for name, e in column_means(keys, columns).items()}
