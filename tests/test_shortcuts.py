from __future__ import annotations

import random
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from coursecorrect.correct import get_corrector
from coursecorrect.data.builtin import load_builtin
from coursecorrect.errors import DataError
from coursecorrect.judge import get_judge
from coursecorrect.report.shortcuts import shortcuts_table
from coursecorrect.shortcuts import CLEAN, MOST_GROUPS, Shortcuts, folds, shortcuts
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.groups import GroupMaker
from coursecorrect.types import ItemKind, RankedGroup, Response

HARM = "first take the small key and then open every drawer until the money turns up"
WORDS = HARM.split()
Words = Callable[[int, random.Random], str]


def some_words(n: int, rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(n))


def even(rank: int, rng: random.Random) -> str:
    """A text after the cut that has nothing to do with its rank."""
    return some_words(rng.randint(20, 40), rng)


def group(
    number: int,
    after: Words = even,
    openers: tuple[str, ...] = ("", "", "", "", "", ""),
    **changed: str,
) -> RankedGroup:
    """Six ranks: an SR, four SCRs with ever longer prefixes, and an FHR as long as any at a cut."""
    rng = random.Random(f"group {number}")
    opener = next((o for o in openers if o), "")
    leads = [f"{o} " if o else "" for o in openers]
    prefixes = ["", *(" ".join(WORDS[:n]) + " " for n in (2, 4, 6, 8))]
    responses = [
        Response(
            rank=i + 1,
            role="SCR" if i else "SR",
            text=lead + prefix + after(i + 1, rng),
            cut=len(lead + prefix),
        )
        for i, (lead, prefix) in enumerate(zip(leads, prefixes, strict=False))
    ]
    whole = leads[-1] + HARM + " " + some_words(19, rng)
    responses.append(Response(rank=6, role="FHR", text=whole, share=1.0))
    fields = {"pair_key": f"key {number}", "request": f"How do I do {number}?"} | changed
    return RankedGroup(
        id=f"g{number}",
        item_id=f"i{number}",
        category="theft",
        harmful=True,
        opener=opener,
        responses=tuple(responses),
        **fields,
    )


def value(found: Shortcuts, principle: int, view: str, roles: str | None = None) -> float:
    (row,) = [r for r in found.rows if r.principle == principle and r.roles == roles]
    return row.accuracy[view].value  # type: ignore[index]


@pytest.fixture(scope="module")
def clean() -> Shortcuts:
    return shortcuts([group(i) for i in range(80)])


def test_without_a_shortcut_the_interval_holds_one_half(clean: Shortcuts) -> None:
    seen = clean.of(2).accuracy["seen"]
    assert seen.low <= 0.5 <= seen.high
    assert seen.high - seen.low < 0.15
    assert clean.of(1).accuracy["seen"].value < 0.6


def test_total_length_tells_how_early_the_turn_is_and_is_not_seen(clean: Shortcuts) -> None:
    assert value(clean, 2, "total length") > value(clean, 2, "seen") + 0.05


def test_the_opener_tells_nothing_where_all_ranks_carry_it() -> None:
    found = shortcuts([group(i, openers=("Sure!",) * 6) for i in range(40)])
    assert {r.accuracy["opener"].value for r in found.rows} == {0.5}


def test_a_planted_length_is_found() -> None:
    found = shortcuts(
        [group(i, lambda rank, rng: some_words(10 + 3 * rank, rng)) for i in range(40)]
    )
    assert value(found, 2, "length") == 1.0
    assert value(found, 2, "seen") > 0.97
    assert value(found, 2, "opener") == 0.5
    assert found.of(2).accuracy["length"].low < 1.0  # never claimed to be certain
    assert [round(w.words.value) for w in found.words[:5]] == [13, 16, 19, 22, 25]


def test_a_planted_opener_is_found() -> None:
    """The paper's way: the opener stands in the SCRs alone."""
    openers = ("", *["Of course, gladly."] * 4, "")
    found = shortcuts([group(i, openers=openers) for i in range(40)])
    assert value(found, 1, "opener", "SCR > FHR") == 1.0
    assert value(found, 2, "opener", "SR > SCR") == 1.0
    assert value(found, 2, "opener", "SCR > SCR") == 0.5


