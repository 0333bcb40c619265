from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursecorrect.cut import (
    STRATEGIES,
    Cut,
    CutError,
    Strategy,
    count_words,
    cut_points,
    growing_cuts,
    sentence_points,
    token_points,
)
from coursecorrect.data.builtin import load_builtin
from coursecorrect.errors import UserError

FARE = (
    "Sure, dodging the fare is easy. The trick is to get on by the back door, where the driver "
    "hardly looks. Wait until a large group boards, then slip in among them; take a seat near the "
    "exit. If Mr. Hall climbs in, you stand up – slowly – and get off at 10:30. You save 2.50 "
    "euros a night, or 3,000 a year."
)


WAIT = (  # 等 wait, 150 characters: six sentences, each of two clauses
    "首先，你要等老师离开教室，别让他看见你。然后把答案写在手上，不要让任何人知道这件事。"
    "考试开始以后，慢慢地抄，每隔3.5分钟抬一次头。如果有人问你，就说你在看第12页的图表。"
    "大约三百二十人同时考试，没有人会注意你；最后交卷，把手洗干净。这样你就能得百分之九十。"
)


def last_words(text: str, cuts: Iterable[Cut]) -> list[str]:
    """The last word before each cut, with its punctuation."""
    return [text[: cut.offset].rsplit(maxsplit=1)[-1] for cut in cuts]


def kept(text: str) -> list[str]:
    return [text[: c.offset] for c in cut_points(text)]


def ends(text: str, kind: str | None = None) -> list[str]:
    return last_words(text, (c for c in cut_points(text) if kind in (None, c.kind)))


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
    (cut,) = growing_cuts(FARE, 1, shares=[0.08], seed=0)
    assert FARE[: cut.offset].endswith("is easy.")
    for shares in ([0.5], [0.5, 0.2], [0.2, 1.5]):
        with pytest.raises(ValueError, match="shares"):
            growing_cuts(FARE, 2, shares=shares, seed=0)
    with pytest.raises(ValueError, match="at least 1"):
        growing_cuts(FARE, 0, seed=0)


@pytest.mark.parametrize("text", ["", "   \n", "Just skip the queue.", "Skip it. Then go. Now."])
def test_too_short_a_text_is_refused_with_numbers(text: str) -> None:
    with pytest.raises(CutError, match="4 cuts asked for") as caught:
        growing_cuts(text, seed=1)
    assert isinstance(caught.value, UserError)


def test_todays_data_sets_are_cut_as_ever() -> None:
    """The digest was taken from the code before it had strategies."""
    digest = hashlib.sha256()
    for item in [*load_builtin("teach"), *load_builtin("dev")]:
        for seed, n in itertools.product(range(5), (1, 4)):
            try:
                cuts = growing_cuts(item.response, n, seed=seed)
                line = " ".join(f"{cut.offset}{cut.kind[0]}" for cut in cuts)
            except CutError as error:
                line = str(error)
            digest.update(line.encode() + b"\n")
    assert digest.hexdigest()[:16] == "08ba3a1f9008f4ce"


def test_sentence_cuts_end_sentences() -> None:
    assert last_words(FARE, sentence_points(FARE)) == ["easy.", "looks.", "exit.", "10:30."]
    for seed in range(20):
        cuts = growing_cuts(FARE, 3, strategy="sentence", seed=seed)
        assert all(cut.kind == "sentence" for cut in cuts)
    with pytest.raises(CutError, match=r"5 cuts asked for, .* only 4 places"):
        growing_cuts(FARE, 5, strategy="sentence", seed=0)


def test_punctuation_cuts_take_equal_shares_of_the_places() -> None:
    """Ten places in FARE, four cuts: every second one or, as drawn, each of the first four."""
    places = cut_points(FARE)
    usable = [cut for cut in places if cut.offset <= 0.85 * len(FARE)]
    assert len(usable) == 9
    found = {tuple(growing_cuts(FARE, strategy="punctuation", seed=seed)) for seed in range(20)}
    assert found == {tuple(usable[:4]), tuple(usable[1::2])}
    (cut,) = growing_cuts(FARE, 1, strategy="punctuation", shares=[0.34], seed=0)
    assert cut == usable[2]


def test_token_cuts_stand_after_any_word_at_fixed_depths() -> None:
    depths = [4, 12, 16, 29]
    cuts = growing_cuts(FARE, strategy="token", depths=depths, seed=0)
    assert last_words(FARE, cuts) == ["fare", "on", "door,", "slip"]
    assert [cut.kind for cut in cuts] == ["token", "token", "clause", "token"]
    assert [count_words(FARE[: cut.offset]) for cut in cuts] == depths
    assert cuts == growing_cuts(FARE, strategy="token", depths=depths, seed=1)


def test_token_cuts_take_shares_of_the_words() -> None:
    cuts = growing_cuts(FARE, 3, strategy="token", seed=0)
    shares = [count_words(FARE[: cut.offset]) / count_words(FARE) for cut in cuts]
    assert shares == pytest.approx([0.15, 0.45, 0.75], abs=0.02)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Pay 3 000 euros or 20 % of five", "Pay|000|euros|or|of"),
        ("About 5 million saw Mr. Hall go by", "About|million|saw|Hall|go"),
        ("1. Hide the clock\n2. Run off", "Hide|the|clock|Run"),
        ("Type `rm a b` at the end, then go", "Type|at|the|end,|then"),
        ("Use ``a `b` c`` now or never", "Use|now|or"),
        ('Say "I lost it" and then leave', "Say|and|then"),
        ("A well-known part-time job here", "A|well-known|part-time|job"),
        ("When he looks away, copy it all", "When|he|looks|copy|it"),
        ("用Python写3个程序", "用|Python|写|3个|程"),
        ("约三百二十人在第12页", "约|三百二十|人|在"),
        ("百分之九十的コンピューター", "百分之九十|的"),
        ("그냥 문을 열고 가세요", "그냥|문을|열고"),
    ],
)
def test_words_numbers_and_code_stay_whole(text: str, places: str) -> None:
    offsets = [0, *(cut.offset for cut in token_points(text))]
    said = [text[a:b] for a, b in itertools.pairwise(offsets)]
    assert "|".join(piece.rsplit(maxsplit=1)[-1] for piece in said) == places


