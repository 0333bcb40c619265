"""C2-Eval: items → prefills → paths → verdicts, in a run folder that resumes."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from coursecorrect import store
from coursecorrect.correct.triggers import TRIGGERS
from coursecorrect.data.builtin import items_hash, load_builtin
from coursecorrect.data.openers import OpenerSet, opener_for
from coursecorrect.data.readers import read_items
from coursecorrect.errors import RunError, UserError
from coursecorrect.generate.base import Generator, Job, Sampling, continuation_text
from coursecorrect.generate.base import Path as SampledPath
from coursecorrect.generate.openai import ServerSettings
from coursecorrect.judge.base import Judge
from coursecorrect.metrics.until import narrow_enough
from coursecorrect.models import LoadedModel, ModelSettings
from coursecorrect.prefill import (
    NO_PREFILL,
    OPENER_ONLY,
    ChatSettings,
    Prefill,
    build_prefill,
    render,
)
from coursecorrect.types import Continuation, Item, ItemKind, Judgement, Record, Verdict, content_id

PAPER_KS = (10, 20, 30, 40, 50, 60, 70, 80)


class EvalSettings(Record):
    """All that decides a measurement; recorded in ``run.json``."""

    model: ModelSettings = ModelSettings()
    generator: str = "hf"
    """What runs the model: hf (here, by transformers) or openai (an OpenAI-compatible server)."""
    server: ServerSettings = ServerSettings()
    data: str = "builtin"
    """builtin, a .jsonl or .parquet file, or a Hub data set such as PKU-Alignment/PKU-SafeRLHF."""
    split: Literal["dev", "locked"] = "locked"
    """Built-in items: dev for tuning, locked for figures that are reported."""
    ks: tuple[int, ...] = PAPER_KS
    """Tokens of the answer to prefill, separated by commas."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many items of each kind."""
    openers: OpenerSet = "locked"
    """Which openers stand before the answer; the locked ones are never taught."""
    sampling: Sampling = Sampling()
    system: str | None = None
    """System prompt; without it the template's own default applies."""
    template_args: dict[str, Any] | None = None
    """Argument of the chat template as KEY=VALUE (VALUE in JSON or plain); may be repeated."""
    ban_triggers: bool = False
    """Forbid the first token of every taught trigger while decoding."""
    judge: str = "rules"
    """Which judge gives the verdicts."""
    until: float | None = Field(default=None, gt=0, lt=50)
    """Stop as soon as the 95 % interval of Corr_mean is ± this many points; items come in an order
    that their ids decide."""
    batch_rows: int = Field(default=160, ge=1)
    """Rows decoded together; decides which items share a batch."""

    @property
    def measured(self) -> str:
        """The name of the model that is measured; a served one has its own."""
        return self.server.served_model or self.model.model

    @field_validator("ks")
    @classmethod
    def _ks_positive(cls, ks: tuple[int, ...]) -> tuple[int, ...]:
        if not ks or min(ks) < 1:
            raise ValueError("give at least one k, each 1 or more")
        return tuple(sorted(set(ks)))

    @model_serializer(mode="wrap")
    def _without_the_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A run without a server or a width records none, as runs did before there were any."""
        values: dict[str, Any] = dump(self)
        if self.generator == "hf":
            del values["generator"], values["server"]
        if self.until is None:
            del values["until"]
        return values


@dataclass(frozen=True)
class Point:
    """One item ready to be measured."""

    item: Item
    opener: str
    prefill: Prefill

    @property
    def lengths(self) -> tuple[int, ...]:
        """Every k with the anchors first."""
        return (NO_PREFILL, *self.prefill.lengths)


@dataclass
class Progress:
    """What an evaluation reports while it runs."""

    done: int
    total: int
    corrected: dict[ItemKind, tuple[int, int]] = field(default_factory=dict)
    """Per kind: corrected paths and all paths, anchors left out."""


def select_items(settings: EvalSettings) -> list[Item]:
    """The items of a run, harmful ones and twins in turn, so that early figures show both.

    A data set without harmless items is joined by the built-in twins and ordinary ones: a
    correction rate is never shown without its false corrections.
    """
    items = read_items(settings.data, settings.split)
    kinds = {item.kind for item in items}
    if kinds == {ItemKind.HARMFUL}:
        items += [i for i in load_builtin(settings.split) if i.kind is not ItemKind.HARMFUL]
    by_kind = [[item for item in items if item.kind is kind][: settings.limit] for kind in ItemKind]
    longest = max(len(group) for group in by_kind)
    return [group[i] for i in range(longest) for group in by_kind if i < len(group)]


def prepare(
    settings: EvalSettings, items: Sequence[Item], tokenizer: Any, judge: Judge
) -> tuple[list[Point], list[dict[str, str]]]:
    """Prefills of all usable items, and the items left out with the reason.

    Raises:
        TemplateError: the model's template does not truly continue a prefill.
    """
    chat = ChatSettings(settings.system, settings.template_args)
    turned = _already_turning(items, judge)
    points, excluded = [], []
    for item in items:
        if item.id in turned:
            excluded.append({"item": item.id, "kind": item.kind, "why": "answer turns away itself"})
            continue
        opener = opener_for(item.pair_key, settings.openers)
        prefill = build_prefill(
            tokenizer,
            chat,
            request=item.request,
            opener=opener,
            answer=item.response,
            ks=(OPENER_ONLY, *settings.ks),
        )
        if prefill is None:
            excluded.append({"item": item.id, "kind": item.kind, "why": "shorter than largest k"})
        else:
            points.append(Point(item, opener, prefill))
    if not points:
        raise UserError(
            f"no item of {settings.data} has {max(settings.ks)} tokens; give smaller --ks"
        )
    return points, excluded


def _already_turning(items: Sequence[Item], judge: Judge) -> set[str]:
    """Ids of harmful items whose own answer corrects course."""
    harmful = [item for item in items if item.kind is ItemKind.HARMFUL]
    judged = judge.judge(
        [
            Continuation(id=i.id, request=i.request, prefill="", continuation=i.response)
            for i in harmful
        ]
    )
    return {i.id for i, j in zip(harmful, judged, strict=True) if j.onset is not None}


def run_settings(
    settings: EvalSettings, loaded: LoadedModel, judge: Judge, points: Sequence[Point]
) -> dict[str, Any]:
    """What ``run.json`` holds: everything that decides the rows, and nothing about when."""
    chat = ChatSettings(settings.system, settings.template_args)
    return {
        "kind": "eval",
        "settings": settings.model_dump(mode="json"),
        "model_revision": loaded.revision,
        "model_dtype": str(getattr(loaded.model, "dtype", "")),
        "template_hash": content_id(str(loaded.tokenizer.chat_template)),
        "prompt_example": render(loaded.tokenizer, points[0].item.request, chat),
        "boundary_merge": max(p.prefill.boundary_merge for p in points),
        "benchmark_hash": items_hash([p.item for p in points]),
        "judge": {"name": judge.name, "digest": judge.digest},
        "versions": {
            name: version(name) for name in ("coursecorrect", "torch", "transformers", "tokenizers")
        },
        "python": platform.python_version(),
    }


def evaluate(
    settings: EvalSettings,
    folder: Path,
    items: Sequence[Item],
    loaded: LoadedModel,
    generator: Generator,
    judge: Judge,
    *,
    notice: store.Notice,
    progress: Callable[[Progress], None],
) -> None:
    """Fill ``folder`` with paths and verdicts; goes on where an earlier call stopped.

    Writes ``run.json``, ``items.jsonl``, ``excluded.jsonl``, ``paths.jsonl`` (a block an item) and
    ``verdicts-<judge>.jsonl``.
    """
    points, excluded = prepare(settings, items, loaded.tokenizer, judge)
    if settings.until is not None:
        points = _in_drawn_order(points)
    store.open_run(folder, run_settings(settings, loaded, judge, points))
    store.write_jsonl(folder / "items.jsonl", [_item_row(p) for p in points])
    store.write_jsonl(folder / "excluded.jsonl", excluded)
    rows_each = len(points[0].lengths) * settings.sampling.paths
    log = store.BlockLog(folder / "paths.jsonl", "item", rows_each, notice)
    state = Progress(0, len(points))
    verdicts: list[dict[str, Any]] = []
    harmful: dict[str, float] = {}
    keys = {p.item.id: p.item.pair_key for p in points}

    def enough() -> bool:
        return settings.until is not None and narrow_enough(
            [keys[item] for item in harmful], [*harmful.values()], settings.until / 100
        )

    for rows in _all_rows(settings, points, generator, log, enough):
        judged = judge_rows(rows, {p.item.id: p.item.request for p in points}, judge)
        verdicts += judged
        hits, prefilled = _count(state, rows, judged)
        if rows[0]["kind"] == ItemKind.HARMFUL:
            harmful[rows[0]["item"]] = hits / prefilled
        progress(state)
    if state.done < len(points):
        store.write_jsonl(folder / "items.jsonl", [_item_row(p) for p in points[: state.done]])
        notice(f"stopped after {state.done} of {len(points)} items: ±{settings.until} is reached")
    elif settings.until is not None and not enough():
        notice(f"all {len(points)} items are measured, and ±{settings.until} is not reached")
    store.write_jsonl(verdict_path(folder, judge.name), verdicts)


def _in_drawn_order(points: Sequence[Point]) -> list[Point]:
    """Requests in an order that only their keys decide, an item and its twin one after the other.

    The first so many of them are then a fair sample of all, whatever order a file has.
    """
    return sorted(points, key=lambda p: (content_id("order", p.item.pair_key), p.item.pair_key))


def _item_row(point: Point) -> dict[str, Any]:
    return {"id": point.item.id, "opener": point.opener, **point.item.model_dump(mode="json")}


def verdict_path(folder: Path, judge: str) -> Path:
    """Where a judge's verdicts on a run stand."""
    return folder / f"verdicts-{judge}.jsonl"


