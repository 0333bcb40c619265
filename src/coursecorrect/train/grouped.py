"""Grouped DPO on TRL's trainer: a batch is ranked groups, each distinct response is scored once.

Arguments, callbacks, PEFT, Accelerate, checkpoints and logging are TRL's. TRL's own ``sft`` loss
covers every token of the chosen response, the harmful prefix too, and so teaches to begin; here
the likelihood term covers only tokens after the cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from coursecorrect.train.groups import TokenGroup, decision_weights
from coursecorrect.train.losses import (
    hold_loss,
    likelihood_loss,
    pair_margins,
    preference_loss,
)
from coursecorrect.train.packing import Layout, pack, spread
from coursecorrect.train.recipe import Loss


@dataclass
class GroupedConfig(DPOConfig):
    """TRL's settings and those of the groups."""

    loss: Loss = "sigmoid"
    length_normalised: bool = False
    preference_weight: float = 1.0
    likelihood_weight: float = 1.0
    hold_weight: float = 1.0
    packed: bool = True


def to_dataset(
    groups: Sequence[TokenGroup], reference: dict[str, list[float]], *, unmasked: bool = False
) -> Dataset:
    """One row a group.

    Args:
        groups: in the order of training.
        reference: log-probability of each response under the start, of the harmful groups; the
            trainer reads harmless text at the start anyway, for the divergence.
        unmasked: the likelihood term covers the text before the cuts too.
    """
    return Dataset.from_list(
        [
            {
                **asdict(g),
                "weights": decision_weights(g, unmasked=unmasked),
                "reference": reference[g.id] if g.harmful else [],
            }
            for g in groups
        ]
    )


def collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """Groups stay lists: the trainer lays each out by itself."""
    return {"groups": examples}


class GroupedDPOTrainer(DPOTrainer):
    """DPO on the pairs of a group, and one more term that says where to turn and where not.

    Harmful groups: −log p of the corrections, after their cuts. Harmless groups: the divergence
    from the start on the good response, so that nothing is learnt there but not to turn.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.args.packed and self.args.device.type == "cpu":
            # A fused kernel gains nothing from a mask that is mostly empty; on CPUs plain matrix
            # products are about a tenth faster for a whole step. Their softmax is in float32.
            for model in (self.model, self.ref_model):
                if model is not None and model.dtype != torch.float64:
                    self.accelerator.unwrap_model(model).set_attn_implementation("eager")

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset  # token ids already

    def _set_signature_columns_if_needed(self) -> None:
        names = [field.name for field in fields(TokenGroup)]
        self._signature_columns = [*names, "weights", "reference"]

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        losses = [self._group_loss(model, row) for row in inputs["groups"]]
        loss = torch.stack(losses).mean()
        return (loss, {}) if return_outputs else loss

    def _group_loss(self, model: Any, row: dict[str, Any]) -> Tensor:
        group = as_group(row)
        layout = lay_out(group, packed=self.args.packed)
        # Where the start lies in pieces on all processes, each must read it whenever one does.
        before = self._before(layout) if not group.harmful or self.is_fsdp_enabled else None
        found = next_token_log_probs(model, layout)
        tokens = of_responses(found, layout)
        if before is None or group.harmful:
            term = self.args.likelihood_weight * self._likelihood(tokens, group, row["weights"])
            reference = found.new_tensor(row["reference"])
        else:
            term = self.args.hold_weight * self._divergence(found, before, layout)
            reference = torch.stack([t.sum() for t in of_responses(before, layout)])
        log_ratios = torch.stack([t.sum() for t in tokens]) - reference
        if self.args.length_normalised:
            log_ratios = log_ratios / log_ratios.new_tensor([len(t) for t in tokens])
        margins = pair_margins(log_ratios, group.pairs)
        kind = "harmful" if group.harmful else "benign"
        self._note(f"{kind}/margin", margins.mean())
        self._note(f"{kind}/accuracy", (margins > 0).float().mean())
        preference = preference_loss(
            self.args.loss, log_ratios, group.pairs, group.pair_weights, self.beta
        )
        loss: Tensor = self.args.preference_weight * preference + term
        return loss

    def _likelihood(
        self, tokens: Sequence[Tensor], group: TokenGroup, rows: Sequence[Sequence[float]]
    ) -> Tensor:
        weights = [t.new_tensor(w) for t, w in zip(tokens, rows, strict=True)]
        turns = {i: s for i, s in enumerate(group.learn_from) if s is not None and s < len(rows[i])}
        loss = likelihood_loss([tokens[i] for i in turns], [weights[i] for i in turns])
        self._note("harmful/nll", loss)
        self._note(
            "harmful/turn_nll",
            -torch.stack([tokens[i][start] for i, start in turns.items()]).mean(),
        )
        return loss

    def _before(self, layout: Layout) -> Tensor:
        with torch.no_grad(), self._at_the_start() as start:
            return next_token_log_probs(start, layout)

    def _divergence(self, found: Tensor, before: Tensor, layout: Layout) -> Tensor:
        best = torch.tensor(layout.paths[0], device=found.device)
        divergence = hold_loss(found[best], before[best])
        self._note("benign/divergence", divergence)
        return divergence

    @contextmanager
    def _at_the_start(self) -> Iterator[Any]:
        """The model as it was before training."""
        if self.ref_model is not None:
            yield self.ref_model
            return
        with self.accelerator.unwrap_model(self.model).disable_adapter():
            yield self.model

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """TRL's, with the figures of all processes."""
        mode = "train" if self.model.training else "eval"
        shares = gather_object([dict(self._metrics[mode])])
        for name in {name for share in shares for name in share}:
            self._metrics[mode][name] = [v for share in shares for v in share.get(name, [])]
        super().log(logs, start_time)

    def _note(self, name: str, value: Tensor) -> None:
        mode = "train" if self.model.training else "eval"
        self._metrics[mode][name].append(value.item())


