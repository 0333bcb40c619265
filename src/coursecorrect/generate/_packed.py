"""Linear layers with their weights laid out once for the processor, for float32 decoding on a CPU.

A decode step multiplies few rows with every weight. ``torch.nn.functional.linear`` lays the weights
out anew at each call; oneDNN can be handed them ready (what that gains: ``docs/benchmarks.md``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

MAX_BYTES = 2 * 2**30
"""Weights that are packed at most: the packed ones are a second copy in memory."""


class PackedLinears:
    """The linear layers of a model in oneDNN's layout: a second copy of their weights.

    Made for a frozen model: later changes of its weights are not seen.
    """

    def __init__(self, model: nn.Module, rows: int) -> None:
        """``rows``: how many rows are usually multiplied together; decides the layout."""
        packed: dict[int, Tensor] = {}  # tied weights are packed once
        self.forwards: list[tuple[nn.Linear, Any]] = []
        for layer in _plain_linears(model):
            key = layer.weight.data_ptr()
            if key not in packed:
                packed[key] = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
            self.forwards.append((layer, _forward(packed[key], layer.bias)))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Inside, the model computes with the packed weights."""
        for layer, forward in self.forwards:
            layer.forward = forward  # type: ignore[method-assign]
        try:
            yield
        finally:
            for layer, _ in self.forwards:
                del layer.forward


def _forward(weight: Tensor, bias: Tensor | None) -> Any:
    def forward(x: Tensor) -> Any:
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    return forward


def _plain_linears(model: nn.Module) -> list[nn.Linear]:
    """Without subclasses and layers that others have patched: those do something else."""
    return [m for m in model.modules() if type(m) is nn.Linear and "forward" not in vars(m)]


def can_pack(model: nn.Module) -> bool:
    """Float32 weights on a CPU, of at most ``MAX_BYTES``, with a PyTorch that has oneDNN."""
    weights = {layer.weight.data_ptr(): layer.weight for layer in _plain_linears(model)}.values()
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and 0 < sum(w.numel() * w.element_size() for w in weights) <= MAX_BYTES
        and all(w.device.type == "cpu" and w.dtype == torch.float32 for w in weights)
    )
