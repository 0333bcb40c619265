"""Drawing tokens: nucleus sampling by inverse distribution, with draws fixed per path."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

_WINDOW = 256
"""Candidates looked at before a full sort; almost every nucleus is narrower."""


def uniforms(key: str, k: int, index: int, seed: int, steps: int) -> np.ndarray:
    """The ``steps`` numbers in [0, 1) that decide one path, whatever else is in its batch."""
    digest = hashlib.sha256(f"{seed}|{key}|{k}|{index}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(
        steps
    )


def nucleus_sample(logits: Tensor, u: Tensor, temperature: float, top_p: float) -> Tensor:
    """Draw one token a row from the smallest set of tokens whose mass reaches ``top_p``.

    Args:
        logits: (rows, vocabulary), float32.
        u: (rows,), uniform draws.

    Returns:
        (rows,) token ids. The vocabulary is sorted only for rows whose nucleus is wider than the
        window, so the cost is that of one ``topk``. ``temperature`` 0 is greedy.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits.float() / temperature
    log_total = torch.logsumexp(scaled, dim=-1, keepdim=True)  # (rows, 1)
    values, indices = scaled.topk(min(_WINDOW, scaled.shape[-1]), dim=-1)
    probabilities = (values - log_total).exp()  # (rows, window)
    chosen = _inverse_draw(probabilities, indices, u, top_p)
    wide = probabilities.sum(dim=-1) < top_p
    if bool(wide.any()):
        values, indices = scaled[wide].sort(dim=-1, descending=True)
        chosen[wide] = _inverse_draw((values - log_total[wide]).exp(), indices, u[wide], top_p)
    return chosen


def _inverse_draw(probabilities: Tensor, indices: Tensor, u: Tensor, top_p: float) -> Tensor:
    cumulative = probabilities.cumsum(dim=-1)
    kept = torch.where(cumulative - probabilities < top_p, probabilities, 0.0)
    kept_cumulative = kept.cumsum(dim=-1)
    target = u.to(kept_cumulative.dtype)[:, None] * kept_cumulative[:, -1:]
    position = torch.searchsorted(kept_cumulative, target, right=True)
    last = (kept > 0).sum(dim=-1, keepdim=True) - 1
    return indices.gather(-1, torch.minimum(position, last)).squeeze(-1)
