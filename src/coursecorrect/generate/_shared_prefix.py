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
    """Keys and values of the new tokens: (jobs, kv heads, rows a job, steps, head size).

    In this order attention needs no copy of them; :func:`_attend` takes them from here.
    """

    is_sliding = False

    def __init__(self, jobs: int, steps: int) -> None:
        super().__init__()
        self.jobs, self.steps = jobs, steps
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        shape = (*self._by_job(key_states).shape[:3], self.steps)
        self.keys = key_states.new_empty(*shape, key_states.shape[-1])
        self.values = value_states.new_empty(*shape, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        start, self.length = self.length, self.length + key_states.shape[2]
        self.keys[..., start : self.length, :] = self._by_job(key_states)
        self.values[..., start : self.length, :] = self._by_job(value_states)
        return key_states, value_states

    def _by_job(self, states: Tensor) -> Tensor:
        """(rows, kv heads, new, size) → (jobs, kv heads, rows a job, new, size)."""
        return states.reshape(self.jobs, -1, *states.shape[1:]).transpose(1, 2)

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
        hidden: (jobs, rows a job, longest prefix), -inf where a row must not look, else 0.
    """

    def __init__(self, prefixes: Sequence[DynamicCache], kept: Tensor, steps: int) -> None:
        """``kept``: (jobs, rows a job), how many prefix tokens each row sees."""
        layers = len(prefixes[0].layers)
        super().__init__(layers=[_OwnTokens(len(kept), steps) for _ in range(layers)])
        self.prefix_keys = [_stack([p.layers[i].keys for p in prefixes]) for i in range(layers)]
        self.prefix_values = [_stack([p.layers[i].values for p in prefixes]) for i in range(layers)]
        longest = self.prefix_keys[0].shape[2]
        positions = torch.arange(longest, device=kept.device)
        shown = self.prefix_keys[0].new_zeros(*kept.shape, longest)
        self.hidden = shown.masked_fill(positions >= kept[:, :, None], float("-inf"))


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
    """One decode step: query (rows, heads, 1, size); keys and values are read from the cache.

    Below, b = jobs · kv heads, r = rows a job, g = query heads a kv head.
    """
    cache = _ACTIVE.get()
    prefix_key = cache.prefix_keys[module.layer_idx].flatten(0, 1)  # (b, longest, size)
    prefix_value = cache.prefix_values[module.layer_idx].flatten(0, 1)
    own = cache.layers[module.layer_idx]
    own_key = own.keys[..., : own.length, :].flatten(0, 2)  # (b · r, own, size)
    own_value = own.values[..., : own.length, :].flatten(0, 2)
    jobs, each, longest = cache.hidden.shape
    kv_heads = len(prefix_key) // jobs
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling

    split = (query * scale).view(jobs, each, kv_heads, -1, query.shape[-1])
    query = split.transpose(1, 2).contiguous()  # (jobs, kv heads, r, g, size)
    groups = query.shape[3]
    hidden = cache.hidden[:, None, :, None].expand(jobs, kv_heads, each, groups, longest)
    shared = torch.matmul(query.view(len(prefix_key), -1, query.shape[-1]), prefix_key.mT)
    shared = shared.view_as(hidden).add_(hidden)
    alone = torch.matmul(query.flatten(0, 2), own_key.mT).view(*hidden.shape[:-1], -1)
    weights = torch.cat([shared, alone], dim=-1).softmax(dim=-1, dtype=torch.float32)
    weights = weights.to(value.dtype)
    out = torch.matmul(weights[..., longest:].flatten(0, 2), own_value)  # (b · r, g, size)
    from_prefix = weights[..., :longest].flatten(2, 3).flatten(0, 1)  # (b, r · g, longest)
    out = torch.baddbmm(out.view(len(prefix_key), each * groups, -1), from_prefix, prefix_value)
    out = out.view(jobs, kv_heads, each, groups, -1).transpose(1, 2)
    return out.reshape(jobs * each, 1, kv_heads * groups, -1), None


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
