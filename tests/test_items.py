from __future__ import annotations

from collections import Counter

import pytest

from coursecorrect.data.builtin import NEVER_TAUGHT, items_hash, load_builtin
from coursecorrect.data.openers import LOCKED, OPENERS, TAUGHT, opener_for
from coursecorrect.data.words import normalized
from coursecorrect.judge import get_judge
from coursecorrect.types import Continuation, Item, ItemKind

MEASURE = [*load_builtin("dev"), *load_builtin("locked")]
TEACH = load_builtin("teach")
ALL = [*MEASURE, *TEACH]


def of(items: list[Item], kind: ItemKind) -> list[Item]:
    return [item for item in items if item.kind is kind]


@pytest.mark.parametrize(
    ("items", "harmful", "ordinary"),
    [(MEASURE, 60, 60), (TEACH, 150, 100)],
    ids=["measure", "teach"],
)
def test_there_are_enough(items: list[Item], harmful: int, ordinary: int) -> None:
    assert len(of(items, ItemKind.HARMFUL)) >= harmful
    assert len(of(items, ItemKind.ORDINARY)) >= ordinary


def test_categories_are_many_and_two_are_never_taught() -> None:
    measured = {item.category for item in of(MEASURE, ItemKind.HARMFUL)}
    taught = {item.category for item in TEACH}
    assert len(measured) >= 12
    assert len(NEVER_TAUGHT) == 2
    assert measured - taught == NEVER_TAUGHT
    assert not NEVER_TAUGHT & {item.category for item in load_builtin("dev")}
    locked = Counter(item.category for item in of(load_builtin("locked"), ItemKind.HARMFUL))
    assert all(locked[category] >= 3 for category in NEVER_TAUGHT)


def test_a_third_of_the_openers_is_never_taught() -> None:
    assert len(OPENERS) == len(set(OPENERS)) == 15
    assert len(LOCKED) == 5
    assert not set(TAUGHT) & set(LOCKED)
    drawn = Counter(opener_for(item.pair_key, "locked") for item in of(MEASURE, ItemKind.HARMFUL))
    assert set(drawn) == set(LOCKED)
    assert {opener_for(item.pair_key, "taught") for item in TEACH} == set(TAUGHT)


def test_answers_are_long_enough_to_be_cut() -> None:
    for item in of(MEASURE, ItemKind.HARMFUL):
        assert 100 <= len(item.response.split()) <= 200, item.request
    for item in of(TEACH, ItemKind.HARMFUL):
        assert len(item.response.split()) >= 60, item.request


@pytest.mark.parametrize("split", ["dev", "locked", "teach"])
def test_every_harmful_item_has_one_twin(split: str) -> None:
    items = load_builtin(split)  # type: ignore[arg-type]
    harmful = Counter(item.pair_key for item in of(items, ItemKind.HARMFUL))
    twins = Counter(item.pair_key for item in of(items, ItemKind.TWIN))
    assert harmful == twins
    assert set(harmful.values()) == {1}
    category = {item.pair_key: item.category for item in of(items, ItemKind.HARMFUL)}
    assert all(category[item.pair_key] == item.category for item in of(items, ItemKind.TWIN))


def test_no_pair_lies_in_two_splits() -> None:
    splits: dict[str, set[str]] = {}
    for item in ALL:
        splits.setdefault(item.pair_key, set()).add(item.split)
    assert all(len(found) == 1 for found in splits.values())


def test_taught_items_bring_what_a_correction_needs() -> None:
    for item in of(TEACH, ItemKind.HARMFUL):
        assert item.safe_response, item.request
        assert item.reason, item.request
        assert item.alternative, item.request


def test_no_request_and_no_answer_stands_twice() -> None:
    for texts in ([i.request for i in ALL], [i.response for i in ALL]):
        repeated = [t for t, n in Counter(normalized(text) for text in texts).items() if n > 1]
        assert repeated == []


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = normalized(text).split()
    return set(zip(*(words[i:] for i in range(n)), strict=False))


def test_the_benchmark_is_not_in_what_is_taught() -> None:
    taught = {normalized(item.request) for item in TEACH}
    assert not [i.request for i in MEASURE if normalized(i.request) in taught]
    requests = set().union(*(grams(item.request, 5) for item in TEACH))
    answers = set().union(*(grams(item.response, 6) for item in TEACH))
    for item in MEASURE:
        own = grams(item.request, 5)
        assert len(own & requests) <= 0.25 * len(own), item.request
        own = grams(item.response, 6)
        assert len(own & answers) <= 0.05 * len(own), item.request
    requests = set().union(*(grams(item.request, 5) for item in MEASURE))
    answers = set().union(*(grams(item.response, 6) for item in MEASURE))
    for item in TEACH:
        assert len(grams(item.request, 5) & requests) <= 1, item.request
        assert len(grams(item.response, 6) & answers) <= 1, item.request


def test_harmful_answers_hardly_ever_turn_away() -> None:
    harmful = of(ALL, ItemKind.HARMFUL)
    judged = get_judge("rules").judge(
        [
            Continuation(id=i.id, request=i.request, prefill="", continuation=i.response)
            for i in harmful
        ]
    )
    turned = [i.request for i, j in zip(harmful, judged, strict=True) if j.onset is not None]
    assert len(turned) <= 0.03 * len(harmful), turned


def test_the_digest_forgets_order_and_nothing_else() -> None:
    assert items_hash(MEASURE) == items_hash(MEASURE[::-1])
    changed = MEASURE[0].model_copy(update={"response": MEASURE[0].response + "."})
    assert items_hash([changed, *MEASURE[1:]]) != items_hash(MEASURE)
