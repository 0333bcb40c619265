"""TRL's DPO trainer with a likelihood term on the tokens after the cut, and only those.

TRL's own ``sft`` loss covers every token of the chosen response, the harmful prefix too, and so
teaches to begin. Here each pair says where its correction starts (``cut_chosen``, characters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from coursecorrect.errors import DataError
from coursecorrect.prefill import ChatSettings, encode, render


@dataclass
class CutConfig(DPOConfig):
    """TRL's settings, the weight of the likelihood term, and where uncorrected text may end."""

    likelihood_weight: float = 1.0
    tail_tokens: int = 64


@dataclass
class CutCollator(DataCollatorForPreference):
    """Adds ``learn_mask`` (pairs, length): 1 on the chosen tokens after the cut."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super().torch_call(examples)
        mask = torch.zeros(len(examples), batch["input_ids"].shape[1], dtype=torch.long)
        for row, example in enumerate(examples):
            start = len(example["prompt_ids"])
            mask[row, start + example["learn_from"] : start + len(example["chosen_ids"])] = 1
        batch["learn_mask"] = mask
        return batch


class CutDPOTrainer(DPOTrainer):
    """DPO (arXiv 2305.18290) + w · mean of −log p over the tokens of ``learn_mask``."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, name: str) -> Any:
        before = len(dataset)
        dataset = super()._prepare_dataset(dataset, processing_class, args, name)
        if "learn_from" not in dataset.column_names:
            dataset = dataset.map(
                lambda row: _shaped(processing_class, row, args.tail_tokens),
                desc="Finding the cuts",
            )
        longest = max(len(r["prompt_ids"]) + len(r["chosen_ids"]) for r in dataset)
        if len(dataset) != before or (args.max_length and longest > args.max_length):
            raise DataError(
                f"a chosen response has {longest} tokens, max_length is {args.max_length}: "
                "truncation would cut the correction off; raise max_length"
            )
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if "learn_from" not in self._signature_columns:
            self._signature_columns += ["learn_from", "length"]

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        inputs = dict(inputs)
        learn_mask = inputs.pop("learn_mask")
        with _LogProbs(model) as seen:
            loss = super()._compute_loss(model, inputs, return_outputs)
        nll = masked_nll(seen.log_probs, learn_mask)
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["likelihood/nll"].append(nll.item())
        weighted = self.args.likelihood_weight * nll
        return (loss[0] + weighted, loss[1]) if return_outputs else loss + weighted


def masked_nll(log_probs: Tensor, learn_mask: Tensor) -> Tensor:
    """Mean of −log p over the masked tokens.

    Args:
        log_probs: (2 · pairs, length − 1), of each next token; the chosen responses first.
        learn_mask: (pairs, length).
    """
    mask = learn_mask[:, 1:].to(log_probs.dtype)
    chosen = log_probs[: len(mask), -mask.shape[1] :]
    return -(chosen * mask).sum() / mask.sum().clamp(min=1)


class _LogProbs:
    """Keeps the log-probabilities of the policy's forward pass, so that it runs only once."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.log_probs: Tensor = torch.empty(0)

    def __enter__(self) -> _LogProbs:
        self._hook = self.model.register_forward_hook(self._keep)
        return self

    def _keep(self, _module: Any, _args: Any, output: Any) -> None:
        found = getattr(output, "log_probs", None)
        # The reference pass of an adapter model runs through the same module, without gradients.
        if found is not None and (found.requires_grad or not self.log_probs.numel()):
            self.log_probs = found

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def learn_from(tokenizer: Any, row: dict[str, Any]) -> int:
    """Index into ``chosen_ids`` of the first token that lies wholly after the cut."""
    prompt, answer = row["prompt"], row["chosen"][0]["content"]
    system = prompt[0]["content"] if prompt[0]["role"] == "system" else None
    chat = ChatSettings(system)
    head = render(tokenizer, prompt[-1]["content"], chat)
    finished = render(tokenizer, prompt[-1]["content"], chat, answer)
    at = finished.index(answer, len(head)) + row["cut_chosen"]
    ids, spans = encode(tokenizer, finished)
    if ids != list(row["prompt_ids"]) + list(row["chosen_ids"]):
        raise DataError("the trainer tokenises the chosen response differently from the renderer")
    first = next((i for i, (start, _) in enumerate(spans) if start >= at), len(ids))
    return max(0, first - len(row["prompt_ids"]))


def _shaped(tokenizer: Any, row: dict[str, Any], tail: int) -> dict[str, Any]:
    """The cut in tokens; text without a correction (FHR, GOOD) ends ``tail`` tokens after the two
    responses part. What follows teaches nothing about the cut and costs most of the time."""
    start = learn_from(tokenizer, row)
    chosen, rejected = list(row["chosen_ids"]), list(row["rejected_ids"])
    end = tail + next(
        (i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), 0
    )
    if row["role_chosen"] == "GOOD":
        chosen = chosen[: max(end, start + tail)]
    if row["role_rejected"] == "FHR":
        rejected = rejected[:end]
    length = len(row["prompt_ids"]) + max(len(chosen), len(rejected))
    return {"learn_from": start, "chosen_ids": chosen, "rejected_ids": rejected, "length": length}


def to_dataset(pairs: Sequence[dict[str, Any]]) -> Dataset:
    """The columns that training needs."""
    columns = ("prompt", "chosen", "rejected", "cut_chosen", "role_chosen", "role_rejected")
    return Dataset.from_list([{c: pair[c] for c in columns} for pair in pairs])
