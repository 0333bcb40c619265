"""Judges by name: built-in ones and those that other packages announce.

A package adds a judge with an entry point in the group ``coursecorrect.judges`` whose value is
``"module:object"``; the object is called with the options and returns a ``Judge``. Nothing is
imported before it is asked for.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, cast

from coursecorrect.errors import UserError
from coursecorrect.judge.base import Judge

__all__ = ["ENTRY_POINT_GROUP", "Judge", "get_judge", "judge_names"]

ENTRY_POINT_GROUP = "coursecorrect.judges"

_BUILT_IN = {"rules": "coursecorrect.judge.rules:RulesJudge"}


def judge_names() -> dict[str, str]:
    """All known judges, name → ``"module:object"``. Two targets for one name are refused."""
    known = dict(_BUILT_IN)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if known.setdefault(point.name, point.value) != point.value:
            raise UserError(
                f"two judges are called {point.name!r}: {known[point.name]} and {point.value}; "
                "rename or uninstall one of them"
            )
    return known


def get_judge(name: str, **options: Any) -> Judge:
    """Make the judge called ``name``; ``options`` go to its constructor."""
    known = judge_names()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"no judge is called {name!r}; {hint}known: {', '.join(sorted(known))}")
    # An ImportError in here is the plug-in's own fault and says more than we could: let it pass.
    module, _, attribute = known[name].partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    return cast(Judge, factory(**options))
