"""C2-Syn at full size: 50,000 seeds into 750,000 verified pairs, through all of ``c2 synth``.

    python benchmarks/synth_scale.py            # 5,000 and 50,000 seeds
    python benchmarks/synth_scale.py --quick    # 5,000 alone

The seeds are shuffled sentences of the built-in teaching answers (100 to 200 words, no two much
alike), so the text is real and the sizes are those of the paper; what they mean does not matter
here. ``c2 synth`` is timed as a whole process, its start and the reading back by ``datasets``
included, and its memory is that of all its processes (shared pages counted once).

The peer is the straightforward way, on 5,000 seeds in the same run: one Python loop over the same
corrector and judges, one group at a time, ``json.dumps`` lines, ``datasets`` from a list. It finds
no near duplicates and no shared runs of words, which favours it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import datasets
import psutil
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from coursecorrect.correct import get_corrector
from coursecorrect.cut import CutError, growing_cuts
from coursecorrect.data.builtin import load_builtin
from coursecorrect.data.readers import item_from_row
from coursecorrect.judge import get_judge
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.contamination import load_benchmark
from coursecorrect.synth.filters import SeedSettings
from coursecorrect.synth.groups import GroupMaker
from coursecorrect.synth.pairs import pair_table, pairs_of
from coursecorrect.synth.run import read_groups
from coursecorrect.synth.seeds import gather_seeds
from coursecorrect.synth.shards import write_parquet
from coursecorrect.types import Continuation, Item, ItemKind, RankedGroup, Verdict

SMALL, FULL = 5_000, 50_000
BENCHMARK_ITEMS = 500
console = Console()


def write_seeds(path: Path, n: int) -> None:
    """``n`` rows of request and response, each response of 100 to 200 words."""
    rng = random.Random(0)
    items = [item for item in load_builtin("teach") if item.kind is ItemKind.HARMFUL]
    sentences = [s for item in items for s in item.response.split(". ") if len(s.split()) > 4]
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            first, second = rng.sample(items, 2)
            words, body = rng.randint(100, 185), []
            while sum(len(s.split()) for s in body) < words:
                body.append(rng.choice(sentences).rstrip("."))
            row = {
                "request": f"{first.request} Case {number}: {second.request}",
                "response": ". ".join(body) + ".",
                "category": first.category,
            }
            file.write(json.dumps(row) + "\n")


def write_benchmark(path: Path, n: int) -> None:
    """More items that must not be taught, so that seeds are compared with ``n`` in all."""
    built_in = len(load_builtin("dev")) + len(load_builtin("locked"))
    rows = [
        {"request": f"Benchmark request {i}, as nobody asks it?", "response": f"Answer {i} to it."}
        for i in range(max(0, n - built_in))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def timed_process(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak memory (GiB) of a command and all its children."""
    start = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        peak = max(peak, memory_of(process))
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(process.stderr.read().decode()[-2000:])
    return time.perf_counter() - start, peak / 2**30


def memory_of(process: psutil.Process) -> int:
    """Proportional set size of the process tree, in bytes."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except (psutil.Error, OSError):
            continue  # it ended meanwhile
    return total


def run_c2(seeds: Path, benchmark: Path, out: Path) -> dict[str, float]:
    """``c2 synth`` and the reading back, as a user would."""
    options = ["--data", str(seeds), "--no-benign", "--benchmark", str(benchmark)]
    c2 = str(Path(sys.executable).parent / "c2")
    seconds, peak = timed_process([c2, "synth", *options, "--out", str(out)])
    read = (
        "import sys, datasets; datasets.disable_progress_bars(); "
        "d = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2]); "
        "print(sum(map(len, d.values())))"
    )
    with tempfile.TemporaryDirectory(dir=out.parent) as cache:
        reading, peak_reading = timed_process([sys.executable, "-c", read, str(out), cache])
    counts = json.loads((out / "counts.json").read_text())
    return {
        "seeds": counts["seeds"],
        "groups": counts["groups"],
        "pairs": counts["pairs"],
        "synth_seconds": seconds,
        "read_seconds": reading,
        "seconds": seconds + reading,
        "peak_gib": max(peak, peak_reading),
    }


def plain_seconds(seeds: Path, out: Path) -> tuple[float, int]:
    """The peer: seconds and pairs."""
    start = time.perf_counter()
    maker = GroupMaker(SynthSettings(), get_corrector("template"), get_judge("lexical"))
    turns = get_judge("rules")
    known = {item.request for split in ("dev", "locked") for item in load_builtin(split)}
    rows: list[dict[str, Any]] = []
    with seeds.open(encoding="utf-8") as lines, (out / "plain.jsonl").open("w") as file:
        for number, line in enumerate(lines, 1):
            item = item_from_row(json.loads(line), f"{seeds}:{number}", "teach")
            whole = Continuation(
                id=item.id, request=item.request, prefill="", continuation=item.response
            )
            if item.request in known or turns.judge([whole])[0].verdict is Verdict.CORRECTED:
                continue
            (group,) = maker.make([item])
            if isinstance(group, RankedGroup):
                for row in pairs_of(group):
                    file.write(json.dumps(row) + "\n")
                    rows.append(row)
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).to_parquet(out / "plain.parquet")
    return time.perf_counter() - start, len(rows)


class Timed:
    """A corrector or a judge that sums the CPU time it takes."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.seconds = inner, 0.0
        self.name, self.digest = inner.name, inner.digest

    def _run(self, call: Callable[[Any], Any], given: Any) -> Any:
        start = time.process_time()
        try:
            return call(given)
        finally:
            self.seconds += time.process_time() - start

    def correct(self, tasks: Any) -> Any:
        return self._run(self.inner.correct, tasks)

    def judge(self, texts: Any) -> Any:
        return self._run(self.inner.judge, texts)


