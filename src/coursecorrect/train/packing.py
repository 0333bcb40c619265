"""A ranked group as model input: each distinct token in its context goes through the model once.

The responses of a group share the prompt, and a correction shares the harmful text up to its cut.
``pack`` lays them out as a tree in one sequence; ``spread`` lays them out row by row, for models
whose attention takes no mask of ours. Both give the same log-probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

import torch
from torch import Tensor

from coursecorrect.train.groups import TokenGroup


@dataclass(frozen=True)
class Layout:
    """Input of one group.

    Attributes:
        ids: (rows, length) input tokens.
        labels: (rows, length) the token that each position predicts; -100 for the prompt.
        positions: (rows, length) position ids.
        visible: (rows, length, length) which positions a position attends to; None where the
            usual causal mask is right.
        paths: for each response, the positions (flat over rows and length) that predict its tokens.
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    visible: Tensor | None
    paths: tuple[tuple[int, ...], ...]


IGNORED = -100


def pack(group: TokenGroup) -> Layout:
    """All responses in one sequence, laid out as a tree.

    A position stands for a beginning of a response: it reads the last token but one of that
    beginning and predicts the last. Two responses share a position exactly when they share the
    beginning; where they part, each gets a position of its own that reads the same token.
    """
    prompt = group.prompt_ids
    trunk = len(prompt) - 1
    ids, labels = list(prompt[:-1]), [IGNORED] * trunk
    positions, parents = list(range(trunk)), list(range(-1, trunk - 1))
    children: dict[tuple[int, int], int] = {}
    paths = []
    for response in group.responses:
        path = []
        node, read = trunk - 1, prompt[-1]
        for depth, token in enumerate(response):
            if (node, token) not in children:
                children[node, token] = len(ids)
                ids.append(read)
                labels.append(token)
                positions.append(trunk + depth)
                parents.append(node)
            node, read = children[node, token], token
            path.append(node)
        paths.append(tuple(path))
    return Layout(
        ids=torch.tensor([ids]),
        labels=torch.tensor([labels]),
        positions=torch.tensor([positions]),
        visible=_ancestors(parents)[None],
        paths=tuple(paths),
    )


def packed_length(group: TokenGroup) -> int:
    """How many positions ``pack`` gives the group, without laying it out."""
    ordered = sorted(group.responses)
    shared = sum(
        sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(*two, strict=False)))
        for two in pairwise(ordered)
    )
    return len(group.prompt_ids) - 1 + sum(map(len, ordered)) - shared


def spread(group: TokenGroup) -> Layout:
    """Each response in a row of its own, padded at the end."""
    prompt = group.prompt_ids
    start = len(prompt) - 1
    length = start + max(len(response) for response in group.responses)
    ids = torch.zeros(len(group.responses), length, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    paths = []
    for row, response in enumerate(group.responses):
        whole = torch.tensor(prompt + response)
        ids[row, : len(whole) - 1] = whole[:-1]
        labels[row, start : len(whole) - 1] = whole[start + 1 :]
        first = row * length + start
        paths.append(tuple(range(first, first + len(response))))
    positions = torch.arange(length).expand_as(ids)
    return Layout(ids, labels, positions, None, tuple(paths))


def side_by_side(layouts: Sequence[Layout]) -> Layout:
    """Packed layouts in one sequence; none sees another."""
    lengths = [layout.ids.shape[1] for layout in layouts]
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    visible = torch.zeros(1, sum(lengths), sum(lengths), dtype=torch.bool)
    for layout, start, length in zip(layouts, starts, lengths, strict=True):
        assert layout.visible is not None
        visible[:, start : start + length, start : start + length] = layout.visible
    return Layout(
        ids=torch.cat([layout.ids for layout in layouts], 1),
        labels=torch.cat([layout.labels for layout in layouts], 1),
        positions=torch.cat([layout.positions for layout in layouts], 1),
        visible=visible,
        paths=tuple(
            tuple(start + at for at in path)
            for layout, start in zip(layouts, starts, strict=True)
            for path in layout.paths
        ),
    )


def _ancestors(parents: Sequence[int]) -> Tensor:
    """(length, length): row i is True at i and at all its ancestors (parents come first)."""
    visible = torch.eye(len(parents), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            visible[node] |= visible[parent]
    return visible
