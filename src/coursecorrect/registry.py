"""Finding implementations by name: built in, or announced by other packages as entry points.

Nothing is imported before it is asked for. A name taken twice is refused, and an error raised
while a plug-in is imported reaches the caller unchanged.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from coursecorrect.errors import UserError


def available(kind: str, built_in: Mapping[str, str]) -> dict[str, str]:
    """Name → ``module:object`` of a kind, such as ``judge`` (group ``coursecorrect.judges``).

    A space in the kind is ``_`` in the group.
    """
    known = dict(built_in)
    for point in entry_points(group=f"coursecorrect.{kind.replace(' ', '_')}s"):
        if known.setdefault(point.name, point.value) != point.value:
            raise UserError(
                f"two {kind}s are called {point.name!r}: {known[point.name]} and {point.value}; "
                "rename or uninstall one of them"
            )
    return known


def find(kind: str, built_in: Mapping[str, str], name: str) -> str:
    """``module:object`` of the implementation called ``name``, without importing it.

    Raises:
        UserError: unknown name (suggests the nearest).
    """
    known = available(kind, built_in)
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"no {kind} is called {name!r}; {hint}known: {', '.join(sorted(known))}")
    return known[name]


def takes(kind: str, built_in: Mapping[str, str], name: str, option: str) -> bool:
    """Can the implementation called ``name`` be made with ``option``?

    Raises:
        UserError: unknown name (suggests the nearest).
    """
    return option in inspect.signature(_factory(find(kind, built_in, name))).parameters


def create(kind: str, built_in: Mapping[str, str], name: str, options: Mapping[str, Any]) -> Any:
    """The implementation called ``name``, made with ``options``.

    Raises:
        UserError: unknown name (suggests the nearest), or options it does not take.
    """
    origin = find(kind, built_in, name)
    factory = _factory(origin)
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise UserError(
            f"the {kind} {name!r} ({origin}) does not take these options: {error}"
        ) from None
    return factory(**options)


def _factory(origin: str) -> Any:
    module, _, attribute = origin.partition(":")
    return getattr(import_module(module), attribute)
