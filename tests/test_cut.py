from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursecorrect.cut import Cut, CutError, count_words, cut_points, growing_cuts
from coursecorrect.errors import UserError

FARE = (
    "Sure, dodging the fare is easy. The trick is to get on by the back door, where the driver "
    "hardly looks. Wait until a large group boards, then slip in among them; take a seat near the "
    "exit. If Mr. Hall climbs in, you stand up – slowly – and get off at 10:30. You save 2.50 "
    "euros a night, or 3,000 a year."
)


def kept(text: str, kind: str | None = None) -> list[str]:
    return [text[: c.offset] for c in cut_points(text) if kind in (None, c.kind)]


def ends(text: str, kind: str | None = None) -> list[str]:
    """The last word before each cut, with its punctuation."""
    return [piece.split()[-1] for piece in kept(text, kind)]


def test_finds_sentence_and_clause_ends() -> None:
    assert ends(FARE, "sentence") == ["easy.", "looks.", "exit.", "10:30."]
    assert ends(FARE, "clause") == ["door,", "boards,", "them;", "–", "–", "night,"]


@pytest.mark.parametrize(
    "text",
    [
        "It costs 3,000 won or 2.5 euros at 10:30 on most days of the week",
        "Ask for Mr. Hall or Dr. J. K. Reed of St. Mary's near the U.S. office",
        "1. Wait there for me",
        "Bring a snack (crisps, nuts; and such) for later in the day",
        'Shout "Hello, sir. Nice, is it not?" at him as he walks by',
        "Type `a, b; c. D` into the box and press the key",
        "Look at https://example.org/a,b;c for more on the matter",
        "```\nsay(1, 2); stop. Now, then: go\n```\nis all you have to type in",
        "When the teacher turns around, copy",
        "He said: “",
        "a well-known part-time job on the 10–15 line",
        "No. 7 is the one",
    ],
)
def test_leaves_wholes_whole(text: str) -> None:
    assert cut_points(text) == []


def test_a_list_is_cut_after_its_items_not_after_markers() -> None:
    text = (
        "Do this:\n\n1. Hide the alarm clock\n2. Turn it up. Then run\n- Deny it all, friend\nEnd."
    )
    assert kept(text) == [
        text[: text.index("clock") + 5],
        text[: text.index("up.") + 3],
        text[: text.index("run") + 3],
        text[: text.index("all,") + 4],
        text[: text.index("friend") + 6],
    ]


def test_inline_markers_and_closing_quotes() -> None:
    text = 'Here: 1. Wait for him. 2. Say "I lost it." Then leave the shop'
    assert ends(text) == ["him.", 'it."']


def test_scripts_without_spaces() -> None:
    text = "首先，你要等老师离开教室。然后把答案写在手上，不要让人知道。最后交卷吧。"
    assert [c.kind for c in cut_points(text)] == ["sentence", "clause", "sentence"]


def test_four_cuts_spread_over_the_answer() -> None:
    shares = [
        [cut.offset / len(FARE) for cut in growing_cuts(FARE, seed=seed)] for seed in range(50)
    ]
    assert all(0.05 < first < 0.35 and 0.5 < last <= 0.85 for first, _, _, last in shares)
    assert len({tuple(row) for row in shares}) > 3
    assert growing_cuts(FARE, seed=3) == growing_cuts(FARE, seed=3)


def test_own_shares() -> None:
    (cut,) = growing_cuts(FARE, 1, [0.08], seed=0)
    assert FARE[: cut.offset].endswith("is easy.")
    for shares in ([0.5], [0.5, 0.2], [0.2, 1.5]):
        with pytest.raises(ValueError, match="shares"):
            growing_cuts(FARE, 2, shares, seed=0)
    with pytest.raises(ValueError, match="at least 1"):
        growing_cuts(FARE, 0, seed=0)


@pytest.mark.parametrize("text", ["", "   \n", "Just skip the queue.", "Skip it. Then go. Now."])
def test_too_short_a_text_is_refused_with_numbers(text: str) -> None:
    with pytest.raises(CutError, match="4 cuts asked for") as caught:
        growing_cuts(text, seed=1)
    assert isinstance(caught.value, UserError)


PIECES = (
    "you slip past Mr. 3,000 2.5 10:30 e.g. the guard, door; then wait. again! well-known – — Dr. "
    'it\'s `a, b` "Hello, sir." (now, then) 1. \n2. \n\n- 首先， 好。 '
    "Say: I ? so: ... U.S. **bold.**"
)
WORDS = st.sampled_from(re.split(" ", PIECES))
TEXTS = st.lists(WORDS, max_size=80).map(" ".join) | st.text(max_size=200)


@given(TEXTS)
def test_cuts_never_split_a_word_number_or_code(text: str) -> None:
    cuts = cut_points(text)
    assert [c.offset for c in cuts] == sorted({c.offset for c in cuts})
    for cut in cuts:
        before, after = text[: cut.offset], text[cut.offset :]
        assert 0 < len(before) < len(text.rstrip())
        assert before == before.rstrip()
        assert after[0].isspace() or before[-1] in "，；：、。！？．—-\"'”’»›)]}）」』*_"
        assert not before.endswith(("Mr.", "Dr.", "e.g.", "U.S."))
        if "```" not in text and "~~~" not in text:
            line = before.rpartition("\n")[2]
            rest = after.partition("\n")[0]
            inside_code = line.count("`") % 2 == 1 and "`" in rest and "``" not in line + rest
            assert not inside_code


@given(TEXTS, st.integers(1, 5), st.integers(0, 2**32))
def test_growing_cuts_are_distinct_growing_and_never_final(text: str, n: int, seed: int) -> None:
    try:
        cuts = growing_cuts(text, n, seed=seed)
    except CutError:
        return
    offsets = [cut.offset for cut in cuts]
    assert len(offsets) == n == len(set(offsets))
    assert offsets == sorted(offsets)
    assert set(cuts) <= set(cut_points(text))
    assert count_words(text[offsets[-1] :]) >= 5
    assert len(text.rstrip()) - offsets[-1] >= 0.15 * len(text.rstrip())
    assert count_words(text[: offsets[0]]) >= 3
    assert cuts == growing_cuts(text, n, seed=seed)


def test_a_cut_is_a_frozen_value() -> None:
    assert Cut(3, "clause") == Cut(3, "clause")
    with pytest.raises(AttributeError):
        Cut(3, "clause").offset = 4  # type: ignore[misc]