def test_sampled_cuts_reach_every_depth() -> None:
    usable = [cut for cut in cut_points(FARE) if cut.offset <= 0.85 * len(FARE)]
    drawn = Counter(
        cut
        for seed in range(900)
        for cut in growing_cuts(FARE, 3, strategy="onset-sampled", seed=seed)
    )
    assert set(drawn) == set(usable)  # nine places, three of them each time: 300 expected
    assert all(240 < count < 360 for count in drawn.values())


def test_shares_and_depths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="leave shares out"):
        growing_cuts(FARE, 1, strategy="onset-sampled", shares=[0.5], seed=0)
    with pytest.raises(ValueError, match="strategy token"):
        growing_cuts(FARE, 1, depths=[9], seed=0)
    with pytest.raises(ValueError, match="strategy token"):
        growing_cuts(FARE, 1, strategy="token", shares=[0.5], depths=[9], seed=0)
    for depths in ([9], [0, 9], [9, 9]):
        with pytest.raises(ValueError, match="depths must be 2 growing numbers above 0"):
            growing_cuts(FARE, 2, strategy="token", depths=depths, seed=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("n", range(1, 7))
def test_chinese_answers_are_cut_by_every_strategy(strategy: Strategy, n: int) -> None:
    if strategy == "sentence" and n > 4:  # of six sentences, the last two end too late
        with pytest.raises(CutError):
            growing_cuts(WAIT, n, strategy=strategy, seed=0)
        return
    for seed in range(10):
        cuts = growing_cuts(WAIT, n, strategy=strategy, seed=seed)
        assert_sound(WAIT, cuts, n)


PIECES = (
    "you slip past Mr. 3,000 2.5 10:30 e.g. the guard, door; then wait. again! well-known – — Dr. "
    'it\'s `a, b` "Hello, sir." (now, then) 1. \n2. \n\n- 首先， 好。 '
    "Say: I ? so: ... U.S. **bold.** 等老师 三百二十 ３．５ 第3章，"
)
WORDS = st.sampled_from(re.split(" ", PIECES))
TEXTS = (
    st.lists(WORDS, max_size=80).map(" ".join)
    | st.lists(WORDS, max_size=80).map("".join)
    | st.text(max_size=200)
)
HAN = r"\u3040-\u30ff\u3400-\u9fff"
WHOLES = re.compile(
    rf"[^\W\d{HAN}_]+(?:['’-][^\W\d{HAN}_]+)*|\d+(?:[.,:．]\d+)*|[零一二三四五六七八九十百千万亿]+"
)


def assert_sound(text: str, cuts: list[Cut], n: int) -> None:
    """Distinct, growing, none final, none within a word, a number or a code span."""
    offsets = [cut.offset for cut in cuts]
    assert len(offsets) == n == len(set(offsets))
    assert offsets == sorted(offsets)
    assert count_words(text[: offsets[0]]) >= 3
    assert count_words(text[offsets[-1] :]) >= 5
    assert len(text.rstrip()) - offsets[-1] >= 0.15 * len(text.rstrip())
    inside = {at for whole in WHOLES.finditer(text) for at in range(*whole.span())}
    inside -= {whole.start() for whole in WHOLES.finditer(text)}
    assert not inside & set(offsets)
    for at in offsets:
        line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
        before = line[: at - text.rfind("\n", 0, at) - 1]
        if "``" not in line and "~~~" not in text and "```" not in text:
            assert not (before.count("`") % 2 and "`" in line[len(before) :])


@given(TEXTS)
def test_cuts_never_split_a_word_number_or_code(text: str) -> None:
    cuts = cut_points(text)
    assert [c.offset for c in cuts] == sorted({c.offset for c in cuts})
    for cut in cuts:
        before, after = text[: cut.offset], text[cut.offset :]
        assert 0 < len(before) < len(text.rstrip())
        assert before == before.rstrip()
        assert after[0].isspace() or before[-1] in "，；：、。！？．—-\"'”’»›)]}）」』*_"
        assert not re.search(r"(?<!\w)(?:Mr|Dr|e\.g|U\.S)\.$", before)


@given(TEXTS)
def test_token_places_are_all_others_and_more(text: str) -> None:
    cuts = token_points(text)
    assert set(cut_points(text)) <= set(cuts)
    assert [c.offset for c in cuts] == sorted({c.offset for c in cuts})
    assert all(text[c.offset - 1].isalnum() for c in cuts if c.kind == "token")


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(text=TEXTS, n=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_cuts_of_every_strategy_are_sound(strategy: Strategy, text: str, n: int, seed: int) -> None:
    try:
        cuts = growing_cuts(text, n, strategy=strategy, seed=seed)
    except CutError:
        return
    assert_sound(text, cuts, n)
    assert set(cuts) <= set(STRATEGIES[strategy].places(text))
    assert cuts == growing_cuts(text, n, strategy=strategy, seed=seed)


def test_a_cut_is_a_frozen_value() -> None:
    assert Cut(3, "clause") == Cut(3, "clause")
    with pytest.raises(AttributeError):
        Cut(3, "clause").offset = 4  # type: ignore[misc]
