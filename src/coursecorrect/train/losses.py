"""The losses, one small function each. All work on the responses of one group."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from coursecorrect.train.recipe import Loss


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


def sigmoid_losses(margins: Tensor, beta: float) -> Tensor:
    """DPO: −log σ(β · margin) of each pair (arXiv 2305.18290, equation 7)."""
    return -logsigmoid(beta * margins)


def ipo_losses(margins: Tensor, beta: float) -> Tensor:
    """IPO: (margin − 1 / 2β)² of each pair (arXiv 2310.12036, equation 17; its τ is β).

    Margins of whole responses grow with their length and one target can't fit them all: TRL, by
    its account after asking the authors, takes the mean over tokens (``length_normalised``).
    """
    return (margins - 1 / (2 * beta)) ** 2


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Σ w · loss / Σ w: the pairs of a group share its one vote, whatever their weights."""
    return (weights * losses).sum() / weights.sum()


def listwise_loss(log_ratios: Tensor, pairs: Sequence[tuple[int, int]], beta: float) -> Tensor:
    """Plackett–Luce: −log (e^u_i / Σ_{j ≥ i} e^u_j) with u = β · log-ratio, mean over i.

    Of a ranking: its best is chosen among all, the next among the rest, and so on (arXiv
    2305.18290, equation 20; arXiv 2402.01878). Here j runs over i and what the pairs rank below
    i. All 15 pairs give the whole ranking; a harmless group, whose bad responses stand in no pair
    with each other, gives the first choice alone.
    """
    utility = beta * log_ratios
    chosen = sorted({better for better, _ in pairs})
    among = [[i, *(worse for better, worse in pairs if better == i)] for i in chosen]
    return -torch.stack([utility[rest].log_softmax(0)[0] for rest in among]).mean()


PAIRWISE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sigmoid": sigmoid_losses,
    "ipo": ipo_losses,
}


def preference_loss(
    loss: Loss,
    log_ratios: Tensor,
    pairs: Sequence[tuple[int, int]],
    weights: Sequence[float],
    beta: float,
) -> Tensor:
    """The loss of that name over the pairs of a group; a listwise one takes no weights."""
    if loss == "listwise":
        return listwise_loss(log_ratios, pairs, beta)
    losses = PAIRWISE[loss](pair_margins(log_ratios, pairs), beta)
    return weighted_mean(losses, log_ratios.new_tensor(weights))


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


def turn_loss(log_mass: Tensor, *, harmful: bool) -> Tensor:
    """−log m, or −log(1 − m) in harmless text: m is the probability that a correction begins.

    It is the sum over all tokens that open one, so it asks whether to turn and not in which words.

    Args:
        log_mass: (places,) log m where a clause has ended.
        harmful: is this text to be left?
    """
    if harmful:
        return -log_mass.mean()
    return -torch.log1p(-log_mass.clamp(max=-1e-6).exp()).mean()