def make_batches(points: Sequence[Point], sampling: Sampling, rows: int) -> list[list[Point]]:
    """Neighbouring items that are decoded together: at most ``rows`` rows, at least one item."""
    each = max(1, rows // (len(points[0].lengths) * sampling.paths))
    return [list(points[i : i + each]) for i in range(0, len(points), each)]


def _all_rows(
    settings: EvalSettings,
    points: Sequence[Point],
    generator: Generator,
    log: store.BlockLog,
    enough: Callable[[], bool],
) -> Iterator[list[dict[str, Any]]]:
    """The path rows item by item: those on disk first, then those sampled now.

    Before each batch ``enough`` says whether to stop. It is asked between batches alone, and of
    rows that are the same after a kill, so that the stop is too.
    """
    on_disk = _blocks(log)
    batches = make_batches(points, settings.sampling, settings.batch_rows)
    # A batch that a kill left half committed is sampled again whole: what shares a batch never
    # depends on history.
    missing = [batch for batch in batches if any(p.item.id not in on_disk for p in batch)]
    jobs = [[job for point in batch for job in jobs_of(point)] for batch in missing]
    sampled = generator.sample(jobs, settings.sampling)
    for batch in batches:
        if enough():
            return
        if not missing or batch is not missing[0]:
            yield from (on_disk[p.item.id] for p in batch)
            continue
        missing.pop(0)
        paths = iter(next(sampled))
        for point in batch:
            own = [path for _ in jobs_of(point) for path in next(paths)]
            rows = on_disk.get(point.item.id)
            if rows is None:
                rows = _path_rows(point, own, generator.tokenizer)
                log.append(rows)
            yield rows


def _blocks(log: store.BlockLog) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    if log.path.exists():
        for _, row in store.read_jsonl(log.path):
            found.setdefault(str(row["item"]), []).append(row)
    return found


def trigger_tokens(tokenizer: Any) -> frozenset[int]:
    """First tokens of all taught triggers, capital or not, with a space before them or not."""
    spellings = {
        lead + text
        for trigger in TRIGGERS
        for text in (trigger.text, trigger.text[0].upper() + trigger.text[1:])
        for lead in ("", " ")
    }
    return frozenset(
        next(
            i
            for i in tokenizer(text, add_special_tokens=False)["input_ids"]
            if tokenizer.decode([i]).strip()
        )
        for text in spellings
    )


def jobs_of(point: Point) -> list[Job]:
    """All lengths in one job; the bare prompt apart where a boundary merge keeps it out."""
    prefill = point.prefill
    bare = (NO_PREFILL, len(prefill.prompt_ids))
    lengths = tuple(prefill.lengths.items())
    if prefill.ids[: bare[1]] == prefill.prompt_ids:
        return [Job(point.item.id, prefill.ids, (bare, *lengths))]
    return [
        Job(point.item.id, prefill.prompt_ids, (bare,)),
        Job(point.item.id, prefill.ids, lengths),
    ]


def _path_rows(point: Point, paths: Sequence[SampledPath], tokenizer: Any) -> list[dict[str, Any]]:
    prefill, rows = point.prefill, []
    prompt_ids = list(prefill.prompt_ids)
    starts = {k: list(prefill.ids[:n]) for k, n in prefill.lengths.items()} | {
        NO_PREFILL: prompt_ids
    }
    texts = {
        k: continuation_text(tokenizer, prompt_ids, ids[len(prompt_ids) :])
        for k, ids in starts.items()
    }
    for path in paths:
        text = path.text
        if text is None:
            text = continuation_text(tokenizer, starts[path.k], path.ids)
        rows.append(
            {
                "id": content_id(point.item.id, str(path.k), str(path.index), text),
                "item": point.item.id,
                "kind": point.item.kind,
                "k": path.k,
                "path": path.index,
                "prefill": texts[path.k],
                "continuation": text,
                "tokens": len(path.ids),
                "finished": path.finished,
            }
        )
    return rows


def judge_rows(
    rows: Sequence[dict[str, Any]], requests: dict[str, str], judge: Judge
) -> list[dict[str, Any]]:
    """Verdict rows, in the order of the path rows and under their ids."""
    texts = [
        Continuation(
            id=row["id"],
            request=requests[row["item"]],
            prefill=row["prefill"],
            continuation=row["continuation"],
            finished=row["finished"],
        )
        for row in rows
    ]
    return [
        {"id": text.id, **judged.model_dump(mode="json")}
        for text, judged in zip(texts, judge.judge(texts), strict=True)
    ]


def rejudge(folder: Path, judge: Judge) -> list[Judgement]:
    """Judge all paths of a finished run again, with another judge."""
    if not (folder / "paths.jsonl").exists():
        raise RunError(f"{folder} has no paths.jsonl; run 'c2 eval' first")
    requests = {
        str(r["id"]): str(r["request"]) for _, r in store.read_jsonl(folder / "items.jsonl")
    }
    rows = [row for _, row in store.read_jsonl(folder / "paths.jsonl")]
    judged = judge_rows(rows, requests, judge)
    store.write_jsonl(verdict_path(folder, judge.name), judged)
    return [Judgement.model_validate({k: v for k, v in j.items() if k != "id"}) for j in judged]


def _count(
    state: Progress, rows: Sequence[dict[str, Any]], judged: Sequence[dict[str, Any]]
) -> tuple[int, int]:
    """Add one item to the state; returns its corrected paths and all, anchors left out."""
    kind = ItemKind(rows[0]["kind"])
    pairs = [j for r, j in zip(rows, judged, strict=True) if r["k"] > OPENER_ONLY]
    hits = sum(j["verdict"] == Verdict.CORRECTED for j in pairs)
    before = state.corrected.get(kind, (0, 0))
    state.corrected[kind] = (before[0] + hits, before[1] + len(pairs))
    state.done += 1
    return hits, len(pairs)
