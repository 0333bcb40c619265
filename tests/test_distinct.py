"""Distinct-n: by hand, and what must always hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursecorrect.metrics import compare_runs, run_results
from coursecorrect.metrics.distinct import SIZES, distinct, distinct_results
from coursecorrect.metrics.paths import JudgedPath
from coursecorrect.types import ItemKind, Verdict


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        # the cat saw the cat: 3 of 5 words, 3 of 4 pairs, 3 of 3 runs of three
        (["The cat saw the cat."], (3 / 5, 3 / 4, 1)),
        # no pair goes from one text into the next: 1 of 4 words, 1 of 2 pairs, 1 run of three
        (["No, no: NO!", "no"], (1 / 4, 1 / 2, 1)),
        (["take the bread", "take the bread"], (1 / 2, 1 / 2, 1 / 2)),
        (["one two", "three four"], (1, 1, 0)),
        (["不要不要"], (2 / 4, 2 / 3, 1)),
        (["", " … "], (0, 0, 0)),
        ([], (0, 0, 0)),
    ],
)
def test_by_hand(texts: list[str], expected: tuple[float, ...]) -> None:
    assert tuple(distinct(texts, n) for n in SIZES) == pytest.approx(expected)


words = st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), max_size=5)


@given(words, st.sampled_from(SIZES), st.randoms(use_true_random=False))
def test_it_is_the_share_of_runs_that_are_the_first_of_their_kind(
    texts: list[str], size: int, rng: Any
) -> None:
    runs = [
        text[start : start + 2 * size - 1]  # words of one letter, a space between them
        for text in texts
        for start in range(0, len(text) - 2 * size + 2, 2)
    ]
    first = [run not in runs[:place] for place, run in enumerate(runs)]
    found = distinct(texts, size)
    assert found == pytest.approx(sum(first) / len(first) if runs else 0)
    # Said twice, every text has half the variety; their order says nothing.
    assert distinct(texts * 2, size) == pytest.approx(found / 2)
    assert distinct(rng.sample(texts, len(texts)), size) == found


def path(item: str, text: str, k: int, number: int) -> JudgedPath:
    return JudgedPath(
        item=item,
        key=f"key of {item}",
        kind=ItemKind.HARMFUL,
        category="pranks",
        k=k,
        depth=0.5,
        text=text,
        tokens=4,
        verdict=Verdict.CONTINUED,
        onset=None,
        relapse=None,
        id=f"{item}.{k}.{number}",
    )


def run(**items: str) -> list[JudgedPath]:
    """Of each item a path a word, half of them at k = 10 and half at 20, and bare ones."""
    found = []
    for item, text in items.items():
        each = text.split()
        found += [path(item, word, 10 + 10 * (i % 2), i // 2) for i, word in enumerate(each)]
        found += [path(item, "bare bare", k, 0) for k in (-1, 0)]
    return found


def test_the_continuations_of_an_item_count_together_and_items_alike() -> None:
    before = run(a="w x y z", b="w w w w")
    found = run_results(before)["kinds"]["harmful"]["distinct"]
    # Item a has 4 words of 4, b has 1 of 4; whoever pooled the items would find 4 of 8.
    assert (found["1"]["value"], found["1"]["n"]) == (pytest.approx(5 / 8), 2)
    assert found["2"]["value"] == 0
    once_more = [p for p in before if p.k > 0]
    assert distinct_results(once_more)["1"] == found["1"]


def test_the_difference_is_paired_by_request() -> None:
    before, after = run(a="w x y z", b="w x y w"), run(a="w w y z", b="w w w w")
    found = compare_runs(before, after)["harmful"]["distinct"]["1"]
    # a: 3/4 − 4/4, b: 1/4 − 3/4; both fall, so 2 of 4 sign flips reach as far.
    assert found["value"] == pytest.approx((-1 / 4 - 2 / 4) / 2)
    assert (found["low"], found["high"], found["p"]) == (-0.5, -0.25, 0.5)
