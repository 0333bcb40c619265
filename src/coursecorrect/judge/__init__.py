"""Judges, found by name (entry-point group ``coursecorrect.judges``)."""

from __future__ import annotations

from typing import Any, Final

from coursecorrect.judge.base import Judge
from coursecorrect.registry import create

__all__ = ["BUILT_IN", "Judge", "get_judge"]

BUILT_IN: Final[dict[str, str]] = {
    "rules": "coursecorrect.judge.rules:RulesJudge",
    "lexical": "coursecorrect.judge.lexical:LexicalJudge",
}


def get_judge(name: str, **options: Any) -> Judge:
    """The judge called ``name``, made with ``options``."""
    judge: Judge = create("judge", BUILT_IN, name, options)
    return judge
