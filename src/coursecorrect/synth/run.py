"""A whole data set: seeds into shards, shards into groups and pairs, and what was made of how many.

The folder reads as a Hugging Face data set as it is (``README.md`` names its files).
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from coursecorrect import store
from coursecorrect.data.builtin import items_hash, load_builtin
from coursecorrect.errors import DataError
from coursecorrect.judge import Judge, get_judge
from coursecorrect.synth.card import data_card
from coursecorrect.synth.contamination import Benchmark, load_benchmark
from coursecorrect.synth.engines import Engine, here
from coursecorrect.synth.filters import SeedSettings
from coursecorrect.synth.seeds import Rejected, TurnsAway, gather_seeds
from coursecorrect.synth.settings import SynthSettings
from coursecorrect.synth.shards import SPLITS, Layout, ShardMaker, Tools, write_seeds
from coursecorrect.types import Continuation, Item, ItemKind, RankedGroup, Verdict

SUMMED = ("seeds", "groups", "harmful_groups", "pairs", "validation_pairs")
CANARY = "coursecorrect canary 6d0c8b1e-54f7-4f7e-9d39-1f0a2f8f4c11"
"""Stands in the card and in every Parquet file: a corpus that holds it holds this data."""


def synthesize(
    settings: SynthSettings,
    folder: Path,
    tools: Callable[[], Tools],
    *,
    engine: Engine = here,
    notice: store.Notice,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Fill ``folder`` with groups and pairs; goes on where an earlier call stopped.

    Args:
        settings: all that decides the data.
        folder: of the data set.
        tools: builds corrector, judge and generator; called in every process that makes shards.
        engine: who makes the shards; it decides nothing that is written.
        notice: told what matters but stops nothing.
        progress: called with the seeds that are done and those known so far.

    Returns:
        The counts, which stand in ``counts.json`` too.
    """
    mine = tools()
    benchmark = load_benchmark(settings.seeds.benchmark, settings.seeds.overlap)
    seed_judge = get_judge(settings.seed_judge)
    recorded = _run_settings(settings, mine, seed_judge, benchmark)
    store.open_run(folder, recorded)
    if settings.audit:
        benchmark = Benchmark((), settings.seeds.overlap)
    maker = ShardMaker(settings, folder, tools, _stamp(recorded), mine)
    meter = _Meter(progress)
    maker.tick = meter.within
    shards = meter.known(seed_shards(settings, folder, benchmark, seed_judge))
    for counts in engine(maker, shards):
        meter.finished(counts["seeds"])
    _clear_scratch(folder)
    counts = _counts(folder)
    store.write_text(folder / "counts.json", store.dumps(counts) + "\n")
    if not counts["groups"]:
        raise DataError(f"no group was kept; the reasons are in {folder}/rejected")
    splits = [split for split in SPLITS if any(folder.glob(f"data/{split}-*.parquet"))]
    store.write_text(folder / "README.md", data_card(settings, counts, recorded, splits))
    return counts


def _clear_scratch(folder: Path) -> None:
    """What killed processes were writing; each that lives writes under a name of its own."""
    for path in folder.glob("*/*.tmp"):
        path.unlink(missing_ok=True)


