"""The first lesson: whether to turn at all, before how to say it.

A ranked group says in each of its corrections where to turn, and in thirty words more how. The
first is the hard part, and a single token of each response says it. So the start of every text
is read first for that alone: wherever a clause of it has ended, harmful text should go on with some
opening of a correction, and harmless text with none: one short text instead of six responses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from typing import Final

from coursecorrect.train.groups import TokenGroup

TOKENS: Final = 72
"""Tokens of a text that are read, its opener among them."""
TEXTS: Final = 4
"""Texts in a forward pass."""
LEAST_SHARE: Final = 0.01
"""Of the corrections that a token begins, so that it counts as an opening."""
LEAST_LIFT: Final = 3.0
"""How many times oftener it begins them than it follows a clause of the texts themselves."""


def openings(groups: Sequence[TokenGroup]) -> tuple[int, ...]:
    """The tokens that open the corrections of a data set, and hardly ever go on with its texts."""
    opened, went_on = Counter[int](), Counter[int]()
    for group in groups:
        trunk = group.responses[group.trunk]
        went_on.update(trunk[at] for at in group.places)
        opened.update(
            response[start]
            for response, start in zip(group.responses, group.learn_from, strict=True)
            if start is not None and start < len(response)
        )
    return tuple(
        sorted(
            token
            for token, count in opened.items()
            if count >= LEAST_SHARE * opened.total()
            and count * went_on.total() > LEAST_LIFT * went_on[token] * opened.total()
        )
    )


def texts(groups: Sequence[TokenGroup]) -> list[TokenGroup]:
    """The start of the text of each group that goes on, where it has places to turn."""
    return [
        replace(
            group,
            responses=(group.responses[group.trunk][:TOKENS],),
            learn_from=(None,),
            pairs=(),
            pair_weights=(),
            places=near,
        )
        for group in groups
        if (near := tuple(at for at in group.places if at < TOKENS))
    ]


def passes(order: Sequence[TokenGroup], batch_size: int) -> list[tuple[TokenGroup, ...]]:
    """Texts that go through the model together, in whole steps of ``batch_size`` passes.

    The last step is filled up from the beginning: processes that train together then all do the
    same, and no step mixes the lesson with groups.
    """
    step = TEXTS * batch_size
    whole = list(islice(cycle(order), math.ceil(len(order) / step) * step))
    return [tuple(whole[at : at + TEXTS]) for at in range(0, len(whole), TEXTS)]
