"""How often the promises about intervals are kept, on made-up requests whose truth is known.

- ``until``: the interval of a run that stops at a width (``metrics.until``): how often it holds the
  truth, and after how many requests it stops, looked at after every request. A bootstrap at each
  look takes a second a run, so most runs use its normal form with skew (Cornish and Fisher); on
  some of the same runs the library's own functions decide, asked wherever the normal form is
  within 15 % of the width. What has fewer guards than the library is the normal form alone.
- ``calibration``: the intervals of the judge alone, PPI++ and Rogan and Gladen
  (``metrics.calibration``), on runs with labels.
- ``plan``: how often a planned run is as narrow as ``c2 plan`` promises, for many pilots, and what
  the promise costs; then what an interval of one width costs with more or fewer paths.

A request's rate is beta with a given share of μ(1 − μ) between requests; with ``at_k``, a share of
what is left lies between a request's k's; its paths are binomial. Seeds are fixed.

    python benchmarks/intervals.py [--quick] [--only until|calibration|plan]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from coursecorrect.metrics.bootstrap import Estimate, mean_estimate
from coursecorrect.metrics.calibration import Label, calibrate
from coursecorrect.metrics.paths import JudgedPath
from coursecorrect.metrics.plan import Components, Costs, Pilot, components, make_plan
from coursecorrect.metrics.until import narrow_enough
from coursecorrect.types import ItemKind, Verdict

T = TypeVar("T")
Floats = NDArray[np.float64]
Figures = dict[str, float]
SCREEN = Console(width=110)
Z = 1.96


def main() -> None:
    parts = {"until": until, "calibration": calibration, "plan": plan}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--only", choices=parts, help="one part")
    arguments = parser.parse_args()
    figures: Figures = {}
    for name, part in parts.items():
        if arguments.only in (None, name):
            figures |= part(arguments.quick)
    print(json.dumps(figures))


def show(title: str, head: list[str], rows: list[list[str]]) -> None:
    table = Table(*head, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    SCREEN.print(table)


def progress(runs: Iterable[T], what: str) -> Iterable[T]:
    return track([*runs], what, console=SCREEN, transient=True, disable=not SCREEN.is_terminal)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def rounded(figures: Figures) -> Figures:
    return {name: round(float(value), 4) for name, value in figures.items()}


def rates_of(rng: np.random.Generator, mean: float, share: float, shape: tuple[int, ...]) -> Floats:
    size = 1 / share - 1
    return rng.beta(mean * size, (1 - mean) * size, shape)


# Stopping at a width


@dataclass(frozen=True)
class Sequential:
    mean: float
    share: float
    width: float

    @property
    def name(self) -> str:
        return f"until_{100 * self.mean:.0f}_{self.share}_{100 * self.width:.0f}"


SEQUENTIAL = (
    Sequential(0.5, 0.3, 0.05),
    Sequential(0.3, 0.1, 0.05),
    Sequential(0.1, 0.5, 0.05),
    Sequential(0.9, 0.3, 0.03),
    Sequential(0.05, 0.1, 0.03),
    Sequential(0.02, 0.3, 0.03),
)
LONGEST = 800
"""Requests of a run, far more than any case needs."""


def until(quick: bool) -> Figures:
    runs, own = (1500, 5) if quick else (1500, 40)
    figures: Figures = {"until_runs": runs, "until_own_runs": own}
    rows, checks = [], []
    for seed, case in enumerate(SEQUENTIAL):
        rng = np.random.default_rng(seed)
        paths = 16
        hits = rng.binomial(paths, rates_of(rng, case.mean, case.share, (runs, LONGEST)))
        looks = Looks.of(hits / paths)
        held = looks.holding(case.mean)
        guarded = looks.stops(case.width, fewest=30, guard=True)
        unguarded = looks.stops(case.width, fewest=5, guard=False)
        alone = looks.stops(case.width, fewest=30, guard=False)
        fixed = round(float(guarded.mean()))
        every = np.arange(runs)
        found = {
            "fixed": held[:, fixed - 1].mean(),
            "guarded": held[every, guarded - 1].mean(),
            "unguarded": held[every, unguarded - 1].mean(),
            "requests": guarded.mean(),
            "requests_30_alone": alone.mean(),
        }
        rows.append(
            [label(case)]
            + [percent(found[name]) for name in ("fixed", "guarded", "unguarded")]
            + [f"{found[name]:.0f}" for name in ("requests", "requests_30_alone")]
        )
        near = looks.near(case.width)
        ends, kept = own_stops(hits[:own] / paths, near[:own], case)
        found |= {
            "own": np.mean(kept),
            "own_normal": held[np.arange(own), guarded[:own] - 1].mean(),
            "own_requests": ends.mean(),
            "own_normal_requests": guarded[:own].mean(),
        }
        checks.append(
            [label(case), percent(found["own"]), percent(found["own_normal"])]
            + [f"{found[name]:.1f}" for name in ("own_requests", "own_normal_requests")]
        )
        figures |= {f"{case.name}_{name}": float(value) for name, value in found.items()}
    for name in ("own", "own_normal"):
        figures[f"until_{name}"] = float(np.mean([figures[f"{c.name}_{name}"] for c in SEQUENTIAL]))
    show(
        f"Intervals that hold the truth, {runs} runs a case (normal form)",
        [
            "mean, share between, width",
            "same n, fixed",
            "both guards",
            "5 requests, no guard",
            "requests, both",
            "requests, 30 alone",
        ],
        rows,
    )
    show(
        f"The library's functions on {own} of the runs: {percent(figures['until_own'])} hold the "
        f"truth, {percent(figures['until_own_normal'])} by the normal form",
        ["mean, share between, width", "library", "normal form", "requests", "normal form"],
        checks,
    )
    return rounded(figures)


def label(case: Sequential) -> str:
    return f"{100 * case.mean:.0f} %, {case.share}, ±{100 * case.width:.0f}"


@dataclass(frozen=True)
class Looks:
    """The 95 % interval after each request: (runs, requests) each."""

    low: Floats
    high: Floats
    reach: Floats

    @classmethod
    def of(cls, rates: Floats) -> Looks:
        n = np.arange(1, rates.shape[1] + 1)
        mean, second, third = (np.cumsum(rates**power, axis=1) / n for power in (1, 2, 3))
        variance = np.maximum(second - mean**2, 0)
        moment = third - 3 * mean * second + 2 * mean**3
        error = np.sqrt(variance / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            skew = np.where(variance > 1e-12, moment / variance**1.5, 0) / np.sqrt(n)
        bend = skew * (Z**2 - 1) / 6
        low, high = mean + error * (bend - Z), mean + error * (bend + Z)
        exact = 1 - 0.025 ** (1 / n)
        high = np.where(mean == 0, exact, high)
        low = np.where(mean == 1, 1 - exact, low)
        return cls(low, high, np.maximum(high - mean, mean - low))

    def holding(self, mean: float) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (self.low <= mean) & (mean <= self.high)
        return found

    def stops(self, width: float, fewest: int, guard: bool) -> NDArray[np.int64]:
        """After how many requests each run stops."""
        narrow = self._guarded(guard) <= width
        narrow[:, : fewest - 1] = False
        assert narrow.any(axis=1).all()
        found: NDArray[np.int64] = narrow.argmax(axis=1) + 1
        return found

    def near(self, width: float) -> NDArray[np.bool_]:
        """The looks at which a bootstrap might say that the width is reached."""
        found: NDArray[np.bool_] = self._guarded(True) <= 1.15 * width
        return found

    def _guarded(self, guard: bool) -> Floats:
        n = np.arange(1, self.reach.shape[1] + 1)
        found: Floats = np.hypot(self.reach, guard * Z / n)
        return found


def own_stops(
    rates: Floats, near: NDArray[np.bool_], case: Sequential
) -> tuple[NDArray[np.int64], list[bool]]:
    """Where the library stops each run, and whether its interval then holds the truth."""
    keys = [f"r{i}" for i in range(rates.shape[1])]
    ends, kept = [], []
    for run, candidates in zip(
        progress(rates, f"{label(case)}, the library"),
        near,
        strict=True,
    ):
        end = next(
            n
            for n in (np.flatnonzero(candidates) + 1).tolist()
            if narrow_enough(keys[:n], run[:n].tolist(), case.width)
        )
        ends.append(end)
        kept.append(holds(mean_estimate(keys[:end], run[:end].tolist()), case.mean))
    return np.asarray(ends), kept


def holds(found: Estimate, truth: float) -> bool:
    return found.low <= truth <= found.high


# The judge's error taken out


@dataclass(frozen=True)
class World:
    """A run of 60 requests × 32 paths and 100 labels; the judge's errors differ by request."""

    mean: float
    sensitivity: float
    specificity: float
    requests: int = 60
    paths: int = 32
    labels: int = 100

    def draw(self, rng: np.random.Generator) -> tuple[list[JudgedPath], dict[str, Label]]:
        shape, column = (self.requests, self.paths), (self.requests, 1)
        truth = rng.random(shape) < rates_of(rng, self.mean, 0.2, column)
        called = rates_of(rng, self.sensitivity, 1 / 11, column)
        spared = rates_of(rng, self.specificity, 1 / 11, column)
        said = rng.random(shape) < np.where(truth, called, 1 - spared)
        paths = [
            judged_path(f"r{i}", f"{i}-{j}", bool(said[i, j]))
            for i in range(self.requests)
            for j in range(self.paths)
        ]
        drawn = rng.choice(len(paths), self.labels, replace=False)
        chance = self.labels / len(paths)
        return paths, {paths[i].id: Label(verdict(truth.flat[i]), chance) for i in drawn}


