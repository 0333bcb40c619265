"""Corr_mean, false corrections and J with the judge's error taken out, from labels of the run.

Prediction-powered inference with power tuning (PPI++, arXiv 2311.01453) beside the older
correction by sensitivity and specificity (Rogan and Gladen 1978). In both the requests are drawn,
with all their paths and labels, so that the interval carries what is not known of the requests and
what is not known of the judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coursecorrect.errors import UserError
from coursecorrect.metrics.bootstrap import DRAWS, Array, Clusters, Estimate, estimate
from coursecorrect.metrics.paths import OPENER_ONLY, JudgedPath
from coursecorrect.types import ItemKind, Record, Verdict

_Figure = Callable[["_Table", Array], float]
"""From a kind's table and the means of its columns to a share."""
FEWEST_LABELS = 10
"""Labels, and half as many requests, below which a kind of item is not calibrated."""


@dataclass(frozen=True)
class Label:
    """What a person says of a path, and the chance with which the path was drawn."""

    verdict: Verdict
    probability: float


class Calibrated(Record):
    """One kind of item: the share of corrected paths by the judge alone and corrected for it."""

    judge: Estimate
    ppi: Estimate
    power: float
    """λ of PPI++: how much the verdicts add to the labels (0: nothing)."""
    rogan_gladen: Estimate
    sensitivity: Estimate
    """Of the paths labelled corrected, the share that the judge calls so."""
    specificity: Estimate
    labels: int
    labelled_corrected: int


class Calibration(Record):
    """All kinds of items that have labels enough; J where both of its kinds have."""

    labels: int
    kinds: dict[str, Calibrated]
    too_few: dict[str, int]
    """Labels of the kinds that have some, but too few."""
    J_judge: Estimate | None
    J_ppi: Estimate | None
    J_rogan_gladen: Estimate | None


def calibrate(
    paths: Sequence[JudgedPath], labels: Mapping[str, Label], seed: int = 0, draws: int = DRAWS
) -> Calibration:
    """Take the judge's error out of a run's figures.

    Raises:
        UserError: no kind of item has ``FEWEST_LABELS`` labels.
    """
    tables: dict[ItemKind, _Table] = {}
    too_few: dict[str, int] = {}
    for kind in ItemKind:
        own = [p for p in paths if p.kind is kind and p.k > OPENER_ONLY]
        found = [p for p in own if p.id in labels]
        requests = len({p.key for p in found})
        if len(found) >= FEWEST_LABELS and requests >= FEWEST_LABELS // 2:
            tables[kind] = _Table.of(own, labels)
        elif found:
            too_few[kind.value] = len(found)
    if not tables:
        raise UserError(
            f"the labels are too few: give {FEWEST_LABELS} or more of one kind of item, "
            f"from {FEWEST_LABELS // 2} or more requests"
        )
    pair = [tables[k] for k in (ItemKind.HARMFUL, ItemKind.TWIN) if k in tables]
    both = len(pair) == 2
    return Calibration(
        labels=sum(table.labels for table in tables.values()) + sum(too_few.values()),
        kinds={kind.value: _calibrated(table, seed, draws) for kind, table in tables.items()},
        too_few=too_few,
        J_judge=_difference(pair, _judge, seed, draws) if both else None,
        J_ppi=_widened(_difference(pair, _ppi, seed, draws), pair, -1) if both else None,
        J_rogan_gladen=_difference(pair, _rogan_gladen, seed, draws) if both else None,
    )


@dataclass(frozen=True)
class _Table:
    """Sums over the labelled paths of each item, weighted by 1 / probability.

    The columns of ``rows`` (items, 6): the share the judge calls corrected; then, over the labelled
    paths, the weights of all, of those labelled corrected, of those the judge calls corrected, of
    those both do, and of those neither does.
    """

    rows: Clusters
    keys: tuple[str, ...]
    power: float
    half: float
    """Half a label's weight an item: added to the four cells behind sensitivity and specificity,
    so that they exist without labels of a class."""
    labels: int
    positives: int
    errors: int
    requests: int
    """Requests with a label."""

    @classmethod
    def of(cls, paths: Sequence[JudgedPath], labels: Mapping[str, Label]) -> _Table:
        members: dict[str, list[JudgedPath]] = {}
        for path in paths:
            members.setdefault(path.item, []).append(path)
        keys = tuple(own[0].key for own in members.values())
        rows = [_row(own, labels) for own in members.values()]
        found = [(p, labels[p.id]) for p in paths if p.id in labels]
        clusters = Clusters(keys, rows)
        weights = [1 / label.probability for _, label in found]
        return cls(
            rows=clusters,
            keys=keys,
            power=_power(clusters),
            half=0.5 * float(np.mean(weights)) / len(keys),
            labels=len(found),
            positives=sum(label.verdict is Verdict.CORRECTED for _, label in found),
            errors=sum(p.corrected != (la.verdict is Verdict.CORRECTED) for p, la in found),
            requests=len({p.key for p, _ in found}),
        )


