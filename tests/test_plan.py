"""The plan keeps its promise on made-up requests of known variance, and counts its cost."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from coursecorrect.cli.main import app
from coursecorrect.errors import UserError
from coursecorrect.metrics import until
from coursecorrect.metrics.plan import (
    FEWEST_REQUESTS,
    Costs,
    Pilot,
    components,
    costs_of,
    make_plan,
    pilot_of,
)
from coursecorrect.metrics.until import narrow_enough
from test_path_metrics import path
from test_report import make_run

COSTS = Costs(kinds=3, new_per_path=30, prompt_per_item=100, excluded=0.2)
KS = (10, 20, 40, 80)
Counts = NDArray[np.int64]


def drawn(
    rng: np.random.Generator, requests: int, b: int, mean: float, share: float, at_k: float = 0.1
) -> Counts:
    """Beta-binomial hits (requests, ks): ``share`` of μ(1 − μ) lies between requests."""
    size = 1 / share - 1
    rates = rng.beta(mean * size, (1 - mean) * size, requests)[:, None] * np.ones(len(KS))
    rates = rng.beta(*(np.maximum(r * (1 / at_k - 1), 1e-9) for r in (rates, 1 - rates)))
    return rng.binomial(b, rates)


def pilot(hits: Counts, b: int, keys: tuple[str, ...] | None = None) -> Pilot:
    return Pilot(hits, keys or tuple(f"r{i}" for i in range(len(hits))), KS[: hits.shape[1]], b)


def reach(rng: np.random.Generator, rates: NDArray[np.float64]) -> float:
    """The longer side of the percentile interval, or of the exact one where all rates are equal."""
    n = len(rates)
    if rates.min() == rates.max() and rates[0] in (0, 1):
        return 1 - 0.025 ** (1 / n)
    means = rates[rng.integers(0, n, (400, n))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(max(high - rates.mean(), rates.mean() - low))


@pytest.mark.parametrize(
    ("requests", "b", "mean", "share"), [(30, 2, 0.6, 0.3), (40, 4, 0.06, 0.1)]
)
def test_the_promised_width_is_kept(requests: int, b: int, mean: float, share: float) -> None:
    rng = np.random.default_rng(7)
    kept, pilots, width = 0, 200, 0.05
    for _ in range(pilots):
        design = make_plan(
            pilot(drawn(rng, requests, b, mean, share), b), COSTS, width, None
        ).chosen
        assert design is not None
        columns = [KS.index(k) for k in design.ks]
        run = drawn(rng, design.requests, design.paths, mean, share)[:, columns] / design.paths
        kept += reach(rng, run.mean(axis=1)) <= width
    assert kept >= 0.9 * pilots


def test_variances_are_found_again() -> None:
    # Beta(μ, share): variance 0.3 · 0.25 between requests; at a k a tenth of p (1 − p) more.
    found = components(pilot(drawn(np.random.default_rng(0), 20_000, 4, 0.5, 0.3), 4))
    between, left = 0.3 * 0.25, 0.7 * 0.25
    assert found.between_requests == pytest.approx(between + 0.1 * left / 4, rel=0.03)
    assert found.request_by_k == pytest.approx(0.1 * left * 3 / 4, rel=0.05)
    assert found.between_paths == pytest.approx(0.9 * left, rel=0.02)
    assert found.between_k < 1e-4


def test_variances_by_hand() -> None:
    # Rates 1, 1, 0, 0 without any spread in a cell: 1/3 between requests (n − 1), none in paths.
    found = components(pilot(np.asarray([[2], [2], [0], [0]]), 2))
    assert found.between_requests == pytest.approx(1 / 3, abs=1e-6)
    assert found.between_paths == 0
    # One of two paths corrects everywhere: p̂(1 − p̂) · 2/1 = 1/2, and nothing between.
    found = components(pilot(np.asarray([[1], [1], [1]]), 2))
    assert (found.between_requests, found.between_paths) == (0, 0.5)
    # Requests of two items with rates ¾ and ¼: 1/8 apart. A cell of 1 of 2 has ½, the mean is ¼ an
    # item, so ¼ / (2 items · 2 paths) of the 1/8 is the paths'.
    found = components(pilot(np.asarray([[2], [1], [0], [1]]), 2, ("a", "a", "b", "b")))
    assert (found.between_requests, found.between_paths) == (1 / 16, 0.25)


def test_one_request_with_two_items_counts_once() -> None:
    hits = drawn(np.random.default_rng(3), 20, 4, 0.5, 0.3)
    single = make_plan(pilot(hits, 4), COSTS, 0.08, None)
    twice = pilot(np.repeat(hits, 2, axis=0), 4, tuple(f"r{i // 2}" for i in range(40)))
    double = make_plan(twice, COSTS, 0.08, None)
    found = [next(d for d in p.designs if d.paths == 4 and d.ks == KS) for p in (single, double)]
    assert found[0].requests == found[1].requests
    assert found[1].all_paths == 2 * found[0].all_paths


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.03, 0.9), st.sampled_from([0.05, 0.1]))
def test_narrower_costs_more_and_every_promise_holds(seed: int, mean: float, width: float) -> None:
    known = pilot(drawn(np.random.default_rng(seed), 25, 3, mean, 0.2), 3)
    wide, narrow = (make_plan(known, COSTS, w, None) for w in (width, width / 2))
    assert wide.chosen is not None
    assert narrow.chosen is not None
    assert narrow.chosen.tokens >= wide.chosen.tokens
    for design in wide.designs:
        assert design.promised <= width
        assert design.requests >= FEWEST_REQUESTS
        assert wide.chosen.tokens <= design.tokens


def test_a_pilot_without_corrections_proves_little() -> None:
    found = make_plan(pilot(np.zeros((20, 4), dtype=np.int64), 4), COSTS, 0.03, None)
    assert found.chosen is not None
    assert found.chosen.ks == KS
    # Nothing was seen to vary, but the run itself must then bound what it does not see.
    assert found.chosen.requests >= math.log(0.025) / math.log(1 - 0.03)


def test_cost_by_hand() -> None:
    hits = drawn(np.random.default_rng(1), 30, 4, 0.5, 0.3)
    found = make_plan(pilot(hits, 4), COSTS, 0.1, None)
    design = next(d for d in found.designs if d.paths == 2 and d.ks == KS)
    n = design.requests
    assert design.all_paths == 3 * n * (4 + 2) * 2
    assert design.new_tokens == design.all_paths * 30
    assert design.prompt_tokens == 3 * n * 100
    assert design.items == math.ceil(n / 0.8)
    assert design.tokens == design.new_tokens + design.prompt_tokens


def test_too_few_items_are_said_with_what_they_reach() -> None:
    hits = drawn(np.random.default_rng(2), 30, 4, 0.5, 0.3)
    found = make_plan(pilot(hits, 4), COSTS, 0.03, 60)
    assert found.chosen is None
    assert found.reachable is not None
    assert found.reachable > 0.03
    again = make_plan(pilot(hits, 4), COSTS, found.reachable + 1e-4, 60)
    assert again.chosen is not None
    assert again.chosen.requests <= 60


def test_pilots_that_tell_nothing_are_refused() -> None:
    run = [path(f"r{i}", k=k) for i in range(12) for k in (10, 20) for _ in range(2)]
    assert pilot_of(run).hits.shape == (12, 2)
    with pytest.raises(UserError, match="--paths 2"):
        pilot_of([path(f"r{i}") for i in range(12)])
    with pytest.raises(UserError, match="9 requests"):
        pilot_of([p for p in run if p.key not in {"r0", "r1", "r2"}])
    with pytest.raises(UserError, match="no harmful"):
        pilot_of([path("r", kind="twin")])


def test_costs_come_from_the_rows() -> None:
    items = [{"id": "a", "kind": "harmful", "request": "x" * 20}] * 1
    paths = [
        {"item": "a", "prefill": "y" * n, "continuation": "z" * 40, "tokens": 10} for n in (0, 30)
    ]
    found = costs_of(items, paths, [{"kind": "harmful"}, {"kind": "twin"}], "x" * 20 + "t" * 10)
    # 10 + 20 + 30 characters at 4 a token
    assert found == Costs(kinds=1, new_per_path=10, prompt_per_item=15, excluded=0.5)


def test_the_command_says_what_to_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "pilot")
    rows: dict[str, list[Any]] = {}
    for name in ("items", "paths", "verdicts-rules"):
        file = run / f"{name}.jsonl"
        first = [json.loads(line) for line in file.read_text().splitlines()]
        field = "item" if name == "paths" else "id"
        rows[name] = [
            {**row, field: f"{i}{row[field]}", "id": f"{i}{row['id']}"}
            | ({"pair_key": f"{i}{row['pair_key']}"} if name == "items" else {})
            for i in range(12)
            for row in first
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows[name]))
    out = tmp_path / "plan.json"
    done = CliRunner().invoke(app, ["plan", str(run), "--width", "8", "--json", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    chosen = found["chosen"]
    assert found["pilot_requests"] == 24
    assert chosen["promised"] <= 0.08
    ks = ",".join(map(str, chosen["ks"]))
    assert f"--limit {chosen['items']} --ks {ks} --paths {chosen['paths']}" in done.output


def test_stopping_needs_enough_requests_and_a_narrow_interval() -> None:
    rates = [0.2, 0.4] * 50
    keys = [f"r{i}" for i in range(100)]
    assert not narrow_enough(keys[:29], [0.3] * 29, 0.4)
    assert not narrow_enough(["one"] * 100, rates, 0.4)
    # ±1.96 · 0.1 / √100 = ±2 points and the guard 1.96 / 100 beside it: ±2.8.
    assert narrow_enough(keys, rates, 0.03)
    assert not narrow_enough(keys, rates, 0.025)
    # No spread at all: the guard alone would let 40 requests stop at ±5, the exact bound does not.
    assert not narrow_enough(keys[:40], [0.0] * 40, 0.05)
    assert narrow_enough(keys, [0.0] * 100, 0.05)


def test_nothing_is_drawn_where_the_guard_alone_is_too_wide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(until, "mean_estimate")
    keys = [f"r{i}" for i in range(65)]
    assert not narrow_enough(keys, [0.3] * 65, 0.03)  # 1.96 / 65 = 0.0302
    with pytest.raises(NameError):
        narrow_enough([*keys, "r65"], [0.3] * 66, 0.03)
