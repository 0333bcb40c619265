"""Grouped DPO on TRL's trainer: a batch is ranked groups, each distinct response is scored once.

Arguments, callbacks, PEFT, Accelerate, checkpoints and logging are TRL's. Its own ``sft`` loss
covers every token of the chosen response, the harmful prefix too, and so teaches to begin; here
the likelihood term covers only tokens after the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.utils import add_fused_lm_head

from coursecorrect.train.groups import TokenGroup, decision_weights
from coursecorrect.train.losses import likelihood_loss, pair_margins, sigmoid_loss
from coursecorrect.train.packing import Layout, pack, spread


@dataclass
class GroupedConfig(DPOConfig):
    """TRL's settings and those of the groups."""

    likelihood_weight: float = 1.0
    packed: bool = True


def to_dataset(groups: Sequence[TokenGroup], reference: dict[str, list[float]]) -> Dataset:
    """One row a group; ``reference`` holds each response's log-probability under the start."""
    return Dataset.from_list(
        [
            {**asdict(g), "weights": decision_weights(g), "reference": reference[g.id]}
            for g in groups
        ]
    )


def collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """Groups stay lists: the trainer lays each out by itself."""
    return {"groups": examples}


class GroupedDPOTrainer(DPOTrainer):
    """−log σ(β · margin) over the pairs of a group + w · −log p of the tokens after the cuts."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset  # token ids already

    def _precompute_ref_logps(self, dataset: Any, *_: Any) -> Any:
        return dataset  # the column ``reference``

    def _set_signature_columns_if_needed(self) -> None:
        names = (
            "id",
            "harmful",
            "prompt_ids",
            "responses",
            "learn_from",
            "pairs",
            "weights",
            "reference",
        )
        self._signature_columns = list(names)

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        losses = [self._group_loss(model, row) for row in inputs["groups"]]
        loss = torch.stack(losses).mean()
        return (loss, {}) if return_outputs else loss

    def _group_loss(self, model: Any, row: dict[str, Any]) -> Tensor:
        group = as_group(row)
        tokens = score(model, group, packed=self.args.packed)
        reference = torch.tensor(row["reference"], device=tokens[0].device)
        ratios = torch.stack([t.sum() for t in tokens]) - reference
        margins = pair_margins(ratios, group.pairs)
        preference = sigmoid_loss(margins, self.beta)
        weights = [torch.tensor(w, device=t.device) for t, w in zip(tokens, row["weights"], strict=True)]
        learned = [i for i, w in enumerate(weights) if w.any()]
        likelihood = likelihood_loss([tokens[i] for i in learned], [weights[i] for i in learned])
        kind = "harmful" if group.harmful else "benign"
        self._note(f"{kind}/margin", margins.mean())
        self._note(f"{kind}/accuracy", (margins > 0).float().mean())
        self._note(f"{kind}/nll", likelihood)
        at_forks = [tokens[i][weights[i] == 1].mean() for i in learned]
        self._note(f"{kind}/fork_nll", -torch.stack(at_forks).mean())
        return preference + self.args.likelihood_weight * likelihood

    def _note(self, name: str, value: Tensor) -> None:
        mode = "train" if self.model.training else "eval"
        self._metrics[mode][name].append(value.item())


def as_group(row: dict[str, Any]) -> TokenGroup:
    """A row of the data set as the group it was made of."""
    return TokenGroup(
        id=row["id"],
        harmful=row["harmful"],
        prompt_ids=tuple(row["prompt_ids"]),
        responses=tuple(tuple(r) for r in row["responses"]),
        learn_from=tuple(row["learn_from"]),
        pairs=tuple((better, worse) for better, worse in row["pairs"]),
    )


def score(model: Any, group: TokenGroup, *, packed: bool) -> list[Tensor]:
    """Log-probability of every token of every response: one tensor (tokens,) a response.

    ``model`` carries TRL's fused head, which never holds the logits of a whole sequence.
    """
    layout = pack(group) if packed else spread(group)
    found = model(**_inputs(layout, model), fused_lm_head=True).log_probs.reshape(-1)
    return [found[torch.tensor(path, device=found.device)] for path in layout.paths]


def _inputs(layout: Layout, model: Any) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    inputs = {
        "input_ids": layout.ids,
        "shift_labels": layout.labels,
        "position_ids": layout.positions,
    }
    if layout.visible is not None:
        dtype = next(model.parameters()).dtype
        hidden = torch.zeros(layout.visible.shape, dtype=dtype)
        hidden.masked_fill_(~layout.visible, torch.finfo(dtype).min)
        inputs["attention_mask"] = hidden[:, None]
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def log_probs(model: Any, group: TokenGroup, *, packed: bool) -> list[float]:
    """Log-probability of each response under ``model``, without gradients."""
    with torch.no_grad():
        return [float(tokens.sum()) for tokens in score(model, group, packed=packed)]


def with_scores(model: Any) -> Any:
    """``model`` with TRL's fused head; the trainer adds it to its own model anyway."""
    add_fused_lm_head(model)
    return model


def can_pack(model: Any, group: TokenGroup) -> bool:
    """Does ``model`` give a packed group the log-probabilities of its responses one by one?

    Tried, not looked up: attention that ignores a mask of ours, slides over a window or keeps a
    state gives other figures.
    """
    try:
        packed = log_probs(model, group, packed=True)
    except (TypeError, ValueError, RuntimeError, NotImplementedError):
        return False
    one_by_one = log_probs(model, group, packed=False)
    tolerance = 1e-3 if model.dtype in (torch.float32, torch.float64) else 0.5
    return all(
        abs(a - b) <= tolerance * max(1.0, abs(b) ** 0.5)
        for a, b in zip(packed, one_by_one, strict=True)
    )
