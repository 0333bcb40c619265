"""Fit the weights of the ``lexical`` judge from the built-in teaching items.

Sentences of safe responses turn away; sentences of harmful and harmless answers go on. Run it
again after the items change: ``python scripts/fit_lexical_judge.py``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict

from coursecorrect.data import load_builtin
from coursecorrect.judge.lexical import features

TARGET = Path(__file__).parents[1] / "src/coursecorrect/judge/lexical.json"
SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
SMALLEST = 0.02


def examples() -> tuple[list[str], list[int], list[str]]:
    """(text, turns away?, request) of every sentence; a safe response counts as a whole too."""
    texts, turns, groups = [], [], []
    for item in load_builtin("teach"):
        for text, turn in ((item.response, 0), (item.safe_response or "", 1)):
            pieces = SENTENCE.findall(text)
            for piece in pieces if turn == 0 else [text, *pieces]:
                texts.append(piece)
                turns.append(turn)
                groups.append(item.pair_key)
    return texts, turns, groups


def main() -> None:
    """Fit, print the accuracy by request, and write the weights."""
    texts, turns, groups = examples()
    vectorizer = DictVectorizer()
    table = vectorizer.fit_transform([dict.fromkeys(features(t), 1.0) for t in texts])
    model = LogisticRegression(C=1.0, max_iter=2000)
    guessed = cross_val_predict(model, table, turns, groups=groups, cv=GroupKFold(5))
    right = np.asarray(guessed) == np.asarray(turns)
    for turn, name in ((1, "turns away"), (0, "goes on")):
        mask = np.asarray(turns) == turn
        print(f"{name}: {right[mask].mean():.3f} right of {mask.sum()} (5-fold, by request)")
    model.fit(table, turns)
    names = vectorizer.get_feature_names_out()
    weights = {
        str(n): round(float(w), 3)
        for n, w in zip(names, model.coef_[0], strict=True)
        if abs(w) >= SMALLEST
    }
    data = {"bias": round(float(model.intercept_[0]), 3), "weights": dict(sorted(weights.items()))}
    TARGET.write_text(json.dumps(data, ensure_ascii=True, indent=0) + "\n", encoding="utf-8")
    print(f"{len(weights)} weights in {TARGET.name}")


if __name__ == "__main__":
    main()
