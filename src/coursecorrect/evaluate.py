"""C2-Eval: items → prefills → paths → verdicts, in a run folder that resumes."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from coursecorrect import store
from coursecorrect.chat import ChatSettings, Thinking, decode, messages, render
from coursecorrect.data.builtin import items_hash, load_builtin
from coursecorrect.data.openers import OpenerSet, opener_for
from coursecorrect.data.readers import read_items
from coursecorrect.errors import UserError
from coursecorrect.generate.base import Generator, Job, Sampling, continuation_text
from coursecorrect.generate.base import Path as SampledPath
from coursecorrect.generate.openai import ServerSettings
from coursecorrect.judge.apart import judge_apart
from coursecorrect.judge.base import Judge
from coursecorrect.judge.setup import JudgeSettings
from coursecorrect.metrics.until import narrow_enough
from coursecorrect.models import LoadedModel, ModelSettings
from coursecorrect.prefill import (
    NO_PREFILL,
    OPENER_ONLY,
    Cuts,
    Prefill,
    Unit,
    build_prefill,
)
from coursecorrect.thought import Markers
from coursecorrect.types import Continuation, Item, ItemKind, Record, Verdict, content_id

PAPER_KS = (10, 20, 30, 40, 50, 60, 70, 80)
REFERENCE = {"unit": "words", "count_opener": True, "close_turn": True}
"""Where the paper's public code differs from the protocol ``strict``."""
_LATER = ("thinking", "thought", "until", "unit", "count_opener", "close_turn")


def _positive(ks: tuple[int, ...]) -> tuple[int, ...]:
    if not ks or min(ks) < 1:
        raise ValueError("give at least one k, each 1 or more")
    return tuple(sorted(set(ks)))


Ks = Annotated[tuple[int, ...], AfterValidator(_positive)]
"""Prefill lengths, ascending."""


class Thoughts(Record):
    """How the paths of a reasoning model are told apart; stands in ``run.json``."""

    markers: Markers
    bare: bool
    """A path without prefill begins within a thought."""
    prefilled: bool
    """So does one with a prefill."""

    def begin(self, k: int) -> bool:
        """Does a path at ``k`` begin within a thought?"""
        return self.bare if k == NO_PREFILL else self.prefilled


def thoughts_of(run: Mapping[str, Any]) -> Thoughts | None:
    """What ``run.json`` says of thoughts; None where they are not told apart."""
    return Thoughts.model_validate(run["thoughts"]) if "thoughts" in run else None