WORLDS = (World(0.7, 0.9, 0.85), World(0.05, 0.8, 0.97))


def verdict(corrected: bool) -> Verdict:
    return Verdict.CORRECTED if corrected else Verdict.CONTINUED


def judged_path(key: str, id_: str, corrected: bool) -> JudgedPath:
    return JudgedPath(
        item=key,
        key=key,
        kind=ItemKind.HARMFUL,
        category="",
        k=10,
        depth=0.5,
        text="",
        tokens=1,
        verdict=verdict(corrected),
        onset=None,
        relapse=None,
        id=id_,
    )


def calibration(quick: bool) -> Figures:
    runs = 50 if quick else 400
    figures: Figures = {"calibration_runs": runs}
    rows = []
    for seed, world in enumerate(WORLDS):
        rng = np.random.default_rng(seed)
        name = f"{100 * world.mean:.0f}"
        found: dict[str, list[Estimate]] = {"ppi": [], "rogan_gladen": [], "judge": []}
        for _ in progress(range(runs), f"calibration, {name} %"):
            kind = calibrate(*world.draw(rng)).kinds["harmful"]
            for estimator, estimates in found.items():
                estimates.append(getattr(kind, estimator))
        for estimator, estimates in found.items():
            kept = float(np.mean([holds(e, world.mean) for e in estimates]))
            half = float(np.mean([(e.high - e.low) / 2 for e in estimates]))
            figures[f"calibration_{name}_{estimator}"] = kept
            figures[f"calibration_{name}_{estimator}_half_width"] = half
            errors = f"{100 * world.sensitivity:.0f} % / {100 * world.specificity:.0f} %"
            rows.append([f"{name} %", errors, estimator, percent(kept), f"±{100 * half:.1f}"])
    show(
        f"Intervals that hold the truth, {runs} runs",
        ["mean", "sensitivity / specificity", "estimator", "holds", "half width"],
        rows,
    )
    return rounded(figures)