class _Meter:
    """Seeds that are done, of those that are known so far: shards are made while seeds are read."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self._done = self._total = 0

    def known(self, shards: Iterator[tuple[int, int]]) -> Iterator[int]:
        for shard, seeds in shards:
            self._total += seeds
            yield shard

    def within(self, done: int) -> None:
        """Seeds of the present shard that are done, where this process makes it."""
        self._progress(self._done + done, self._total)

    def finished(self, seeds: int) -> None:
        self._done += seeds
        self._progress(self._done, self._total)


def seed_shards(
    settings: SynthSettings, folder: Path, benchmark: Benchmark, judge: Judge
) -> Iterator[tuple[int, int]]:
    """Write the seeds of each shard as soon as they are read; yields its number and size."""
    layout = Layout(folder)
    index = folder / "seeds" / "counts.json"
    if index.exists():  # all were read by an earlier call
        yield from enumerate(orjson.loads(index.read_bytes())["shards"])
        return
    sizes: list[int] = []
    reasons: Counter[str] = Counter()
    first: Rejected | None = None
    block: list[Item] = []
    with store.replacing(layout.rejected_seeds) as rejects:
        for outcome in _seeds(settings, benchmark, judge):
            if isinstance(outcome, Rejected):
                rejects.write(orjson.dumps(outcome.model_dump()) + b"\n")
                reasons[outcome.why.split(":")[0]] += 1
                first = first or outcome
                continue
            block.append(outcome)
            if len(block) == settings.shard_size:
                yield _write_shard(layout, sizes, block)
                block = []
    if block:
        yield _write_shard(layout, sizes, block)
    if not sizes and first is not None:
        raise DataError(
            f"no row of {settings.data} can be a seed; the first: {first.where}: {first.why}; "
            f"all reasons are in {layout.rejected_seeds}"
        )
    found = {"shards": sizes, "rejected": dict(sorted(reasons.items()))}
    store.write_text(index, store.dumps(found) + "\n")


def _seeds(
    settings: SynthSettings, benchmark: Benchmark, judge: Judge
) -> Iterator[Item | Rejected]:
    """The seeds of the source; where all are harmful, the built-in harmless ones join them."""
    kept: Counter[ItemKind] = Counter()
    kinds = tuple(ItemKind) if settings.benign else (ItemKind.HARMFUL,)
    limit = settings.limit or sys.maxsize
    sources = [gather_seeds(settings.data, settings.seeds, benchmark, _turning(settings, judge))]
    if settings.benign and settings.data != "builtin":
        sources.append(gather_seeds("builtin", SeedSettings(), benchmark))
    for number, source in enumerate(sources):
        if number and kept.keys() != {ItemKind.HARMFUL}:  # own harmless rows, or no row at all
            return
        for outcome in source:
            if isinstance(outcome, Rejected):
                if not number:
                    yield outcome
            elif outcome.kind in kinds[number > 0 :] and kept[outcome.kind] < limit:
                kept[outcome.kind] += 1
                yield outcome
            if all(kept[kind] >= limit for kind in kinds):
                return


def _turning(settings: SynthSettings, judge: Judge) -> TurnsAway | None:
    """None for the built-in answers, which were read one by one."""
    if settings.data == "builtin":
        return None

    def turns_away(items: Sequence[Item]) -> list[bool]:
        texts = [
            Continuation(id=i.id, request=i.request, prefill="", continuation=i.response)
            for i in items
        ]
        return [found.verdict is Verdict.CORRECTED for found in judge.judge(texts)]

    return turns_away


def _write_shard(layout: Layout, sizes: list[int], items: list[Item]) -> tuple[int, int]:
    number = len(sizes)
    write_seeds(layout.seeds(number), items)
    sizes.append(len(items))
    return number, len(items)


def _run_settings(
    settings: SynthSettings, tools: Tools, seed_judge: Judge, benchmark: Benchmark
) -> dict[str, Any]:
    own = tools.own
    return {
        "kind": "synth",
        "settings": settings.model_dump(mode="json"),
        "seeds_hash": source_hash(settings.data),
        "benchmark_hash": benchmark.hash,
        "canary": CANARY,
        "audit": settings.audit,
        "corrector": {"name": tools.corrector.name, "digest": tools.corrector.digest},
        "seed_judge": {"name": seed_judge.name, "digest": seed_judge.digest},
        "judge": {"name": tools.judge.name, "digest": tools.judge.digest},
        "generator": own and {"name": own.name, "digest": own.digest},
        "versions": {"coursecorrect": version("coursecorrect")},
    }


def source_hash(source: str) -> str:
    """Digest of a file's bytes or of the built-in items; the name of a data set of the Hub."""
    if source == "builtin":
        return items_hash(load_builtin("teach"))
    path = Path(source).expanduser()
    if not path.is_file():
        return source
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _stamp(recorded: dict[str, Any]) -> dict[str, str]:
    """What travels with every file, if the folder does not."""
    return {
        "coursecorrect": store.dumps(
            {name: recorded[name] for name in ("canary", "benchmark_hash", "audit")}
        )
    }


def _counts(folder: Path) -> dict[str, Any]:
    """The sums over all shards, and the seeds that were left out before."""
    index = orjson.loads((folder / "seeds" / "counts.json").read_bytes())
    markers = [Layout(folder).marker(number) for number in range(len(index["shards"]))]
    made = [orjson.loads(path.read_bytes()) for path in markers]
    rejected = Counter(index["rejected"])
    for counts in made:
        rejected.update(counts["rejected"])
    sums = {name: sum(counts[name] for counts in made) for name in SUMMED}
    return {
        "seeds": sums["seeds"] + sum(index["rejected"].values()),
        **{name: sums[name] for name in SUMMED[1:]},
        "rejected": dict(sorted(rejected.items())),
    }


def read_groups(folder: Path) -> list[RankedGroup]:
    """The ranked groups of a synthesis folder."""
    return [
        RankedGroup.model_validate(row)
        for path in sorted((folder / "groups").glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
