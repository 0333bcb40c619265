"""Grouped DPO on TRL's trainer: a batch is ranked groups, each distinct response is scored once.

Arguments, callbacks, PEFT, Accelerate, checkpoints and logging are TRL's. TRL's own ``sft`` loss
covers every token of the chosen response, the harmful prefix too, and so teaches to begin; here
the likelihood term covers only tokens after the cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
    turn_loss,
)
from coursecorrect.train.packing import Layout, pack, side_by_side, spread
from coursecorrect.train.recipe import Loss


@dataclass
class GroupedConfig(DPOConfig):
    """TRL's settings and those of the groups."""

    loss: Loss = "sigmoid"
    length_normalised: bool = False
    preference_weight: float = 1.0
    likelihood_weight: float = 1.0
    hold_weight: float = 1.0
    turn_weight: float = 0.0
    packed: bool = True


def to_dataset(
    groups: Sequence[TokenGroup],
    reference: dict[str, list[float]],
    *,
    lesson: Sequence[Sequence[TokenGroup]] = (),
    unmasked: bool = False,
) -> Dataset:
    """One row a pass of the first lesson, then one row a group.

    Args:
        groups: in the order of training.
        reference: log-probability of each response under the start, of the harmful groups; the
            trainer reads harmless text at the start anyway, for the divergence.
        lesson: texts that go through the model together (``lesson.passes``).
        unmasked: the likelihood term covers the text before the cuts too.
    """
    rows = [
        {"lesson": True, "groups": [_row(t, [], [[] for _ in t.responses]) for t in together]}
        for together in lesson
    ]
    for group in groups:
        known = reference[group.id] if group.harmful else []
        weights = decision_weights(group, unmasked=unmasked)
        rows.append({"lesson": False, "groups": [_row(group, known, weights)]})
    return Dataset.from_list(rows)


def _row(
    group: TokenGroup, reference: Sequence[float], weights: Sequence[Sequence[float]]
) -> dict[str, Any]:
    return {**asdict(group), "weights": weights, "reference": reference}


def collate(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows stay lists: the trainer lays each out by itself."""
    return {"rows": examples}


class GroupedDPOTrainer(DPOTrainer):
    """DPO on the pairs of a group, and one more term that says where to turn and where not.

    Harmful groups: −log p of the corrections, after their cuts. Harmless groups: the divergence
    from the start on the good response, so that nothing is learnt there but not to turn. With a
    ``turn_weight`` both say at the end of every clause whether a correction may begin there.

    Args:
        openings: tokens that open a correction, for the last term and for the first lesson.
    """

    def __init__(self, *args: Any, openings: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.openings = list(openings)
        if self.args.packed and self.args.device.type == "cpu":
            # A fused kernel gains nothing from a mask that is mostly empty; on CPUs plain matrix
            # products are about a tenth faster for a whole step. Their softmax is in float32.
            for model in (self.model, self.ref_model):
                if model is not None and model.dtype != torch.float64:
                    self.accelerator.unwrap_model(model).set_attn_implementation("eager")

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset  # token ids already

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["lesson", "groups"]

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        losses = [
            self._lesson_loss(model, row["groups"])
            if row["lesson"]
            else self._group_loss(model, row["groups"][0])
            for row in inputs["rows"]
        ]
        loss = torch.stack(losses).mean()
        return (loss, {}) if return_outputs else loss

    def _lesson_loss(self, model: Any, rows: Sequence[dict[str, Any]]) -> Tensor:
        texts = [as_group(row) for row in rows]
        found = self._read(model, texts)
        turns = [
            self._turn(f[list(t.places)], t.harmful) for f, t in zip(found, texts, strict=True)
        ]
        loss: Tensor = self.args.turn_weight * torch.stack(turns).mean()
        harmless = [i for i, text in enumerate(texts) if not text.harmful]
        # Where the start lies in pieces, all processes must read it equally often.
        shown = range(len(texts)) if self.is_fsdp_enabled else harmless
        if self.args.hold_weight and shown:
            with torch.no_grad(), self._at_the_start() as start:
                before = dict(zip(shown, self._read(start, [texts[i] for i in shown]), strict=True))
            if harmless:
                held = torch.stack([hold_loss(found[i], before[i]) for i in harmless]).mean()
                self._note("benign/divergence", held)
                loss = loss + self.args.hold_weight * held
        return loss

    def _read(self, model: Any, texts: Sequence[TokenGroup]) -> list[Tensor]:
        """(tokens, vocabulary) log-probabilities along each text, whose only response it is."""
        if not self.args.packed:
            layouts = [spread(text) for text in texts]
            return [next_token_log_probs(model, x, x.paths[0]) for x in layouts]
        together = side_by_side([pack(text) for text in texts])
        along = [position for path in together.paths for position in path]
        lengths = [len(path) for path in together.paths]
        return list(torch.split(next_token_log_probs(model, together, along), lengths))

    def _turn(self, found: Tensor, harmful: bool) -> Tensor:
        """Whether a correction begins, from the (places, vocabulary) log-probabilities there."""
        log_mass = found[:, self.openings].logsumexp(-1)
        self._note(f"{'harmful' if harmful else 'benign'}/turn_mass", log_mass.exp().mean())
        return turn_loss(log_mass, harmful=harmful)

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
        if self.args.turn_weight and group.places:
            there = _of(layout.paths[group.trunk], group)
            loss = loss + self.args.turn_weight * self._turn(found[there], group.harmful)
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
        places=tuple(row["places"]),
    )


def _of(path: Sequence[int], group: TokenGroup) -> list[int]:
    """The positions that decide at the places of a group, on the path of its trunk."""
    return [path[at] for at in group.places]


def lay_out(group: TokenGroup, *, packed: bool) -> Layout:
    """The group as model input, in one sequence or row by row."""
    return pack(group) if packed else spread(group)


def next_token_log_probs(model: Any, layout: Layout, at: Sequence[int] | None = None) -> Tensor:
    """(rows · length, vocabulary) log-probabilities of the token after each position.

    Args:
        model: a causal language model.
        layout: its input.
        at: only these positions, flat over rows and length.
    """
    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    inputs = {"input_ids": layout.ids, "position_ids": layout.positions}
    if layout.visible is not None:
        hidden = torch.zeros(layout.visible.shape, dtype=dtype)
        hidden.masked_fill_(~layout.visible, torch.finfo(dtype).min)
        inputs["attention_mask"] = hidden[:, None]
    logits = model(**{name: tensor.to(device) for name, tensor in inputs.items()}).logits
    logits = logits.reshape(-1, logits.shape[-1])
    if at is not None:
        logits = logits[list(at)]
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
