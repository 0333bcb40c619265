"""How well a judge agrees with labels: kappa, precision, recall, each with an interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from coursecorrect.metrics.bootstrap import DRAWS, Estimate, mean_estimate
from coursecorrect.types import Record, Verdict


class Agreement(Record):
    """A judge against labels on the question 'corrected or not', and over all classes."""

    n: int
    kappa: Estimate
    kappa_all_classes: Estimate
    precision: Estimate
    recall: Estimate
    confusion: dict[str, dict[str, int]]
    """label → verdict → count"""


def cohen_kappa(a: Sequence[str], b: Sequence[str]) -> float:
    """Cohen's kappa of two labellings; 1 where both use a single class alike."""
    n = len(a)
    observed = sum(x == y for x, y in zip(a, b, strict=True)) / n
    first, second = Counter(a), Counter(b)
    expected = sum(first[c] * second[c] for c in first) / n**2
    return 1.0 if expected == 1 else (observed - expected) / (1 - expected)


def precision(labels: Sequence[str], verdicts: Sequence[str]) -> float:
    """Of the verdicts 'corrected', the share that is labelled so (1 when there is none)."""
    claimed = [
        label for label, verdict in zip(labels, verdicts, strict=True) if verdict == "corrected"
    ]
    return sum(label == "corrected" for label in claimed) / len(claimed) if claimed else 1.0


def recall(labels: Sequence[str], verdicts: Sequence[str]) -> float:
    """Of the labels 'corrected', the share the judge finds (1 when there is none)."""
    return precision(verdicts, labels)


def agreement(
    labels: Sequence[str], verdicts: Sequence[str], keys: Sequence[str], seed: int = 0
) -> Agreement:
    """Compare verdicts with labels of the same texts; ``keys`` name the request of each text."""
    binary = [_binary(x) for x in labels], [_binary(x) for x in verdicts]
    confusion: dict[str, Counter[str]] = {v: Counter() for v in Verdict}
    for label, verdict in zip(labels, verdicts, strict=True):
        confusion[label][verdict] += 1
    return Agreement(
        n=len(labels),
        kappa=_interval(cohen_kappa, *binary, keys, seed),
        kappa_all_classes=_interval(cohen_kappa, labels, verdicts, keys, seed),
        precision=_interval(precision, labels, verdicts, keys, seed),
        recall=_interval(recall, labels, verdicts, keys, seed),
        confusion={k: dict(sorted(v.items())) for k, v in confusion.items() if v},
    )


def _binary(value: str) -> str:
    return "corrected" if value == Verdict.CORRECTED else "not"


def _interval(
    figure: Callable[[Sequence[str], Sequence[str]], float],
    labels: Sequence[str],
    verdicts: Sequence[str],
    keys: Sequence[str],
    seed: int,
) -> Estimate:
    """A bootstrap over requests: texts on the same request are drawn together."""
    members: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        members.setdefault(key, []).append(i)
    clusters = [members[key] for key in sorted(members)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS // 2):
        rows = [i for c in rng.integers(0, len(clusters), len(clusters)) for i in clusters[c]]
        found.append(figure([labels[i] for i in rows], [verdicts[i] for i in rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return Estimate(
        value=round(figure(labels, verdicts), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        n=len(clusters),
    )


class ClassAgreement(Record):
    """One class: of its verdicts the share labelled so, and of its labels the share found."""

    precision: Estimate | None
    recall: Estimate | None
    judged: int
    labelled: int


def by_class(
    labels: Sequence[str], verdicts: Sequence[str], keys: Sequence[str], seed: int = 0
) -> dict[str, ClassAgreement]:
    """Precision and recall of each class that occurs; None where nothing is judged or labelled so.

    The requests with such a verdict (or label) are drawn, and ``n`` counts them.
    """
    rows = list(zip(labels, verdicts, keys, strict=True))
    found = {}
    for name in (v.value for v in Verdict if v in {*labels, *verdicts}):
        judged = [(key, label == name) for label, verdict, key in rows if verdict == name]
        labelled = [(key, verdict == name) for label, verdict, key in rows if label == name]
        found[name] = ClassAgreement(
            precision=_hit_rate(judged, seed),
            recall=_hit_rate(labelled, seed),
            judged=len(judged),
            labelled=len(labelled),
        )
    return found


def _hit_rate(rows: Sequence[tuple[str, bool]], seed: int) -> Estimate | None:
    keys, hits = [key for key, _ in rows], [float(hit) for _, hit in rows]
    return mean_estimate(keys, hits, seed) if rows else None


class Check(Record):
    """A judge against labels, over all, by class and by source."""

    agreement: Agreement
    by_class: dict[str, ClassAgreement]
    by_source: dict[str, Agreement]
    """In the alphabet's order; empty where no text names a source."""


def check(
    labels: Sequence[str],
    verdicts: Sequence[str],
    keys: Sequence[str],
    sources: Sequence[str],
    seed: int = 0,
) -> Check:
    """All that labels tell of a judge; ``sources`` are '' where they are not known."""
    members: dict[str, list[int]] = {}
    for i, source in enumerate(sources):
        members.setdefault(source, []).append(i)

    def of(rows: Sequence[int]) -> Agreement:
        a, b, c = ([column[i] for i in rows] for column in (labels, verdicts, keys))
        return agreement(a, b, c, seed)

    return Check(
        agreement=of(range(len(labels))),
        by_class=by_class(labels, verdicts, keys, seed),
        by_source={source: of(members[source]) for source in sorted(members)}
        if any(sources)
        else {},
    )
