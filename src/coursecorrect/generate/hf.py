"""The ``hf`` generator: any causal model that transformers loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from coursecorrect.generate._packed import PackedLinears, can_pack
from coursecorrect.generate._padded import PaddedDecoder
from coursecorrect.generate._sampling import nucleus_sample, uniforms
from coursecorrect.generate._shared_prefix import SharedPrefixDecoder
from coursecorrect.generate.base import Job, Path, Sampling
from coursecorrect.models import LoadedModel
from coursecorrect.types import content_id

USUAL_ROWS = 160
"""Rows that are decoded together by default."""
_PROBE_TOLERANCE = 1e-2
"""Largest logit difference of the two ways on the probe; a wrong mask or position differs by far
more, float noise of half-precision models by less."""


class HFGenerator:
    """Samples from token ids, many rows at once, every row with draws of its own."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        banned: frozenset[int] = frozenset(),
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``banned`` tokens are never sampled."""
        self.banned = sorted(banned)
        self.name, self.tokenizer, self.model = loaded.name, loaded.tokenizer, loaded.model
        self.digest = content_id(loaded.revision, str(loaded.model.dtype), str(self.banned))
        self.end_ids = end_ids(loaded)
        self._packed = PackedLinears(self.model, USUAL_ROWS) if can_pack(self.model) else None
        self._shares = _can_share(self.model)
        if not self._shares:
            notice(f"{self.name}: its attention cannot share a prefix; sampling row by row, slower")

    @torch.inference_mode()
    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[Path]]]:
        for batch in batches:
            found: dict[int, list[Path]] = {}
            with self._packed.in_use() if self._packed else nullcontext():
                for indices in _same_shape(batch):
                    paths = self._sample_batch([batch[i] for i in indices], sampling)
                    found.update(zip(indices, paths, strict=True))
            yield [found[i] for i in range(len(batch))]

    def _sample_batch(self, jobs: Sequence[Job], sampling: Sampling) -> list[list[Path]]:
        kept = torch.tensor(
            [[n for _, n in job.lengths for _ in range(sampling.paths)] for job in jobs]
        )
        draws = torch.stack(
            [
                torch.from_numpy(uniforms(job.key, k, path, sampling.seed, sampling.max_new_tokens))
                for job in jobs
                for k, _ in job.lengths
                for path in range(sampling.paths)
            ]
        ).to(self.model.device, torch.float32)
        tokens = self._decode([job.ids for job in jobs], kept, draws, sampling)
        rows = iter(tokens.tolist())
        return [self._paths(job, sampling.paths, rows) for job in jobs]

    def _decode(
        self, ids: Sequence[Sequence[int]], kept: Tensor, draws: Tensor, sampling: Sampling
    ) -> Tensor:
        """(rows, at most max_new_tokens) token ids; after an end token a row repeats it."""
        steps = sampling.max_new_tokens
        decoder = self._decoder(max(len(i) for i in ids) + steps)
        logits = decoder.start(ids, kept.to(self.model.device), steps)
        logits = logits.reshape(-1, logits.shape[-1])
        ends = torch.tensor(sorted(self.end_ids), device=logits.device)
        finished = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
        columns: list[Tensor] = []
        for step in range(steps):
            if self.banned:
                logits[:, self.banned] = float("-inf")
            chosen = nucleus_sample(logits, draws[:, step], sampling.temperature, sampling.top_p)
            if columns:
                chosen = torch.where(finished, columns[-1], chosen)
            columns.append(chosen)
            finished |= torch.isin(chosen, ends)
            if step + 1 == steps or bool(finished.all()):
                break
            logits = decoder.step(chosen)
        return torch.stack(columns, dim=1)

    def _decoder(self, total_length: int) -> SharedPrefixDecoder | PaddedDecoder:
        window = _sliding_window(self.model.config)
        if self._shares and (window is None or total_length <= window):
            return SharedPrefixDecoder(self.model)
        return PaddedDecoder(self.model, pad_id=next(iter(self.end_ids), 0))

    def _paths(self, job: Job, paths: int, rows: Iterator[list[int]]) -> list[Path]:
        out = []
        for k, _ in job.lengths:
            for index in range(paths):
                row = next(rows)
                end = next((i for i, t in enumerate(row) if t in self.end_ids), None)
                out.append(Path(k, index, tuple(row[:end]), end is not None))
        return out


def end_ids(loaded: LoadedModel) -> frozenset[int]:
    """Every token that ends the assistant's turn."""
    listed = getattr(loaded.model.generation_config, "eos_token_id", None)
    found = {loaded.tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])}
    return frozenset(int(i) for i in found if i is not None)


def _same_shape(batch: Sequence[Job]) -> list[list[int]]:
    """Indices of jobs with equally many lengths: only those fit one rectangular batch."""
    groups: dict[int, list[int]] = {}
    for i, job in enumerate(batch):
        groups.setdefault(len(job.lengths), []).append(i)
    return list(groups.values())


def _sliding_window(config: Any) -> int | None:
    layers = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    uses = any("sliding" in str(kind) for kind in layers) if layers else window is not None
    return int(window) if uses and window is not None else None


@torch.inference_mode()
def _can_share(model: Any) -> bool:
    """Try both ways on two short ragged rows: sharing is used only where it gives the same."""
    vocabulary = model.get_input_embeddings().num_embeddings
    jobs = [[(7 * i + 3) % vocabulary for i in range(n)] for n in (6, 9)]
    kept = torch.tensor([[3, 6], [9, 4]], device=model.device)
    next_tokens = torch.tensor([5, 6, 7, 8], device=model.device) % vocabulary
    try:
        seen = []
        for decoder in (SharedPrefixDecoder(model), PaddedDecoder(model, pad_id=0)):
            first = decoder.start(jobs, kept, 3)
            seen.append(torch.stack([first.flatten(0, 1), decoder.step(next_tokens)]))
    except Exception:  # an attention that does not take part fails in its own way
        return False
    return bool((seen[0] - seen[1]).abs().max() < _PROBE_TOLERANCE)
