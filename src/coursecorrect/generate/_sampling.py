"""Drawing tokens: nucleus sampling by inverse distribution, with draws fixed per path."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

_WINDOWS = (64, 1024)
"""Candidates looked at before a full sort; most nuclei are narrower than the first."""


def uniforms(key: str, k: int, index: int, seed: int, steps: int) -> np.ndarray:
    """The ``steps`` numbers in [0, 1) that decide one path, whatever else is in its batch."""
    digest = hashlib.sha256(f"{seed}|{key}|{k}|{index}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(
        steps
    )


def nucleus_sample(logits: Tensor, u: Tensor, temperature: float, top_p: float) -> Tensor:
    """Draw one token a row from the smallest set of tokens whose mass reaches ``top_p``.

    Args:
        logits: (rows, vocabulary), float32; overwritten, because a second tensor of that size
            costs more time than the arithmetic.
        u: (rows,), uniform draws.

    Returns:
        (rows,) token ids. Only rows whose nucleus is wider than a window are looked at further, so
        the cost is that of one narrow ``topk``. ``temperature`` 0 is greedy.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    largest = logits.amax(dim=-1, keepdim=True)
    mass = logits.sub_(largest).div_(temperature).exp_()
    total = mass.sum(dim=-1, keepdim=True)  # (rows, 1)
    chosen = torch.empty(len(mass), dtype=torch.long, device=mass.device)
    left = torch.arange(len(mass), device=mass.device)
    for window in (*_WINDOWS, mass.shape[-1]):
        rows = mass if len(left) == len(mass) else mass[left]
        values, indices = rows.topk(min(window, mass.shape[-1]), dim=-1)
        probabilities = values / total[left]
        chosen[left] = _inverse_draw(probabilities, indices, u[left], top_p)
        left = left[probabilities.sum(dim=-1) < top_p]
        if not len(left):
            break
    return chosen


def _inverse_draw(probabilities: Tensor, indices: Tensor, u: Tensor, top_p: float) -> Tensor:
    cumulative = probabilities.cumsum(dim=-1)
    kept = torch.where(cumulative - probabilities < top_p, probabilities, 0.0)
    kept_cumulative = kept.cumsum(dim=-1)
    target = u.to(kept_cumulative.dtype)[:, None] * kept_cumulative[:, -1:]
    position = torch.searchsorted(kept_cumulative, target, right=True)
    last = (kept > 0).sum(dim=-1, keepdim=True) - 1
    return indices.gather(-1, torch.minimum(position, last)).squeeze(-1)
