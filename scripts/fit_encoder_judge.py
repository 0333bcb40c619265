"""Fit the heads of the ``encoder`` judge on the dev labels, and print their kappa there.

The kappa is of a cross-validation by request: neither head saw the request it is tried on. The
locked labels are not read. Run it again after the dev labels change:
``python scripts/fit_encoder_judge.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from coursecorrect.judge.encoder import (
    HEAD,
    Encoder,
    Head,
    clause_features,
    clauses_of,
    encoder_folder,
    text_features,
    without_text,
)
from coursecorrect.metrics import agreement
from coursecorrect.types import Continuation
from coursecorrect.workflow import built_in_labels

TARGET = Path(__file__).parents[1] / "src/coursecorrect/judge" / HEAD
FOLDS = 5
CLAUSE_C = 1.0
TEXT_C = 1.0

Row = dict[str, Any]


def turning(row: Row) -> list[int]:
    """For each clause: does it belong to the turn, by the labelled spans?"""
    onset, relapse = row["onset"], row["relapse"]
    spans = clauses_of(row["continuation"])
    if onset is None:
        return [0] * len(spans)
    stop = len(row["continuation"]) if relapse is None else relapse
    return [int(end > onset and start < stop) for start, end in spans]


def fit(rows: Sequence[Row], features: Sequence[Any]) -> dict[str, Any]:
    """Both heads. The second learns from scores of clauses that the first has not seen."""
    groups = [row["request"] for row in rows]
    scores: dict[int, Any] = {}
    for seen, unseen in GroupKFold(FOLDS).split(rows, groups=groups):
        head = clause_head([rows[i] for i in seen], [features[i] for i in seen])
        for i in unseen:
            scores[int(i)] = features[i] @ head.coef_[0] + head.intercept_[0]
    table = np.array([text_features(scores[i]) for i in range(len(rows))])
    second = LogisticRegression(C=TEXT_C, max_iter=5000).fit(
        table, [row["label"] == "corrected" for row in rows]
    )
    first = clause_head(rows, features)
    return {"clause": written(first), "text": written(second)}


def clause_head(rows: Sequence[Row], features: Sequence[Any]) -> LogisticRegression:
    """A ridge-penalised logistic regression over all clauses."""
    labels = [label for row in rows for label in turning(row)]
    return LogisticRegression(C=CLAUSE_C, max_iter=5000).fit(np.concatenate(features), labels)


def written(model: LogisticRegression) -> dict[str, Any]:
    """Its weights as they stand in the file."""
    weights = [round(float(w), 4) for w in model.coef_[0]]
    return {"weights": weights, "bias": round(float(model.intercept_[0]), 4)}


def text_of(row: Row) -> Continuation:
    """The row as a judge sees it."""
    return Continuation(**{name: row[name] for name in Continuation.model_fields})


def cross_validated(rows: Sequence[Row], features: Sequence[Any]) -> list[str]:
    """The verdict on each row by heads that have not seen its request."""
    verdicts = [""] * len(rows)
    groups = [row["request"] for row in rows]
    for seen, unseen in GroupKFold(FOLDS).split(rows, groups=groups):
        head = Head(fit([rows[i] for i in seen], [features[i] for i in seen]))
        texts = [text_of(rows[i]) for i in unseen]
        judged = head.judge(texts, [features[i] for i in unseen])
        for i, text, judgement in zip(unseen, texts, judged, strict=True):
            verdicts[i] = (without_text(text) or judgement).verdict.value
    return verdicts


def main() -> None:
    """Cross-validate, fit on all dev labels, and write the heads."""
    rows = [row for row in built_in_labels() if row["part"] == "dev"]
    features = clause_features(Encoder(encoder_folder()), [text_of(row) for row in rows])
    labels, requests = [row["label"] for row in rows], [row["request"] for row in rows]
    found = agreement(labels, cross_validated(rows, features), requests)
    print(f"{found.n} dev labels, {FOLDS}-fold by request: kappa {found.kappa}")
    print(f"precision {found.precision}\nrecall {found.recall}\n{found.confusion}")
    TARGET.write_text(json.dumps(fit(rows, features)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