# The plan


@dataclass(frozen=True)
class Population:
    """Requests, and the pilot that is drawn of them."""

    name: str
    mean: float
    share: float
    at_k: float
    ks: tuple[int, ...]
    requests: int
    paths: int

    def hits(self, rng: np.random.Generator, requests: int, paths: int) -> NDArray[np.int64]:
        """Corrected paths, (requests, ks)."""
        rates = np.repeat(rates_of(rng, self.mean, self.share, (requests, 1)), len(self.ks), 1)
        size = 1 / self.at_k - 1
        a, b = (np.maximum(part * size, 1e-9) for part in (rates, 1 - rates))
        return rng.binomial(paths, rng.beta(a, b))

    def pilot(self, rng: np.random.Generator, requests: int | None = None) -> Pilot:
        n = requests or self.requests
        keys = tuple(f"r{i}" for i in range(n))
        return Pilot(self.hits(rng, n, self.paths), keys, self.ks, self.paths)

    def variance(self, ks: int, paths: int) -> float:
        """The true variance of a request's rate over so many k's and paths."""
        whole = self.mean * (1 - self.mean)
        left = whole * (1 - self.share)
        return whole * self.share + left / ks * (self.at_k + (1 - self.at_k) / paths)


FEW_KS = (10, 20, 40, 80)
ALL_KS = tuple(range(10, 90, 10))
POPULATIONS = (
    Population("60_30x2", 0.6, 0.3, 0.1, FEW_KS, 30, 2),
    Population("60_120x2", 0.6, 0.3, 0.1, FEW_KS, 120, 2),
    Population("6_40x4", 0.06, 0.1, 0.1, FEW_KS, 40, 4),
    Population("81_24x4", 0.81, 0.2, 0.18, ALL_KS, 24, 4),
)
WIDTH = 0.05
COSTS = Costs(kinds=3, new_per_path=31, prompt_per_item=180, excluded=0)


