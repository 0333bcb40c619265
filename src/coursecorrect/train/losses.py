"""The losses, one small function each. All work on the responses of one group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def pair_margins(log_ratios: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """How much more the policy than the reference favours the better response of each pair.

    Args:
        log_ratios: (responses,) log π(y|x) − log π_ref(y|x).
        pairs: (better, worse).

    Returns:
        (pairs,)
    """
    better, worse = torch.tensor(pairs, device=log_ratios.device).T
    return log_ratios[better] - log_ratios[worse]


def sigmoid_loss(margins: Tensor, beta: float) -> Tensor:
    """DPO: −log σ(β · margin), mean over pairs (arXiv 2305.18290, equation 7)."""
    return -logsigmoid(beta * margins).mean()


def likelihood_loss(log_probs: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """−log p of the tokens to learn: weighted mean over a response, then mean over responses.

    Args:
        log_probs: one tensor (tokens,) a response to learn.
        weights: of the same shapes (``groups.decision_weights``).
    """
    means = [(w * t).sum() / w.sum() for t, w in zip(log_probs, weights, strict=True)]
    return -torch.stack(means).mean()


def hold_loss(log_probs: Tensor, before: Tensor) -> Tensor:
    """KL(before ‖ now) of the next token, mean over positions.

    −log p of the good response would also teach its wording, which differs in every group and
    drowns what harmless text has to teach: that the model go on as it would have gone on.

    Args:
        log_probs: (positions, vocabulary), of the policy.
        before: the same of the reference.
    """
    return (before.exp() * (before - log_probs)).sum(-1).mean()
