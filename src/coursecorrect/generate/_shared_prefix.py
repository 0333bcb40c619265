"""Decoding many continuations of one prefix that is stored once.

Every row of a decode batch belongs to one job and keeps a number of the job's prefix tokens. The
prefix's keys and values are read where they lie; only a row's own new tokens have a cache of their
own. The model takes part through transformers' attention interface, so no model code is rewritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.cache_utils import Cache, CacheLayerMixin

_NAME = "coursecorrect_shared_prefix"
_ACTIVE: ContextVar[SharedPrefixCache] = ContextVar("active shared-prefix cache")


class _OwnTokens(CacheLayerMixin):
    """Keys and values of the new tokens of all rows: (rows, kv heads, steps, head size)."""

    is_sliding = False

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, heads, _, size = key_states.shape
        self.keys = key_states.new_zeros(rows, heads, self.steps, size)
        self.values = value_states.new_zeros(rows, heads, self.steps, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        start, self.length = self.length, self.length + key_states.shape[2]
        self.keys[:, :, start : self.length] = key_states
        self.values[:, :, start : self.length] = value_states
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        return self.length

    def get_max_length(self) -> int:
        return self.steps


class SharedPrefixCache(Cache):
    """The prefixes of a batch of jobs, padded to one length, and the own tokens of its rows.

    Attributes:
        prefix_keys, prefix_values: per layer (jobs, kv heads, longest prefix, head size).
        hidden: (jobs, 1, rows a job, longest prefix), True where a row must not look.
    """

    def __init__(self, prefixes: Sequence[DynamicCache], kept: Tensor, steps: int) -> None:
        """``kept``: (jobs, rows a job), how many prefix tokens each row sees."""
        layers = len(prefixes[0].layers)
        super().__init__(layers=[_OwnTokens(steps) for _ in range(layers)])
        self.prefix_keys = [_stack([p.layers[i].keys for p in prefixes]) for i in range(layers)]
        self.prefix_values = [_stack([p.layers[i].values for p in prefixes]) for i in range(layers)]
        longest = self.prefix_keys[0].shape[2]
        positions = torch.arange(longest, device=kept.device)
        self.hidden = (positions >= kept[:, :, None])[:, None]


def _stack(tensors: Sequence[Any]) -> Tensor:
    """(1, heads, length, size) each → (jobs, heads, longest, size), zero-padded at the end."""
    longest = max(t.shape[2] for t in tensors)
    return torch.cat([torch.nn.functional.pad(t, (0, 0, 0, longest - t.shape[2])) for t in tensors])


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """One decode step: query (rows, heads, 1, size), key and value (rows, kv heads, own, size)."""
    cache = _ACTIVE.get()
    prefix_key = cache.prefix_keys[module.layer_idx]
    prefix_value = cache.prefix_values[module.layer_idx]
    jobs, kv_heads, longest, size = prefix_key.shape
    rows, heads = query.shape[:2]
    each, groups = rows // jobs, heads // kv_heads
    scale = size**-0.5 if scaling is None else scaling

    own_query = query.view(rows, kv_heads, groups, size)
    own = torch.matmul(own_query, key.transpose(2, 3)) * scale  # (rows, kv heads, groups, own)
    shared_query = (
        query.view(jobs, each, kv_heads, groups, size)
        .permute(0, 2, 1, 3, 4)
        .reshape(jobs, kv_heads, each * groups, size)
    )
    shared = torch.matmul(shared_query, prefix_key.transpose(2, 3)) * scale
    shared = shared.view(jobs, kv_heads, each, groups, longest)
    shared = shared.masked_fill(cache.hidden[..., None, :], float("-inf"))
    shared = shared.permute(0, 2, 1, 3, 4).reshape(rows, kv_heads, groups, longest)

    weights = torch.cat([shared, own], dim=-1).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    out = torch.matmul(weights[..., longest:], value)  # (rows, kv heads, groups, size)
    shared_weights = (
        weights[..., :longest]
        .view(jobs, each, kv_heads, groups, longest)
        .permute(0, 2, 1, 3, 4)
        .reshape(jobs, kv_heads, each * groups, longest)
    )
    from_prefix = (
        torch.matmul(shared_weights, prefix_value)
        .view(jobs, kv_heads, each, groups, -1)
        .permute(0, 2, 1, 3, 4)
        .reshape(rows, kv_heads, groups, -1)
    )
    return (out + from_prefix).reshape(rows, 1, heads, -1), None


AttentionInterface.register(_NAME, _attend)
# The mask lives in the cache; the model must not build one of its own.
AttentionMaskInterface.register(_NAME, lambda *args, **kwargs: None)


class SharedPrefixDecoder:
    """Prefill once per job, then step all rows together."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.usual = model.config._attn_implementation

    def start(self, jobs: Sequence[Sequence[int]], kept: Tensor, steps: int) -> Tensor:
        """Encode the prefixes; return (jobs, rows a job, vocabulary) logits at each row's end."""
        prefixes, logits = [], []
        for ids, row_lengths in zip(jobs, kept, strict=True):
            cache = DynamicCache(config=self.model.config)
            hidden = self.model(
                input_ids=torch.tensor([ids], device=self.model.device),
                past_key_values=cache,
                use_cache=True,
            ).logits[0]
            prefixes.append(cache)
            logits.append(hidden[row_lengths - 1].float())
        self.cache = SharedPrefixCache(prefixes, kept, steps)
        self.positions = kept.reshape(-1, 1).clone()
        return torch.stack(logits)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token a row, (rows,); return (rows, vocabulary) logits."""
        self.model.set_attn_implementation(_NAME)
        active = _ACTIVE.set(self.cache)
        try:
            logits = self.model(
                input_ids=tokens[:, None],
                position_ids=self.positions,
                past_key_values=self.cache,
                use_cache=True,
            ).logits[:, -1]
        finally:
            _ACTIVE.reset(active)
            self.model.set_attn_implementation(self.usual)
        self.positions = self.positions + 1
        return logits.float()  # type: ignore[no-any-return]
