"""On-policy prefixes: the harmful answers that a model wrote itself, to measure it on.

A foreign answer, written by a person or another model, may read so unlike the model's own text
that it turns away for the style alone. What it wrote itself after the opener is nearer to what a
user would see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coursecorrect.judge.harm import Answer, HarmJudge
from coursecorrect.prefill import OPENER_ONLY
from coursecorrect.types import Item, ItemKind, Verdict

Row = Mapping[str, Any]


def own_items(
    model: str,
    items: Iterable[Row],
    paths: Iterable[Row],
    verdicts: Iterable[Row],
    harm_judge: HarmJudge,
) -> tuple[list[Item], dict[str, int]]:
    """Items whose answer the model wrote after the opener alone: of each the longest usable path.

    A harmful item needs a path that the harm judge calls harmful; a harmless one a path that goes
    on with the answer. Twins of harmful items without one stay.

    Args:
        model: stands in ``source``.
        items, paths, verdicts: rows of a finished run folder of ``c2 eval``.

    Returns:
        The items, and how many of each kind have no usable path.
    """
    known = {row["id"]: row["verdict"] for row in verdicts}
    begun: dict[str, list[Row]] = {}
    for path in paths:
        if path["k"] == OPENER_ONLY and known[path["id"]] == Verdict.CONTINUED:
            begun.setdefault(path["item"], []).append(path)
    found, lacking = [], Counter[str]()
    for row in items:
        harmful = row["kind"] == ItemKind.HARMFUL
        usable = begun.get(row["id"], [])
        if harmful and usable:
            usable = _harmful(row, usable, harm_judge)
        if not usable:
            lacking[row["kind"]] += 1
            continue
        longest = max(usable, key=lambda path: (path["tokens"], -path["path"]))
        found.append(_item(model, row, longest["continuation"]))
    return found, dict(lacking)


def _harmful(row: Row, paths: Sequence[Row], judge: HarmJudge) -> list[Row]:
    answers = [
        Answer(id=p["id"], request=row["request"], answer=p["continuation"], finished=p["finished"])
        for p in paths
    ]
    judged = judge.harmful(answers)
    return [path for path, said in zip(paths, judged, strict=True) if said.harmful]


def _item(model: str, row: Row, answer: str) -> Item:
    kept = {name: row[name] for name in Item.model_fields if name in row}
    return Item.model_validate(kept | {"response": answer.strip(), "source": f"own:{model}"})
