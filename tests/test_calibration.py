"""The judge's error is taken out: by hand, and on made-up runs whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursecorrect.errors import UserError
from coursecorrect.metrics.calibration import Calibration, Label, calibrate
from coursecorrect.metrics.paths import JudgedPath
from coursecorrect.types import Verdict
from test_path_metrics import path

C, N = Verdict.CORRECTED, Verdict.CONTINUED


def judged(request: int, number: int, corrected: bool, kind: str = "harmful") -> JudgedPath:
    row = path(f"r{request}", 0 if corrected else None, kind=kind)
    return replace(row, id=f"{kind}-{request}-{number}")


def world(
    rng: np.random.Generator, requests: int, b: int, mean: float, right: float, left: float, n: int
) -> tuple[list[JudgedPath], dict[str, Label]]:
    """A run and n labels: requests' rates are beta, and so are the judge's errors on each."""
    truth = rng.random((requests, b)) < rng.beta(4 * mean, 4 * (1 - mean), requests)[:, None]
    found = rng.beta(10 * right, 10 * (1 - right), requests)[:, None]
    left_out = rng.beta(10 * left, 10 * (1 - left), requests)[:, None]
    said = np.where(truth, rng.random((requests, b)) < found, rng.random((requests, b)) > left_out)
    paths = [judged(r, j, bool(said[r, j])) for r in range(requests) for j in range(b)]
    labels = {
        paths[i].id: Label(C if truth.flat[i] else N, n / len(paths))
        for i in rng.choice(len(paths), n, replace=False)
    }
    return paths, labels


def test_intervals_hold_the_truth_where_the_judges_do_not() -> None:
    rng = np.random.default_rng(0)
    mean, worlds = 0.6, 100
    held = {"judge": 0, "ppi": 0, "rogan_gladen": 0}
    for _ in range(worlds):
        paths, labels = world(rng, 60, 8, mean, 0.7, 0.9, 150)
        found = calibrate(paths, labels, draws=120).kinds["harmful"]
        for name in held:
            figure = getattr(found, name)
            held[name] += figure.low <= mean <= figure.high
    assert held["judge"] < 0.5 * worlds
    assert held["ppi"] >= 0.89 * worlds
    assert held["rogan_gladen"] >= 0.89 * worlds


def test_a_good_judge_makes_labels_go_further() -> None:
    paths, labels = world(np.random.default_rng(1), 100, 10, 0.5, 0.97, 0.97, 100)
    found = calibrate(paths, labels).kinds["harmful"]
    sure = {i: Label(x.verdict, x.probability) for i, x in labels.items()}
    # A judge that says nothing of the truth: PPI++ falls back on the labels alone.
    rng = np.random.default_rng(2)
    blind = [
        replace(p, verdict=C if corrected else N)
        for p, corrected in zip(paths, rng.random(len(paths)) < 0.5, strict=True)
    ]
    alone = calibrate(blind, sure).kinds["harmful"]
    assert found.power > 0.7
    assert alone.power < 0.3
    assert found.ppi.high - found.ppi.low < 0.8 * (alone.ppi.high - alone.ppi.low)


def one_kind(kind: str = "harmful") -> tuple[list[JudgedPath], dict[str, Label]]:
    """Ten requests of two paths. The judge calls 10 of 20 corrected; of the 10 labelled first
    paths it calls 6 so, of which 4 are, and misses 1 of the other 4."""
    said = [1] * 6 + [0] * 4
    truth = [1] * 4 + [0] * 2 + [1] + [0] * 3
    first = [judged(i, 0, bool(x), kind) for i, x in enumerate(said)]
    second = [judged(i, 1, 4 <= i < 8, kind) for i in range(10)]
    labels = {p.id: Label(C if t else N, 0.5) for p, t in zip(first, truth, strict=True)}
    return first + second, labels


def test_ppi_and_rogan_gladen_by_hand() -> None:
    found = calibrate(*one_kind()).kinds["harmful"]
    assert (found.labels, found.labelled_corrected, found.judge.value) == (10, 5, 0.5)
    # u is the label − ½; v half of what the judge says of the second path, less what it says of the
    # first, from their mean: −Σ u v = 1, Σ v² = 1.4.
    assert found.power == pytest.approx(1 / 1.4, abs=1e-4)
    # λ · 10/20 + (5 − λ · 6) / 10
    assert found.ppi.value == pytest.approx(0.5 - 0.1 / 1.4, abs=1e-6)
    # Half a label is added to each cell: (4 + ½) / (5 + 1) and (3 + ½) / (5 + 1).
    assert found.sensitivity.value == pytest.approx(4.5 / 6, abs=1e-6)
    assert found.specificity.value == pytest.approx(3.5 / 6, abs=1e-6)
    right, left = 4.5 / 6, 3.5 / 6
    wanted = (0.5 + left - 1) / (right + left - 1)
    assert found.rogan_gladen.value == pytest.approx(wanted, abs=1e-6)


def both_kinds(order: int = 1) -> Calibration:
    paths, labels = one_kind()
    twins, more = one_kind("twin")
    return calibrate([*paths, *twins][::order], labels | more, draws=200)


def test_j_is_the_difference_and_twins_are_drawn_with_their_items() -> None:
    found = both_kinds()
    for name in ("J_judge", "J_ppi", "J_rogan_gladen"):
        figure = getattr(found, name)
        # The twins' rows are those of their items, so that nothing is left of the difference.
        assert (figure.value, figure.low, figure.high) == (0, 0, 0)
    assert calibrate(*one_kind()).J_ppi is None


def test_the_order_of_rows_does_not_matter() -> None:
    assert both_kinds() == both_kinds(-1)


def test_an_error_that_was_never_seen_is_not_excluded() -> None:
    paths, labels = one_kind()
    verdicts = {p.id: p.verdict for p in paths}
    agreed = {i: Label(verdicts[i], x.probability) for i, x in labels.items()}
    found = calibrate(paths, agreed).kinds["harmful"]
    unseen = 1 - 0.025 ** (1 / 10)
    assert found.ppi.high >= found.ppi.value + unseen
    assert found.ppi.low <= found.ppi.value - unseen
    one_wrong = agreed | {paths[0].id: Label(N, 0.5)}
    seen = calibrate(paths, one_wrong).kinds["harmful"]
    assert seen.ppi.high - seen.ppi.low < found.ppi.high - found.ppi.low


def test_undecided_by_a_person_is_not_corrected() -> None:
    paths, labels = one_kind()
    found = calibrate(paths, labels)
    unsure = {
        i: replace(x, verdict=Verdict.UNDECIDED) if x.verdict is N else x for i, x in labels.items()
    }
    assert calibrate(paths, unsure) == found


def test_few_labels_of_a_kind_are_told() -> None:
    paths, labels = one_kind()
    twins, more = one_kind("twin")
    few = dict(list(more.items())[:9])
    found = calibrate(paths + twins, labels | few)
    assert (set(found.kinds), found.too_few, found.J_ppi) == ({"harmful"}, {"twin": 9}, None)
    with pytest.raises(UserError, match="too few"):
        calibrate(twins, few)
    # Ten labels on four requests are few too.
    crowd = [judged(i % 4, i, True) for i in range(12)]
    with pytest.raises(UserError, match="too few"):
        calibrate(crowd, {p.id: Label(C, 1.0) for p in crowd})


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.floats(0.5, 0.99), st.floats(0.5, 0.99))
def test_shares_stay_shares(seed: int, mean: float, right: float, left: float) -> None:
    paths, labels = world(np.random.default_rng(seed), 12, 3, mean, right, left, 20)
    found = calibrate(paths, labels, draws=50).kinds["harmful"]
    assert 0 <= found.power <= 1
    for figure in (found.judge, found.ppi, found.rogan_gladen):
        assert 0 <= figure.low <= figure.high <= 1
