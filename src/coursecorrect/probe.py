"""The sampling-free view: one forward pass an item, the next token's distribution everywhere.

Along the written answer, at every position: how much mass lies on words that would change course,
how far up the best of them ranks, how sure the model is, and how likely the answer itself is. So
an effect of training shows before it is large enough to be sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from coursecorrect import store
from coursecorrect.correct.openings import OPENINGS, first_tokens, trigger_tokens
from coursecorrect.data.builtin import items_hash
from coursecorrect.data.openers import OpenerSet
from coursecorrect.errors import UserError
from coursecorrect.evaluate import EvalSettings, Point, prepare
from coursecorrect.judge.base import Judge
from coursecorrect.models import LoadedModel, ModelSettings
from coursecorrect.types import Item, Record

if TYPE_CHECKING:
    from torch import Tensor

PROBE_ROWS = "probe.jsonl"
_DIGITS = 6


class ProbeSettings(Record):
    """All that decides a probe; recorded in ``run.json``."""

    model: ModelSettings = ModelSettings()
    against: str | None = None
    """A second model to compare with, such as the one before training."""
    data: str = "builtin"
    """builtin, a .jsonl or .parquet file, or a Hub data set such as PKU-Alignment/PKU-SafeRLHF."""
    split: Literal["dev", "locked"] = "dev"
    """Built-in items: dev for tuning, locked for figures that are reported."""
    tokens: int = Field(default=80, ge=1)
    """Tokens of the answer to look along; shorter answers are left out."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many items of each kind."""
    openers: OpenerSet = "locked"
    """Which openers stand before the answer; the locked ones are never taught."""
    system: str | None = None
    """System prompt; without it the template's own default applies."""
    template_args: dict[str, Any] | None = None
    """Argument of the chat template as KEY=VALUE (VALUE in JSON or plain); may be repeated."""

    @property
    def names(self) -> dict[str, str]:
        """The two sides by name, the one to compare with first."""
        other = {} if self.against is None else {"against": self.against}
        return {**other, "model": self.model.model}

    @property
    def measured(self) -> EvalSettings:
        """The measurement whose prefills are looked at."""
        return EvalSettings(
            model=self.model,
            data=self.data,
            split=self.split,
            ks=(self.tokens,),
            limit=self.limit,
            openers=self.openers,
            system=self.system,
            template_args=self.template_args,
        )


def probe(
    settings: ProbeSettings,
    folder: Path,
    items: Sequence[Item],
    loaded: LoadedModel,
    against: LoadedModel | None,
    judge: Judge,
    *,
    notice: store.Notice,
    progress: Callable[[int, int], None],
) -> list[dict[str, Any]]:
    """Fill ``folder`` with one row an item; goes on where an earlier call stopped.

    Raises:
        UserError: the two models have different tokens, so that no distribution can be compared.
    """
    if against is not None:
        same_tokens(loaded, against)
    points, excluded = prepare(settings.measured, items, loaded.tokenizer, judge)
    store.open_run(folder, _run_settings(settings, loaded, against, points))
    store.write_jsonl(folder / "excluded.jsonl", excluded)
    log = store.BlockLog(folder / PROBE_ROWS, "item", 1, notice)
    watched = _watched(loaded.tokenizer)
    for done, point in enumerate(points, 1):
        if point.item.id not in log.done:
            log.append([_row(point, loaded.model, against and against.model, watched)])
        progress(done, len(points))
    return [row for _, row in store.read_jsonl(log.path)]


def same_tokens(loaded: LoadedModel, against: LoadedModel) -> None:
    """Check that two models, or their tokenizers alone, have the same tokens.

    Raises:
        UserError: they have not.
    """
    if loaded.tokenizer.get_vocab() != against.tokenizer.get_vocab():
        raise UserError(
            f"{loaded.name} and {against.name} have different tokens: their distributions cannot "
            "be compared; leave --against out and probe each by itself"
        )


def _run_settings(
    settings: ProbeSettings,
    loaded: LoadedModel,
    against: LoadedModel | None,
    points: Sequence[Point],
) -> dict[str, Any]:
    return {
        "kind": "probe",
        "settings": settings.model_dump(mode="json"),
        "model_revision": loaded.revision,
        "against_revision": against and against.revision,
        "model_dtype": str(loaded.model.dtype),
        "benchmark_hash": items_hash([p.item for p in points]),
    }


def _watched(tokenizer: Any) -> dict[str, list[int]]:
    """Token ids by name: the taught triggers, and words that turn away but are not taught."""
    taught = trigger_tokens(tokenizer)
    return {"taught": sorted(taught), "other": sorted(first_tokens(tokenizer, OPENINGS) - taught)}


def _row(
    point: Point, model: Any, against: Any | None, watched: dict[str, list[int]]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "item": point.item.id,
        "kind": point.item.kind,
        "pair_key": point.item.pair_key,
    }
    found = log_probs_along(model, point)
    row["model"] = _view(found, point, watched)
    if against is not None:
        other = log_probs_along(against, point)
        row["against"] = _view(other, point, watched)
        opener = _opener_length(point)
        divergence = (found.exp() * (found - other)).sum(-1)
        row["kl"] = _rounded(divergence[opener:])
    return row


def log_probs_along(model: Any, point: Point) -> Tensor:
    """(opener tokens + answer tokens + 1, vocabulary), float32: the next token after each.

    The first row stands after the prompt alone.
    """
    import torch  # late: the command line asks this module for its settings alone

    start = len(point.prefill.prompt_ids)
    with torch.inference_mode():
        ids = torch.tensor([point.prefill.ids], device=model.device)
        logits: Tensor = model(ids).logits[0, start - 1 :].float()
        return logits.log_softmax(-1)


def _opener_length(point: Point) -> int:
    return point.prefill.lengths[0] - len(point.prefill.prompt_ids)


def _view(log_probs: Tensor, point: Point, watched: dict[str, list[int]]) -> dict[str, Any]:
    """The figures of one model; all lists but the last two begin after the opener alone."""
    opener = _opener_length(point)
    ids = log_probs.new_tensor(point.prefill.ids[len(point.prefill.prompt_ids) :]).long()
    of_text = log_probs[:-1].gather(1, ids[:, None])  # (opener + answer, 1)
    ranks = 1 + (log_probs[:-1] > of_text).sum(-1)
    along = log_probs[opener:]
    opening_ids = sorted({i for ids_ in watched.values() for i in ids_})
    best = along[:, opening_ids].max(-1, keepdim=True).values
    return {
        **{
            f"{name}_mass": _rounded(along[:, ids_].exp().sum(-1)) for name, ids_ in watched.items()
        },
        "best_rank": (1 + (along > best).sum(-1)).tolist(),
        "entropy": _rounded(-(along.exp() * along).sum(-1)),
        "log_p_opener": round(float(of_text[:opener].sum()), _DIGITS),
        "log_p": _rounded(of_text[opener:, 0]),
        "rank": ranks[opener:].tolist(),
    }


def _rounded(values: Tensor) -> list[float]:
    return [round(v, _DIGITS) for v in values.tolist()]