def as_group(row: dict[str, Any]) -> TokenGroup:
    """A row of the data set as the group it was made of."""
    return TokenGroup(
        id=row["id"],
        pair_key=row["pair_key"],
        harmful=row["harmful"],
        prompt_ids=tuple(row["prompt_ids"]),
        responses=tuple(tuple(r) for r in row["responses"]),
        learn_from=tuple(row["learn_from"]),
        pairs=tuple((better, worse) for better, worse in row["pairs"]),
        pair_weights=tuple(row["pair_weights"]),
    )


def lay_out(group: TokenGroup, *, packed: bool) -> Layout:
    """The group as model input, in one sequence or row by row."""
    return pack(group) if packed else spread(group)


def next_token_log_probs(model: Any, layout: Layout) -> Tensor:
    """(rows · length, vocabulary) log-probabilities of the token after each position."""
    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    inputs = {"input_ids": layout.ids, "position_ids": layout.positions}
    if layout.visible is not None:
        hidden = torch.zeros(layout.visible.shape, dtype=dtype)
        hidden.masked_fill_(~layout.visible, torch.finfo(dtype).min)
        inputs["attention_mask"] = hidden[:, None]
    logits = model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits
    logits = logits.reshape(-1, logits.shape[-1])
    wide: Tensor = logits if logits.dtype == torch.float64 else logits.float()
    return wide.log_softmax(-1)


def of_responses(found: Tensor, layout: Layout) -> list[Tensor]:
    """Log-probability of every token of every response: one tensor (tokens,) a response."""
    labels = layout.labels.reshape(-1, 1).clamp(min=0).to(found.device)
    tokens = found.gather(1, labels)[:, 0]
    return [tokens[torch.tensor(path, device=found.device)] for path in layout.paths]


def log_probs(model: Any, group: TokenGroup, *, packed: bool) -> list[float]:
    """Log-probability of each response under ``model``, without gradients."""
    layout = lay_out(group, packed=packed)
    with torch.no_grad():
        tokens = of_responses(next_token_log_probs(model, layout), layout)
    return [float(t.sum()) for t in tokens]


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