class EvalSettings(Record):
    """All that decides a measurement; recorded in ``run.json``."""

    model: ModelSettings = ModelSettings()
    generator: str = "hf"
    """What runs the model: hf (transformers), vllm (its engine, here) or openai (a server)."""
    server: ServerSettings = ServerSettings()
    data: str = "builtin"
    """builtin, a .jsonl or .parquet file, or a Hub data set such as PKU-Alignment/PKU-SafeRLHF."""
    split: Literal["dev", "locked"] = "locked"
    """Built-in items: dev for tuning, locked for figures that are reported."""
    ks: Ks = PAPER_KS
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
    thinking: Thinking = "none"
    """Where the prefill of a reasoning model stands: none (as the template writes a finished turn),
    before (without any thought before it), inside (in the thought) or after (a thought is closed
    first). Other than none, thought and answer are judged apart."""
    thought: str = ""
    """What the model has thought, with --thinking after; empty by default."""
    judge: str = "rules"
    """Which judge gives the verdicts; names joined by + vote."""
    judge_settings: JudgeSettings = JudgeSettings()
    protocol: Literal["strict", "reference", "both"] = Field(default="strict", exclude=True)
    """strict: true continuation. reference: as the paper's public code, which is --unit words
    --count-opener --close-turn. both: what each of the three differences is worth."""
    unit: Unit = "tokens"
    """What k counts: tokens of the model's own tokenizer, or words, which end at the same
    character for every model."""
    count_opener: bool = False
    """k counts the opener too."""
    close_turn: bool = False
    """Close the turn after the prefill and open a new one: no continuation, but what the paper's
    public code does with most chat templates."""
    until: float | None = Field(default=None, gt=0, lt=50)
    """Stop as soon as the 95 % interval of Corr_mean is ± this many points; items come in an order
    that their ids decide."""
    batch_rows: int = Field(default=160, ge=1)
    """Rows decoded together; decides which items share a batch."""

    @property
    def measured(self) -> str:
        """The name of the model that is measured; a served one has its own."""
        return self.server.served_model or self.model.model

    @model_validator(mode="before")
    @classmethod
    def _of_the_protocol(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("protocol") == "reference":
            return {**values, **REFERENCE}
        return values

    @field_validator("thought")
    @classmethod
    def _thought_before_the_prefill(cls, thought: str, info: ValidationInfo) -> str:
        if thought and info.data.get("thinking") != "after":
            raise ValueError("a thought is given with --thinking after only")
        return thought

    @field_validator("protocol")
    @classmethod
    def _both_closes_turns(cls, protocol: str, info: ValidationInfo) -> str:
        if protocol == "both" and info.data.get("thinking") != "none":
            raise ValueError("turns are closed with --thinking none only")
        return protocol

    @field_validator("close_turn")
    @classmethod
    def _thoughts_need_an_open_turn(cls, closed: bool, info: ValidationInfo) -> bool:
        if closed and info.data.get("thinking") != "none":
            raise ValueError("a turn is closed with --thinking none only")
        return closed

    @field_validator(*REFERENCE)
    @classmethod
    def _both_switches_itself(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("protocol") == "both" and value == REFERENCE[str(info.field_name)]:
            raise ValueError("--protocol both switches it by itself, so leave it out")
        return value

    @property
    def cuts(self) -> Cuts:
        """What k counts, and whether the turn stays open."""
        return Cuts(self.unit, self.count_opener, self.close_turn)

    @property
    def chat(self) -> ChatSettings:
        """How a request becomes a prompt."""
        return ChatSettings(self.system, self.template_args, self.thinking, self.thought)

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What came later is recorded only where it is used, so that older runs go on."""
        values: dict[str, Any] = dump(self)
        if self.generator == "hf":
            del values["generator"], values["server"]
        if values["judge_settings"] == JudgeSettings().model_dump():
            del values["judge_settings"]
        fields = type(self).model_fields
        for name in _LATER:
            if values[name] == fields[name].default:
                del values[name]
        return values


@dataclass(frozen=True)
class Point:
    """One item ready to be measured."""

    item: Item
    opener: str
    prefill: Prefill
    conversation: tuple[tuple[str, str], ...] = ()
    """Role and text of each message before the answer."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Every k with the anchors first."""
        return (NO_PREFILL, *self.prefill.ks)


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


def protocol_settings(settings: EvalSettings) -> dict[str, EvalSettings]:
    """The settings of ``strict``, of each single difference, and of ``reference``."""
    changes: dict[str, dict[str, Any]] = {name: {name: value} for name, value in REFERENCE.items()}
    every = {"strict": {}, **changes, "reference": REFERENCE}
    return {
        name: settings.model_copy(update={"protocol": "strict", **change})
        for name, change in every.items()
    }


def shared_items(
    variants: Mapping[str, EvalSettings], items: Sequence[Item], tokenizer: Any, judge: Judge
) -> tuple[list[Item], list[dict[str, str]]]:
    """The items that every protocol can measure, and what each leaves out with the reason."""
    excluded: list[dict[str, str]] = []
    for name, variant in variants.items():
        _, left_out = prepare(variant, items, tokenizer, judge)
        excluded += [{"protocol": name, **row} for row in left_out]
    gone = {row["item"] for row in excluded}
    if not (kept := [item for item in items if item.id not in gone]):
        raise UserError("no item is long enough for every protocol; give smaller --ks")
    return kept, excluded


def prepare(
    settings: EvalSettings, items: Sequence[Item], tokenizer: Any, judge: Judge
) -> tuple[list[Point], list[dict[str, str]]]:
    """Prefills of all usable items, and the items left out with the reason.

    Raises:
        TemplateError: the model's template does not truly continue a prefill.
    """
    turned = _already_turning(items, judge)
    points, excluded = [], []
    for item in items:
        if item.id in turned:
            excluded.append({"item": item.id, "kind": item.kind, "why": "answer turns away itself"})
            continue
        opener = opener_for(item.pair_key, settings.openers)
        prefill = build_prefill(
            tokenizer,
            settings.chat,
            request=item.request,
            opener=opener,
            answer=item.response,
            ks=(OPENER_ONLY, *settings.ks),
            cuts=settings.cuts,
        )
        if prefill is None:
            excluded.append({"item": item.id, "kind": item.kind, "why": "shorter than largest k"})
        else:
            said = messages(item.request, settings.system)
            conversation = tuple((m["role"], m["content"]) for m in said)
            points.append(Point(item, opener, prefill, conversation))
    if not points:
        raise UserError(
            f"no item of {settings.data} has {max(settings.ks)} {settings.unit}; give smaller --ks"
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
    # Not every judge names an onset.
    return {
        i.id
        for i, j in zip(harmful, judged, strict=True)
        if j.verdict is Verdict.CORRECTED or j.onset is not None
    }


def run_settings(
    settings: EvalSettings, loaded: LoadedModel, judge: Judge, points: Sequence[Point]
) -> dict[str, Any]:
    """What ``run.json`` holds: everything that decides the rows, and nothing about when."""
    return {
        "kind": "eval",
        "settings": settings.model_dump(mode="json"),
        "model_revision": loaded.revision,
        "model_dtype": str(getattr(loaded.model, "dtype", "")),
        "template_hash": content_id(str(loaded.tokenizer.chat_template)),
        "prompt_example": render(loaded.tokenizer, points[0].item.request, settings.chat),
        **_where_prefills_stand(settings, loaded.tokenizer, points),
        "boundary_merge": max(p.prefill.boundary_merge for p in points),
        "benchmark_hash": items_hash([p.item for p in points]),
        "judge": {"name": judge.name, "digest": judge.digest},
        "versions": {name: version(name) for name in _packages(settings)},
        "python": platform.python_version(),
    }


def _packages(settings: EvalSettings) -> tuple[str, ...]:
    """What decides the rows; vLLM as the distribution that is installed, with or without CUDA."""
    packages: tuple[str, ...] = ("coursecorrect", "torch", "transformers", "tokenizers")
    if settings.generator == "vllm":
        packages += tuple(sorted(set(packages_distributions()["vllm"])))
    return packages


def _where_prefills_stand(
    settings: EvalSettings, tokenizer: Any, points: Sequence[Point]
) -> dict[str, Any]:
    """Shown where it is not simply behind the prompt, between two tokens."""
    first = points[0].prefill
    found: dict[str, Any] = {}
    if first.turn.head != first.turn.prompt or settings.close_turn:
        found["prefilled_example"] = decode(tokenizer, first.start(max(first.ks)))
    if first.turn.markers is not None:
        found["thoughts"] = Thoughts(
            markers=first.turn.markers,
            bare=first.turn.thinks_at_once,
            prefilled=settings.thinking == "inside",
        ).model_dump()
    if settings.unit == "words" and not settings.close_turn:
        found["cuts_inside_tokens"] = sum(len(p.prefill.apart) for p in points)
    return found


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
    requests = {p.item.id: p.item.request for p in points}
    thoughts = thoughts_of(store.read_run(folder))

    def enough() -> bool:
        return settings.until is not None and narrow_enough(
            [keys[item] for item in harmful], [*harmful.values()], settings.until / 100
        )

    for rows in _all_rows(settings, points, generator, log, enough):
        judged = judge_rows(rows, requests, judge, thoughts)
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
    on_disk = _blocks(log.path)
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
            own.sort(key=lambda path: (path.k, path.index))
            rows = on_disk.get(point.item.id)
            if rows is None:
                rows = _path_rows(point, own, generator.tokenizer)
                log.append(rows)
            yield rows


def _blocks(path: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    if path.exists():
        for _, row in store.read_jsonl(path):
            found.setdefault(str(row["item"]), []).append(row)
    return found


def jobs_of(point: Point) -> list[Job]:
    """All lengths in one job; in one of its own what does not begin with the same ids.

    That is the bare prompt where a boundary merge keeps it out, and what is ``Prefill.apart``.
    """
    prefill = point.prefill
    bare = (NO_PREFILL, len(prefill.prompt_ids))
    lengths = tuple(prefill.lengths.items())
    if prefill.ids[: bare[1]] == prefill.prompt_ids:
        parts = [(prefill.ids, (bare, *lengths))]
    else:
        parts = [(prefill.prompt_ids, (bare,)), *([(prefill.ids, lengths)] if lengths else [])]
    parts += [(ids, ((k, len(ids)),)) for k, ids in prefill.apart.items()]
    return [Job(point.item.id, ids, ks, point.conversation, bare[1]) for ids, ks in parts]


def _path_rows(point: Point, paths: Sequence[SampledPath], tokenizer: Any) -> list[dict[str, Any]]:
    prefill, rows = point.prefill, []
    starts = {k: prefill.start(k) for k in prefill.ks} | {NO_PREFILL: prefill.prompt_ids}
    texts = {**prefill.texts, NO_PREFILL: ""}
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
    rows: Sequence[dict[str, Any]],
    requests: dict[str, str],
    judge: Judge,
    thoughts: Thoughts | None = None,
) -> list[dict[str, Any]]:
    """Verdict rows, in the order of the path rows and under their ids.

    With ``thoughts``, thought and answer are judged apart (``judge_apart``).
    """
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
    if thoughts is not None:
        begun = [thoughts.begin(row["k"]) for row in rows]
        return judge_apart(texts, thoughts.markers, begun, judge)
    return [
        {"id": text.id, **judged.model_dump(mode="json")}
        for text, judged in zip(texts, judge.judge(texts), strict=True)
    ]


def copy_paths(
    run: Path, folder: Path, judge: Judge, name: str, judge_settings: JudgeSettings
) -> None:
    """Begin in ``folder`` the measurement of the same paths by another judge.

    ``run.json`` then names that judge, and under ``items_chosen_by`` the one for whose verdict on
    their answers harmful items were left out.

    Raises:
        RunError: the folder holds another run.
    """
    recorded = store.read_run(run)
    settings = {**recorded["settings"], "judge": name}
    settings.pop("judge_settings", None)
    if judge_settings != JudgeSettings():
        settings["judge_settings"] = judge_settings.model_dump(mode="json")
    changed = {
        "settings": settings,
        "judge": {"name": judge.name, "digest": judge.digest},
        "items_chosen_by": recorded.get("items_chosen_by", recorded["judge"]),
    }
    store.open_run(folder, recorded | changed)
    for file in ("items.jsonl", "excluded.jsonl", "paths.jsonl"):
        with (run / file).open("rb") as source, store.replacing(folder / file) as copy:
            shutil.copyfileobj(source, copy)


def rejudge(folder: Path, judge: Judge, progress: Callable[[Progress], None]) -> None:
    """Judge all paths that a folder holds, and write the verdicts beside them."""
    requests = {
        str(r["id"]): str(r["request"]) for _, r in store.read_jsonl(folder / "items.jsonl")
    }
    blocks = _blocks(folder / "paths.jsonl")
    thoughts = thoughts_of(store.read_run(folder))
    state = Progress(0, len(blocks))
    verdicts: list[dict[str, Any]] = []
    for rows in blocks.values():
        judged = judge_rows(rows, requests, judge, thoughts)
        verdicts += judged
        _count(state, rows, judged)
        progress(state)
    store.write_jsonl(verdict_path(folder, judge.name), verdicts)


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