def stages(seeds: Path, benchmark: Path, out: Path) -> dict[str, float]:
    """CPU milliseconds a seed of each stage, one process, on what ``seeds`` holds."""
    found: dict[str, float] = {}
    index = load_benchmark((str(benchmark),))
    start = time.process_time()
    outcomes = list(gather_seeds(str(seeds), SeedSettings(), index))
    items = [one for one in outcomes if isinstance(one, Item)]
    found["read, filter, duplicates, contamination"] = time.process_time() - start
    corrector, judge = Timed(get_corrector("template")), Timed(get_judge("lexical"))
    maker = GroupMaker(SynthSettings(), corrector, judge)
    start = time.process_time()
    groups = [g for i in range(0, len(items), 16) for g in maker.make(items[i : i + 16])]
    whole = time.process_time() - start
    start = time.process_time()
    for item in items:
        with suppress(CutError):
            growing_cuts(item.response, 4, seed=1)
    found["cut"] = time.process_time() - start
    found["correct"], found["verify"] = corrector.seconds, judge.seconds
    found["score, rank and the rest"] = whole - sum(list(found.values())[1:])
    kept = [g for g in groups if isinstance(g, RankedGroup)]
    start = time.process_time()
    table = pair_table(kept)
    found["pair"] = time.process_time() - start
    start = time.process_time()
    write_parquet(out / "stages.parquet", table, {})
    found["write Parquet"] = time.process_time() - start
    return {name: 1000 * seconds / len(items) for name, seconds in found.items()}


def pairing_speed(folder: Path, out: Path) -> float:
    """Pairs a second from ranked groups in memory to Parquet on the disk, one process."""
    groups = read_groups(folder)[:SMALL]
    start = time.perf_counter()
    pairs = 0
    for at in range(0, len(groups), 1000):
        table = pair_table(groups[at : at + 1000])
        write_parquet(out / f"pairing-{at}.parquet", table, {})
        pairs += pq.read_metadata(out / f"pairing-{at}.parquet").num_rows
    return pairs / (time.perf_counter() - start)


def show(title: str, rows: dict[str, str]) -> None:
    table = Table(title=title, show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def main() -> None:
    """Run the benchmark; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5,000 seeds alone")
    quick = parser.parse_args().quick
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        seeds, benchmark = work / "seeds.jsonl", work / "benchmark.jsonl"
        write_benchmark(benchmark, BENCHMARK_ITEMS)
        write_seeds(seeds, SMALL)
        small = run_c2(seeds, benchmark, work / "small")
        show("c2 synth, 5,000 seeds", {k: f"{v:,.1f}" for k, v in small.items()})
        seconds, pairs = plain_seconds(seeds, work)
        figures["ratio_plain"] = (seconds / pairs) / (small["seconds"] / small["pairs"])
        show("one Python loop", {"seconds": f"{seconds:.1f}", "pairs": f"{pairs:,}"})
        figures["pairs_per_second"] = pairing_speed(work / "small", work)
        each = stages(seeds, benchmark, work)
        show("CPU milliseconds a seed", {k: f"{v:.2f}" for k, v in each.items()})
        main_run = small
        if not quick:
            write_seeds(seeds, FULL)
            main_run = run_c2(seeds, benchmark, work / "full")
            show("c2 synth, 50,000 seeds", {k: f"{v:,.1f}" for k, v in main_run.items()})
            per_seed = [run["seconds"] / run["seeds"] for run in (small, main_run)]
            figures["growth"] = per_seed[1] / per_seed[0]
    figures |= {name: main_run[name] for name in ("pairs", "seconds", "peak_gib")}
    figures["kept"] = main_run["groups"] / main_run["seeds"]
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
