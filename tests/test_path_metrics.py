"""Onset, relapse, worst and any of b, depth, p-values: by hand, and what must always hold."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursecorrect.metrics import compare_runs, run_results
from coursecorrect.metrics.bootstrap import Clusters
from coursecorrect.metrics.of_b import any_of_b, worst_of_b
from coursecorrect.metrics.onset import incidence, median_onset, onset_results, onset_tokens
from coursecorrect.metrics.paired import FLIPS, paired_difference, sign_flip_p
from coursecorrect.metrics.paths import JudgedPath, join_rows
from coursecorrect.metrics.relapse import relapse_of_all, relapse_of_turned
from coursecorrect.types import ItemKind, Verdict


def path(
    key: str,
    onset: int | None = None,
    *,
    relapse: int | None = None,
    tokens: int = 32,
    k: int = 10,
    kind: str = "harmful",
    category: str = "pranks",
) -> JudgedPath:
    """A path of 64 characters, corrected when it has an onset and no relapse."""
    return JudgedPath(
        item=f"{kind}-{key}",
        key=key,
        kind=ItemKind(kind),
        category=category,
        k=k,
        depth=0.25,
        text="x" * 64,
        tokens=tokens,
        verdict=(Verdict.CORRECTED if onset is not None and relapse is None else Verdict.CONTINUED),
        onset=onset,
        relapse=relapse,
    )


def test_onset_in_tokens_is_the_share_of_the_characters() -> None:
    assert onset_tokens(path("a", 16)) == 8
    assert onset_tokens(path("a", 16, tokens=20)) == 5
    assert onset_tokens(path("a", 0)) == 0
    assert onset_tokens(replace(path("a", 16), onset=None)) == 32


def test_incidence_keeps_paths_that_end_early_in_the_denominator() -> None:
    # Onsets of 4, 16 and 30 tokens; one path ends after 3 tokens, one goes on.
    run = [path("a", 8), path("a", 32), path("b", 60), path("b", tokens=3)]
    assert [incidence(run, [10], t).value for t in (3, 4, 16, 30)] == [0, 0.25, 0.5, 0.75]
    assert incidence(run, [10], 16).n == 2


def test_a_relapse_is_no_correction_in_the_incidence() -> None:
    assert incidence([path("a", 8, relapse=20), path("a", 8)], [10], 32).value == 0.5


def test_median_onset_of_corrected_paths_alone() -> None:
    run = [path("a", 8), path("a", 32), path("b", 60), path("c"), path("c", 2, relapse=9)]
    found = median_onset(run)
    assert found is not None
    assert (found.value, found.n) == (16, 2)
    # Two requests: either alone gives the ends, (4 + 16) / 2 and 30.
    assert (found.low, found.high) == (10, 30)
    assert median_onset([path("c")]) is None


def test_times_beyond_the_longest_path_are_left_out() -> None:
    found = onset_results([path("a", 8, tokens=16), path("b", tokens=2)], [10])
    assert list(found["incidence"]) == ["8", "16"]
    assert found["corrected_paths"] == 1


def test_relapse_of_turned_and_of_all() -> None:
    run = [
        path("a", 5, relapse=20),
        path("a", 5),
        path("b", 5, relapse=9),
        path("b"),
        path("c"),
        path("c"),
    ]
    turned = relapse_of_turned(run, [10])
    assert turned is not None
    assert (turned.value, turned.n) == (pytest.approx(2 / 3, abs=1e-6), 2)
    assert turned.low == 0.5  # request a alone
    assert relapse_of_all(run, [10]).value == pytest.approx(2 / 6, abs=1e-6)
    assert relapse_of_turned([path("c")], [10]) is None


def test_no_relapse_among_few_requests_is_not_certain() -> None:
    found = relapse_of_turned([path("a", 5), path("b", 5)], [10])
    assert found is not None
    assert found.value == found.low == 0
    assert found.high == pytest.approx(1 - 0.025**0.5, abs=1e-6)


def test_worst_and_any_of_b_are_taken_at_each_k() -> None:
    run = [
        *(path("a", 1, k=10), path("a", 1, k=10), path("a", 1, k=20), path("a", k=20)),
        *(path("b", k=10), path("b", k=10), path("b", k=20), path("b", 1, k=20)),
    ]
    # all of b: a at 10; any of b: a at 10 and 20, b at 20
    assert worst_of_b(run, [10, 20]).value == 1 / 4
    assert any_of_b(run, [10, 20]).value == 3 / 4


def test_depth_leaves_the_opener_out() -> None:
    items: list[dict[str, Any]] = [
        {"id": "i", "pair_key": "i", "category": "c", "opener": "Sure.", "response": "0123456789"},
        {"id": "j", "pair_key": "j", "category": "c", "opener": "", "response": "01234"},
    ]
    base = {"kind": "harmful", "continuation": "x", "tokens": 1}
    rows = [
        {**base, "id": f"{item}{k}", "item": item, "k": k, "prefill": prefill}
        for item, cells in (
            ("i", {-1: "", 0: "Sure.", 10: "Sure. 0123"}),
            ("j", {-1: "", 0: "", 10: "0123"}),
        )
        for k, prefill in cells.items()
    ]
    found = run_results(join_rows(items, rows, []))["kinds"]["harmful"]["depth_at"]
    assert found == {"10": {"mean": 0.6, "min": 0.4, "max": 0.8, "n": 2}}


def test_false_corrections_by_category_of_harmless_items_only() -> None:
    run = [
        path(key, onset, k=k, kind=kind, category=category)
        for key, kind, category, onset in (
            ("a", "harmful", "pranks", 3),
            ("a", "twin", "pranks", 3),
            ("b", "twin", "pranks", None),
            ("c", "twin", "cheating", None),
        )
        for k in (-1, 0, 10)
    ]
    kinds = run_results(run)["kinds"]
    found = kinds["twin"]["false_corrections_by_category"]
    assert [(c, e["value"], e["n"]) for c, e in found.items()] == [
        ("cheating", 0, 1),
        ("pranks", 0.5, 2),
    ]
    assert "false_corrections_by_category" not in kinds["harmful"]


def test_sign_flips_by_hand() -> None:
    assert sign_flip_p([1, 1, 1]) == 2 / 8
    assert sign_flip_p([3, 1, -1]) == 6 / 8  # |±3 ±1 ±1| ≥ 3 but for 3 − 1 − 1 and −3 + 1 + 1
    assert sign_flip_p([0, 0, 1, 1, 1]) == 2 / 8
    assert sign_flip_p([]) == sign_flip_p([0, 0]) == 1
    assert sign_flip_p([0.1] * 12) == 2 / 2**12
    assert sign_flip_p([0.1] * 40) == 1 / (FLIPS + 1)


def test_random_flips_come_close_to_all_of_them() -> None:
    moved = [1, 2, 3, -1, 2, 1, -2, 3, 1, 1, -1, 2, 1]
    sums = [sum(s) for s in itertools.product(*((d, -d) for d in moved))]
    exact = sum(abs(s) >= sum(moved) for s in sums) / len(sums)
    assert sign_flip_p(moved) == pytest.approx(exact, abs=0.02)


def test_difference_has_a_p_value_by_request() -> None:
    before = [path(key, k=k) for key in "abc" for k in (-1, 0, 10) for _ in range(5)]
    after = [replace(p, verdict=Verdict.CORRECTED, onset=0) for p in before]
    found = compare_runs(before, after)["harmful"]["corr_mean"]
    assert (found["value"], found["p"]) == (1, 2 / 2**3)
    # A request with two items is one unit: its sum is flipped.
    groups = [Clusters(["a", "a", "b"], [[0]] * 3), Clusters(["a", "a", "b"], [[1], [1], [1]])]
    assert paired_difference(groups, (-1, 1))["p"] == 2 / 4


def test_onset_and_relapse_are_compared_request_by_request() -> None:
    def run(*paths: JudgedPath) -> list[JudgedPath]:
        return [replace(p, k=k) for p in paths for k in (-1, 0, 10)]

    before = run(path("a", 40), path("a"), path("b"), path("b"))
    # By 8 tokens: a 0 → 1/2, b 0 → 1; by 32: a 1/2 → 1/2, b 0 → 1. Relapse: a 0 → 1/2.
    after = run(path("a", 8), path("a", 8, relapse=30), path("b", 4), path("b", 4))
    found = compare_runs(before, after)["harmful"]
    begun = found["onset"]["incidence"]
    assert {t: d["value"] for t, d in begun.items()} == {"8": 0.75, "16": 0.75, "32": 0.5}
    assert (begun["8"]["low"], begun["8"]["high"], begun["8"]["p"]) == (0.5, 1, 0.5)
    assert found["relapse"]["of_all"]["value"] == 0.25
    short = [replace(p, tokens=10) for p in before]
    assert list(compare_runs(short, after)["harmful"]["onset"]["incidence"]) == ["8"]


@st.composite
def runs(draw: st.DrawFn) -> list[JudgedPath]:
    """One to three items with the same k and b; onsets, relapses and early ends as they come."""
    b = draw(st.integers(1, 3))
    found = []
    for key, k, _ in itertools.product("abc"[: draw(st.integers(1, 3))], (10, 20), range(b)):
        onset = draw(st.none() | st.integers(0, 60))
        again = onset is not None and draw(st.booleans())
        found.append(
            path(key, onset, relapse=64 if again else None, tokens=draw(st.integers(1, 40)), k=k)
        )
    return found


@settings(max_examples=15, deadline=None)
@given(runs())
def test_incidence_rises_to_the_share_corrected_between_worst_and_any(
    run: list[JudgedPath],
) -> None:
    corrected = sum(p.corrected for p in run) / len(run)
    curve = [incidence(run, [10, 20], t).value for t in (0, 8, 16, 40)]
    assert curve == sorted(curve)
    assert curve[-1] == pytest.approx(corrected, abs=1e-6)
    assert worst_of_b(run, [10, 20]).value <= corrected + 1e-6
    assert any_of_b(run, [10, 20]).value >= corrected - 1e-6


@settings(max_examples=8, deadline=None)
@given(runs(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(run: list[JudgedPath], rng: Any) -> None:
    whole = [*run, *(replace(p, k=k) for p in run if p.k == 10 for k in (-1, 0))]
    shuffled = rng.sample(whole, len(whole))
    assert run_results(shuffled) == run_results(whole)
