"""Decoding for models whose attention cannot share a prefix: every row carries its own copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache


class PaddedDecoder:
    """Left-padded rows through the model's usual attention; same interface as the shared one."""

    def __init__(self, model: Any, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id

    def start(self, jobs: Sequence[Sequence[int]], kept: Tensor, steps: int) -> Tensor:
        """Encode every row's prefix; return (jobs, rows a job, vocabulary) logits at its end."""
        rows = [ids[:n] for ids, lengths in zip(jobs, kept.tolist(), strict=True) for n in lengths]
        longest = max(len(row) for row in rows)
        ids = torch.tensor([[self.pad_id] * (longest - len(row)) + list(row) for row in rows])
        self.mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        self.mask = self.mask.to(self.model.device)
        self.cache = DynamicCache(config=self.model.config)
        positions = (self.mask.cumsum(dim=1) - 1).clamp(min=0)
        logits = self._forward(ids.to(self.model.device), positions)
        self.positions = positions[:, -1:] + 1
        return logits.view(*kept.shape, -1)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token a row, (rows,); return (rows, vocabulary) logits."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(tokens), 1)], dim=1)
        logits = self._forward(tokens[:, None], self.positions)
        self.positions = self.positions + 1
        return logits

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        out = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        return out.logits[:, -1].float()  # type: ignore[no-any-return]