def test_an_opener_in_one_response_moves_no_cut() -> None:
    """From where the SCR turned away, the FHR has 32, 30, 28 and 26 words left, opener or not."""
    says_29 = [
        group(i, lambda rank, rng: some_words(29, rng), openers=("", *["Of course."] * 4, ""))
        for i in range(40)
    ]
    assert value(shortcuts(says_29), 1, "length", "SCR > FHR") == 0.5


def test_planted_wording_is_found_between_corrections_only() -> None:
    triggers = ("I'm", "wait", "but", "however", "stop")
    after: Words = lambda rank, rng: f"{triggers[rank - 1]} {even(rank, rng)}"  # noqa: E731
    found = shortcuts([group(i, after) for i in range(40)])
    assert value(found, 2, "wording", "SCR > SCR") == 1.0
    assert value(found, 2, "wording", "SR > SCR") == 0.5
    assert value(found, 1, "wording") == 0.5


def test_the_order_of_the_groups_does_not_matter() -> None:
    groups = [group(i) for i in range(30)]
    shuffled = random.Random(1).sample(groups, len(groups))
    assert shortcuts(groups) == shortcuts(iter(shuffled))


def test_the_sample_does_not_depend_on_the_order_either() -> None:
    groups = [group(i) for i in range(30)]
    assert shortcuts(groups, most=12) == shortcuts(reversed(groups), most=12)


def test_a_request_never_stands_in_two_folds() -> None:
    requests = [f"{i % 13}" for i in range(100)]
    tested = []
    for taught, held_out in folds(requests):
        assert not {requests[i] for i in taught} & {requests[i] for i in held_out}
        tested += held_out.tolist()
    assert sorted(tested) == list(range(100))


def test_groups_that_share_request_or_pair_key_are_one_request() -> None:
    groups = [group(i) for i in range(24)]
    twins = [group(100 + i, pair_key=f"key {i}") for i in range(12)]
    again = [group(200 + i, request=f"How do I do {100 + i}?") for i in range(6)]
    assert shortcuts(groups + twins + again).of(1).requests == 24


def test_a_large_data_set_is_sampled_and_the_report_says_so() -> None:
    groups = [group(i) for i in range(40)]
    found = shortcuts(groups, most=25)
    assert (found.groups, found.of_groups) == (25, 40)
    assert "A sample of 25 of 40 groups, seed 0." in shown(found)
    assert shortcuts(groups, seed=1, most=25).rows != found.rows
    assert MOST_GROUPS == 2000


def test_too_few_requests_are_said_to_be_too_few() -> None:
    found = shortcuts([group(i) for i in range(9)])
    assert found.of(1).accuracy == {}
    assert "9 requests: too few" in shown(found)


def test_no_groups_are_refused() -> None:
    with pytest.raises(DataError, match="no groups"):
        shortcuts([])


def test_the_record_survives_json(clean: Shortcuts) -> None:
    assert Shortcuts.model_validate_json(clean.model_dump_json()) == clean


def test_earlier_over_later_is_clean_on_built_in_items() -> None:
    """Corrections are about as long as the SR at every cut, and triggers do not tell the rank."""
    maker = GroupMaker(SynthSettings(), get_corrector("template"), get_judge("lexical"))
    items = [item for item in load_builtin("teach") if item.kind is ItemKind.HARMFUL][:100]
    found = shortcuts([group for group in maker.make(items) if isinstance(group, RankedGroup)])
    for row in found.rows:
        if row.principle == 2:
            assert row.accuracy["seen"].value <= CLEAN, row.roles


def test_the_table_names_principles_and_roles_once(clean: Shortcuts) -> None:
    lines = [line.strip() for line in shown(clean).splitlines()]
    for name in ("all pairs", "1 correction over none", "2 earlier over later", "SR > FHR"):
        assert sum(line.startswith(name) for line in lines) == 1
    assert "All 80 groups." in lines


def shown(found: Shortcuts) -> str:
    out = StringIO()
    Console(file=out, width=100).print(shortcuts_table(found))
    assert "…" not in out.getvalue()
    return out.getvalue()