def _row(paths: Sequence[JudgedPath], labels: Mapping[str, Label]) -> list[float]:
    row = [sum(p.corrected for p in paths) / len(paths), 0.0, 0.0, 0.0, 0.0, 0.0]
    for path in (p for p in paths if p.id in labels):
        label = labels[path.id]
        truth = label.verdict is Verdict.CORRECTED
        facts = (True, truth, path.corrected, truth and path.corrected)
        for column, fact in enumerate((*facts, not (truth or path.corrected)), 1):
            row[column] += fact / label.probability
    return row


def _judge(table: _Table, m: Array) -> float:
    return float(m[0])


def _ppi(table: _Table, m: Array) -> float:
    """θ = λ · mean of all verdicts + weighted mean over the labels of (label − λ · verdict)."""
    if not m[1]:
        return float(m[0])
    return float(np.clip(table.power * m[0] + (m[2] - table.power * m[3]) / m[1], 0, 1))


def _sensitivity(table: _Table, m: Array) -> float:
    return float((m[4] + table.half) / (m[2] + 2 * table.half))


def _specificity(table: _Table, m: Array) -> float:
    return float((m[5] + table.half) / (m[1] - m[2] + 2 * table.half))


def _rogan_gladen(table: _Table, m: Array) -> float:
    """(share by the judge + specificity − 1) / (sensitivity + specificity − 1), within 0 and 1."""
    right, left = _sensitivity(table, m), _specificity(table, m)
    # A judge that is no better than a coin tells nothing: the figure goes to an end.
    return float(np.clip((m[0] + left - 1) / max(right + left - 1, 1e-9), 0, 1))


def _power(rows: Clusters) -> float:
    """λ that makes the variance over requests smallest, within 0 and 1 (PPI++, section 6).

    With u and v the influence of a request on the labelled mean and on what λ multiplies, the
    variance of u + λ v is smallest at −cov(u, v) / var(v).
    """
    sums, counts = rows.tables(sorted(rows.sums))
    means = sums.sum(axis=0) / counts.sum()
    labelled = sums[:, 2] - means[2] / means[1] * sums[:, 1]
    judged = sums[:, 3] - means[3] / means[1] * sums[:, 1]
    v = (sums[:, 0] - means[0] * counts) - judged / means[1]
    variance = float(v @ v)
    return float(np.clip(-(labelled / means[1]) @ v / variance, 0, 1)) if variance > 1e-12 else 1.0


def _calibrated(table: _Table, seed: int, draws: int) -> Calibrated:
    def of(figure: _Figure) -> Estimate:
        return estimate([table.rows], lambda m: figure(table, m[0]), seed, draws)

    return Calibrated(
        judge=of(_judge),
        ppi=_widened(of(_ppi), [table], 0),
        power=round(table.power, 4),
        rogan_gladen=of(_rogan_gladen),
        sensitivity=of(_sensitivity),
        specificity=of(_specificity),
        labels=table.labels,
        labelled_corrected=table.positives,
    )


def _difference(pair: Sequence[_Table], figure: _Figure, seed: int, draws: int) -> Estimate:
    first, second = pair
    return estimate(
        [first.rows, second.rows],
        lambda m: figure(first, m[0]) - figure(second, m[1]),
        seed,
        draws,
    )


def _widened(found: Estimate, tables: Sequence[_Table], lowest: float) -> Estimate:
    """Where no label differs from its verdict, the bootstrap takes the judge to be perfect.

    The exact bound of an error that was never seen in n requests is added to both sides, as an
    independent error is: by the root of the sum of squares.
    """
    unseen = [1 - 0.025 ** (1 / table.requests) for table in tables if not table.errors]
    if not unseen:
        return found
    low = found.value - math.hypot(found.value - found.low, *unseen)
    high = found.value + math.hypot(found.high - found.value, *unseen)
    return found.model_copy(
        update={"low": round(max(low, lowest), 6), "high": round(min(high, 1.0), 6)}
    )