def plan(quick: bool) -> Figures:
    pilots = 50 if quick else 200
    figures: Figures = {"plan_pilots": pilots}
    rows = []
    for seed, population in enumerate(POPULATIONS):
        rng = np.random.default_rng(seed)
        kept, planned, over = [], [], []
        for _ in progress(range(pilots), f"plan, {population.name}"):
            design = make_plan(population.pilot(rng), COSTS, WIDTH, None).chosen
            assert design is not None
            columns = [population.ks.index(k) for k in design.ks]
            rates = population.hits(rng, design.requests, design.paths)[:, columns] / design.paths
            found = mean_estimate(
                [f"r{i}" for i in range(design.requests)], rates.mean(axis=1).tolist()
            )
            kept.append(max(found.high - found.value, found.value - found.low) <= WIDTH)
            planned.append(design.requests)
            true = population.variance(len(columns), design.paths)
            over.append(design.requests / max(30, math.ceil(Z**2 * true / WIDTH**2)))
        name = f"plan_{population.name}"
        figures |= {
            f"{name}_kept": float(np.mean(kept)),
            f"{name}_requests": float(np.median(planned)),
            f"{name}_over_known": float(np.median(over)),
        }
        rows.append(
            [
                f"{population.requests} × {len(population.ks)} k × {population.paths}",
                f"{100 * population.mean:.0f} %, {population.share}, {population.at_k}",
                percent(float(np.mean(kept))),
                f"{np.median(planned):.0f}",
                f"{np.median(over):.2f}",
            ]
        )
    show(
        f"Planned for ±{100 * WIDTH:.0f} points, {pilots} pilots a case",
        [
            "pilot",
            "mean, share between, at k",
            "as narrow as promised",
            "requests (median)",
            "over what would do",
        ],
        rows,
    )
    return rounded(figures | tokens_for_an_interval(POPULATIONS[-1], pilots))


def tokens_for_an_interval(population: Population, pilots: int) -> Figures:
    """What the width of 500 requests × all k × 20 paths costs with fewer paths, by the variances of
    a pilot of 100,000 requests, and how the share differs over pilots of the usual size."""
    rng, ks = np.random.default_rng(10), len(population.ks)
    whole = components(population.pilot(rng, 100_000))
    exact = costs_by_paths(whole, ks)
    small = [costs_by_paths(components(population.pilot(rng)), ks) for _ in range(pilots)]
    figures: Figures = {
        "tokens_sd_between_requests": math.sqrt(whole.between_requests),
        "tokens_sd_request_by_k": math.sqrt(whole.request_by_k),
        "tokens_sd_between_paths": math.sqrt(whole.between_paths),
        "tokens_half_width": Z * math.sqrt(population.variance(ks, 20) / 500),
    }
    rows = []
    for b, (requests, tokens) in exact.items():
        share = tokens / exact[20][1]
        ends = np.quantile([found[b][1] / found[20][1] for found in small], [0.025, 0.975])
        rows.append(
            [
                str(b),
                f"{requests:.0f}",
                f"{tokens / 1e6:.1f} million",
                f"{share:.2f}",
                f"{ends[0]:.2f} to {ends[1]:.2f}",
            ]
        )
        figures |= {f"tokens_{b}_requests": requests, f"tokens_{b}_share": share}
        figures |= {f"tokens_{b}_share_low": ends[0], f"tokens_{b}_share_high": ends[1]}
    show(
        "Tokens for one width",
        ["b", "requests", "tokens", "share", f"in 95 % of pilots of {population.requests}"],
        rows,
    )
    return figures


def costs_by_paths(found: Components, ks: int) -> dict[int, tuple[float, float]]:
    """For each number of paths the requests and tokens that give the width of 500 × 20."""

    def variance(b: int) -> float:
        return found.between_requests + found.between_paths / (ks * b)

    def cost(b: int) -> tuple[float, float]:
        requests = 500 * variance(b) / variance(20)
        each = (ks + 2) * b * COSTS.new_per_path + COSTS.prompt_per_item  # two anchors
        return requests, COSTS.kinds * requests * each

    return {b: cost(b) for b in (20, 10, 4, 2, 1)}


if __name__ == "__main__":
    main()
