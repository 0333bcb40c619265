"""The built-in items: mild, self-written, in the package (data card: ``docs/data-card.md``)."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Literal

from coursecorrect.types import Item, settings_hash

NEVER_TAUGHT = frozenset({"snooping", "petty-theft"})
"""Two whole categories of misconduct that stand only in the locked test."""


@cache
def _all() -> tuple[Item, ...]:
    folder = resources.files("coursecorrect.data") / "items"
    lines = [
        line
        for name in ("measure.jsonl", "teach.jsonl")
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]
    return tuple(Item.model_validate(json.loads(line)) for line in lines)


def load_builtin(split: Literal["dev", "locked", "teach"]) -> list[Item]:
    """The items of one split, each harmful one followed by its twin, ordinary ones last."""
    return [item for item in _all() if item.split == split]


def items_hash(items: list[Item]) -> str:
    """Digest of a benchmark: what was measured on, in whatever order."""
    return settings_hash(sorted(item.id for item in items))
