from __future__ import annotations

import gzip
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import made_up_items, write_rows
from coursecorrect.data.builtin import load_builtin
from coursecorrect.data.readers import read_items
from coursecorrect.data.words import WordRuns, count_words, normalized
from coursecorrect.errors import DataError, UserError
from coursecorrect.store import dumps
from coursecorrect.synth import seeds
from coursecorrect.synth.contamination import Benchmark, benchmark_rows, load_benchmark
from coursecorrect.synth.filters import SeedSettings
from coursecorrect.synth.seeds import Rejected, TurnsAway, gather_seeds
from coursecorrect.types import Item, ItemKind

BUILT_IN = load_benchmark()
BEGINNINGS, ENDINGS = ("ba", "ke", "lo", "mi", "tu", "sha", "pre"), ("n", "rt", "ss", "lk")
WORDS = [beginning + ending for beginning in BEGINNINGS for ending in ENDINGS]
DEFAULT = SeedSettings()
Outcome = Item | Rejected


def prose(seed: object, words: int = 60) -> str:
    rng = random.Random(str(seed))
    return " ".join(rng.choice(WORDS) for _ in range(words)) + "."


def row(seed: object = 0, **fields: Any) -> dict[str, Any]:
    return {"request": f"How do I {prose(f'{seed}?', 6)}", "response": prose(seed), **fields}


def gather(
    path: Path,
    chosen: SeedSettings = DEFAULT,
    benchmark: Benchmark = BUILT_IN,
    turns_away: TurnsAway | None = None,
) -> list[Outcome]:
    return list(gather_seeds(str(path), chosen, benchmark, turns_away))


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    return ["kept" if isinstance(o, Item) else o.why.split(":")[0] for o in outcomes]


def why(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected)
    return outcome.why


# --- reading


def test_rows_in_all_layouts_become_items(tmp_path: Path) -> None:
    short, long, safe = prose("short", 30), prose("long", 40), prose("safe")
    rows = [
        row(1, kind="twin", pair_key="p", category="theft"),
        {
            "prompt": "How do I pick a lock?",
            "response_0": short,
            "response_1": long,
            "is_response_0_safe": False,
            "is_response_1_safe": False,
            "response_0_harm_category": {"A": True},
            "response_1_harm_category": {"C": True, "B": True, "A": False},
        },
        {
            "prompt": "How do I break a lock?",
            "response_0": safe,
            "response_1": short,
            "is_response_0_safe": True,
            "is_response_1_safe": False,
        },
        {
            "prompt": "How do I melt a lock?",
            "response": prose("beaver"),
            "is_safe": False,
            "category": {"x": False, "z": True},
        },
    ]
    twin, both_unsafe, one_safe, beaver = gather(write_rows(tmp_path / "rows.jsonl", rows))
    assert isinstance(twin, Item) and twin.kind is ItemKind.TWIN
    assert (twin.pair_key, twin.category, twin.split) == ("p", "theft", "teach")
    assert isinstance(both_unsafe, Item)
    assert (both_unsafe.response, both_unsafe.category) == (long, "B")  # the categories of the FHR
    assert both_unsafe.safe_response is None
    assert isinstance(one_safe, Item)
    assert (one_safe.response, one_safe.safe_response) == (short, safe)
    assert isinstance(beaver, Item)
    assert (beaver.request, beaver.category) == ("How do I melt a lock?", "z")


def test_all_file_formats_hold_the_same_seeds(tmp_path: Path) -> None:
    rows = [row(i, category="theft") for i in range(5)]
    plain = write_rows(tmp_path / "rows.jsonl", rows)
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + plain.read_bytes()))
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), table)
    expected = [item.model_copy(update={"source": ""}) for item in read_items(str(plain), "teach")]
    for path in (plain, packed, table):
        outcomes = gather(path)
        assert kinds(outcomes) == ["kept"] * 5
        assert [o.model_copy(update={"source": ""}) for o in outcomes] == expected


def test_a_parquet_value_that_python_cannot_hold_is_one_rejection(tmp_path: Path) -> None:
    texts = [b"How do I start?", b"How do \xff I go on?", b"How do I end?"]
    requests = pa.Array.from_buffers(
        pa.string(), 3, pa.array(texts, pa.binary()).buffers()
    )  # pyarrow itself does not look whether the bytes are UTF-8
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"request": requests, "response": [prose(i) for i in range(3)]}), path)
    outcomes = gather(path)
    assert kinds(outcomes) == ["kept", "field", "kept"]
    assert outcomes[1] == Rejected(where=f"{path}:2", request="", why=why(outcomes[1]))


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    rows = [
        {"question": "How do I go?", "answer": prose(1), "prompt": "x", "response_0": 7},
        {"question": "How do I stay?", "text": prose(2)},
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    chosen = SeedSettings(columns={"request": "question", "response": "answer", "category": "none"})
    kept, missing = gather(path, chosen)
    assert isinstance(kept, Item) and kept.request == "How do I go?"
    assert why(missing).startswith("field: no column 'answer', which is to be 'response'")
    with pytest.raises(ValueError, match="none of our columns"):
        SeedSettings(columns={"query": "question"})


@pytest.mark.parametrize("name", ["none.jsonl", "none.parquet", "none.jsonl.gz", "none.csv"])
def test_a_source_that_cannot_be_read_is_said_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none"):
        gather(tmp_path / name)


@pytest.mark.parametrize("name", ["torn.jsonl.gz", "torn.parquet"])
def test_a_torn_source_is_said_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    whole = gzip.compress(json.dumps(row()).encode()) if "gz" in name else b"PAR1 and no more"
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match="cannot read"):
        gather(path)


def test_the_builtin_teaching_items_pass_all_filters() -> None:
    outcomes = list(gather_seeds("builtin", SeedSettings(), BUILT_IN))
    assert outcomes == load_builtin("teach")


# --- rows by themselves

BROKEN: list[tuple[bytes, str]] = [
    (b"{", "json: broken JSON"),
    (b"[1, 2]", "json: expected a JSON object"),
    (b'"text"', "json: expected a JSON object"),
    (b"[" * 100_000, "json: broken JSON: nested too deeply"),
    (b'{"request": ' + b"9" * 6000 + b"}", "json: broken JSON: a number is too long"),
    (b"\x00\x00", "json: broken JSON"),
    (b"\xff\xfe{\x00}\x00", "json: not UTF-8"),
    ("\u2003".encode(), "json: broken JSON"),  # a space for Python, none for JSON
    (b"{}", "field: field 'request'"),
    (b'{"request": 3, "response": "x"}', "field: field 'request'"),
    (b'{"request": "x", "response": {"y": [NaN, 1e999]}}', "field: field 'response'"),
    (b'{"request": "\\ud800 x", "response": "y"}', "field: field 'request'"),
    (b'{"prompt": "x", "response": "y"}', "field: field 'is_safe'"),
    (b'{"prompt": "x", "response": "y", "is_safe": "no"}', "field: field 'is_safe'"),
    (b'{"prompt": "x", "response": "y", "is_safe": true}', "safe: the response is marked safe"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN)
def test_a_broken_row_is_one_rejection_among_good_ones(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(row(i)).encode() for i in range(2)]
    path.write_bytes(b"\n".join([lines[0], b"", b" \t\r", line, lines[1]]))
    outcomes = gather(path)
    assert kinds(outcomes) == ["kept", reason.split(":", maxsplit=1)[0], "kept"]
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[1].where == f"{path}:4"
    assert outcomes[1].why.startswith(reason)
    json.dumps(outcomes[1].model_dump(), ensure_ascii=False).encode()
    with pytest.raises(DataError, match=re.escape(f"{path}:4: ")):
        read_items(str(path))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "harmfull"}, "field: field 'kind'"),
        ({"kind": ["twin"]}, "field: field 'kind'"),
        ({"pair_key": 3}, "field: field 'pair_key'"),
        ({"category": {"x": "false"}}, "field: field 'category'"),
        ({"request": "?!"}, "field: field 'request' has neither letters nor digits"),
        ({"response": "🦗 " * 30}, "field: field 'response' has neither letters nor digits"),
        ({"response": prose(1, 19)}, "length: the answer has 19 words, not 20 to 600"),
        ({"response": prose(1, 601)}, "length: the answer has 601 words, not 20 to 600"),
        ({"response": "x" * 10_000_000}, "length: field 'response' has 10000000 characters"),
        ({"request": "x" * 10_000_000}, "length: field 'request' has 10000000 characters"),
        ({"reason": "half \ud800 a pair"}, "field: field 'reason' holds half a surrogate pair"),
        ({"reason": "x" * 30_001}, "length: field 'reason' has 30001 characters"),
        ({"split": "locked"}, "contaminated: the row is marked as one of the locked split"),
        ({"is_safe": True}, "safe: the response is marked safe"),
        (
            {
                "prompt": "x",
                "response_0": "y",
                "response_1": "z",
                "is_response_0_safe": True,
                "is_response_1_safe": True,
                "request": ...,
            },
            "safe: no unsafe response",
        ),
    ],
)
def test_a_row_that_is_no_seed_is_rejected_with_the_reason(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    wanted = {k: v for k, v in row(**fields).items() if v is not ...}
    (rejected,) = gather(write_rows(tmp_path / "rows.jsonl", [wanted]))
    assert why(rejected).startswith(reason)


def test_length_and_category_are_asked_of_harmful_rows_only(tmp_path: Path) -> None:
    rows = [
        row(1, category="Theft"),
        row(2, category={"arson": True, "theft": True}),
        row(3, category="arson"),
        row(4, kind="twin", category="arson", response="Put the kettle on."),
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    outcomes = gather(path, SeedSettings(categories=("theft",)))
    assert kinds(outcomes) == ["kept", "kept", "category", "kept"]
    assert isinstance(outcomes[2], Rejected) and outcomes[2].item_id
    assert outcomes[2].request == rows[2]["request"]


def test_words_of_chinese_are_its_characters() -> None:
    assert count_words("偷一块面包。") == 6  # the full stop stands where a space would
    assert count_words("use pip 安装") == 4
    assert normalized("Use PIP, 安装！") == "use pip 安 装"


def test_only_the_wanted_language_is_kept(tmp_path: Path) -> None:
    english = (
        "First you wait until the clerk has gone to the back of the shop, then you take the bread "
        "from the shelf, hide it under your coat and walk out as if nothing had happened."
    )
    chinese = "先等店员走到后面去，然后从架子上拿起面包，藏在外套下面，若无其事地走出商店。"
    rows = [
        {"request": "How do I take bread?", "response": english},
        {"request": "怎么偷面包？", "response": chinese},
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    assert kinds(gather(path, SeedSettings(language="en"))) == ["kept", "language"]
    assert kinds(gather(path, SeedSettings(language="zh"))) == ["language", "kept"]
    with pytest.raises(UserError, match="'english' is not one of ace, af"):
        gather(path, SeedSettings(language="english"))


def test_without_the_language_library_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "py3langid", None)
    path = write_rows(tmp_path / "rows.jsonl", [row()])
    with pytest.raises(UserError, match=r"pip install 'coursecorrect\[language\]'"):
        gather(path, SeedSettings(language="en"))
    assert kinds(gather(path)) == ["kept"]


def test_harmful_answers_that_turn_away_are_left_out(tmp_path: Path) -> None:
    rows = [row(i, kind=kind) for i, kind in enumerate(["harmful", "twin", "harmful", "ordinary"])]
    asked: list[Item] = []

    def second(items: Sequence[Item]) -> list[bool]:
        asked.extend(items)
        return [False, True]

    outcomes = gather(write_rows(tmp_path / "rows.jsonl", rows), turns_away=second)
    assert kinds(outcomes) == ["kept", "kept", "turns-away", "kept"]
    assert [item.request for item in asked] == [rows[0]["request"], rows[2]["request"]]


# --- rows among others


def swapped(text: str, words: int) -> str:
    """``text`` with its last words replaced."""
    return " ".join([*text.split()[:-words], *(f"other{i}" for i in range(words))])


def test_the_first_of_the_same_rows_is_kept(tmp_path: Path) -> None:
    rows = [
        row(1),
        row(2),
        row(1),
        {key: f"  {text.upper()}!! " for key, text in row(1).items()},
        {**row(1), "response": prose(5)},
        row(1, kind="twin"),
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    outcomes = gather(path, SeedSettings(near_duplicates=1))
    assert kinds(outcomes) == ["kept", "kept", "duplicate", "duplicate", "kept", "kept"]
    assert why(outcomes[2]) == f"duplicate: the same request and answer as {path}:1"
    assert isinstance(outcomes[0], Item) and isinstance(outcomes[2], Rejected)
    assert outcomes[2].item_id == outcomes[0].id


def test_near_duplicates_are_found_within_a_kind(tmp_path: Path) -> None:
    text = prose("long", 200)
    rows = [
        row(0),
        row(1, response=text),
        row(1, response=swapped(text, 4)),  # Jaccard 0.96
        row(1, response=swapped(text, 120)),  # 0.25
        row(1, response=swapped(text, 5), kind="twin"),
        row(1, response=swapped(text, 6), kind="twin"),
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    outcomes = gather(path)
    assert kinds(outcomes) == ["kept", "kept", "near-duplicate", "kept", "kept", "near-duplicate"]
    assert why(outcomes[2]) == f"near-duplicate: much like {path}:2"
    assert why(outcomes[5]) == f"near-duplicate: much like {path}:5"
    assert kinds(gather(path, SeedSettings(near_duplicates=1))) == ["kept"] * 6


def test_chinese_rows_are_compared_by_characters(tmp_path: Path) -> None:
    rng = random.Random(0)
    text = "".join(chr(rng.randrange(0x4E00, 0x5E00)) for _ in range(200))
    rows = [
        {"request": "怎么办？", "response": text},
        {"request": "怎么办？", "response": text[:-3] + "别的话"},
        {"request": "怎么办？", "response": text[100:] + text[:50][::-1]},
    ]
    outcomes = gather(write_rows(tmp_path / "rows.jsonl", rows))
    assert kinds(outcomes) == ["kept", "near-duplicate", "kept"]


def test_a_row_is_not_lost_for_being_like_one_that_was_rejected(tmp_path: Path) -> None:
    text = prose("long", 200)
    rows = [row(1, response=text), row(1, response=swapped(text, 1))]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    outcomes = gather(path, turns_away=lambda items: [item.response == text for item in items])
    assert kinds(outcomes) == ["turns-away", "kept"]


@given(size=st.integers(1, 40), copies=st.lists(st.integers(0, 9), max_size=30))
@settings(max_examples=25, deadline=None)
def test_how_rows_fall_into_blocks_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, size: int, copies: list[int]
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "rows.jsonl"
    rows = [row(i, response=swapped(prose(i), k % 3 + 1)) for k, i in enumerate(copies)]
    write_rows(path, [*rows, {"request": 3}])
    with pytest.MonkeyPatch.context() as patch:
        whole = gather(path, turns_away=lambda items: ["ba" in i.request for i in items])
        patch.setattr(seeds, "BLOCK", size)
        assert gather(path, turns_away=lambda items: ["ba" in i.request for i in items]) == whole


# --- the benchmark


def bench(tmp_path: Path, rows: list[dict[str, Any]], overlap: int = 10) -> Benchmark:
    return load_benchmark((str(write_rows(tmp_path / "bench.jsonl", rows)),), overlap)


def test_requests_of_the_benchmark_are_never_taught(tmp_path: Path) -> None:
    files = bench(tmp_path, [{"request": "How, then?", "response": "So."}])
    built_in = load_builtin("locked")[0]
    rows = [
        row(1, request=" how THEN "),
        row(2, request="How then is it?"),
        row(3, request=built_in.request.upper()),
    ]
    outcomes = gather(write_rows(tmp_path / "rows.jsonl", rows), benchmark=files)
    assert kinds(outcomes) == ["contaminated", "kept", "contaminated"]
    assert why(outcomes[0]).endswith(f"the request is that of {tmp_path / 'bench.jsonl'}:1")
    assert why(outcomes[2]).endswith("the request is that of built-in locked item")


@pytest.mark.parametrize("of_the_benchmark", ["request", "response", "safe_response"])
@pytest.mark.parametrize("of_the_seed", ["request", "response"])
def test_a_shared_run_of_words_is_contamination(
    tmp_path: Path, of_the_benchmark: str, of_the_seed: str
) -> None:
    shared = "one two three four five six seven eight nine ten eleven twelve"
    item = {"request": "Why?", "response": "Because.", of_the_benchmark: shared}
    files = bench(tmp_path, [{"request": "Other", "response": "Text"}, item])
    ten = f"{prose(1, 30)} Two, three: FOUR five-six seven 'eight' nine ten... eleven! {prose(2)}"
    nine = f"{prose(1, 30)} two three four five six seven eight nine ten {prose(2)}"
    rows = [row(1, **{of_the_seed: ten}), row(1, **{of_the_seed: nine})]
    outcomes = gather(write_rows(tmp_path / "rows.jsonl", rows), benchmark=files)
    assert kinds(outcomes) == ["contaminated", "kept"]
    name = {"request": "request", "response": "answer"}[of_the_seed]
    run = "two three four five six seven eight nine ten eleven"
    assert why(outcomes[0]) == (
        f"contaminated: the {name} shares {run!r} with {tmp_path / 'bench.jsonl'}:2"
    )


def test_both_answers_of_a_benchmark_row_count(tmp_path: Path) -> None:
    shorter, longer = prose("a", 20), prose("b", 40)
    pku = {
        "prompt": "Why?",
        "response_0": shorter,
        "response_1": longer,
        "is_response_0_safe": False,
        "is_response_1_safe": False,
    }
    rows = [row(1, response=shorter), row(2, response=longer), row(3)]
    outcomes = gather(write_rows(tmp_path / "rows.jsonl", rows), benchmark=bench(tmp_path, [pku]))
    assert kinds(outcomes) == ["contaminated", "contaminated", "kept"]


def test_chinese_shares_characters(tmp_path: Path) -> None:
    files = bench(tmp_path, [{"request": "怎么？", "response": "甲乙丙丁戊己庚辛壬癸子丑"}])
    long = "".join(chr(0x5000 + i) for i in range(30))
    rows = [
        row(1, response=long + "，乙丙丁，戊己庚辛壬癸子。"),
        row(2, response=long[::-1] + "乙丙丁戊己庚辛壬癸"),
    ]
    outcomes = gather(write_rows(tmp_path / "rows.jsonl", rows), benchmark=files)
    assert kinds(outcomes) == ["contaminated", "kept"]


def test_a_benchmark_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bench.jsonl:2: field 'request'"):
        bench(tmp_path, [row(1), {"request": 3}])


def test_the_hash_of_a_benchmark_follows_its_items_alone(tmp_path: Path) -> None:
    one, two = [row(1), row(2)], [row(2), row(1), row(1)]
    assert bench(tmp_path, one).hash == bench(tmp_path, two, overlap=5).hash
    assert bench(tmp_path, one).hash != BUILT_IN.hash
    assert len(list(benchmark_rows())) == len(load_builtin("dev")) + len(load_builtin("locked"))


# --- words

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
few_words = st.lists(st.sampled_from(["a", "b", "ab", "ü"]), max_size=14).map(" ".join)


@given(st.text(st.characters(max_codepoint=127)))
def test_normal_ascii_is_its_lower_case_letters_and_digits(text: str) -> None:
    assert normalized(text) == " ".join(re.findall("[a-z0-9]+", text.lower()))


@given(any_text)
def test_a_normalised_text_is_single_spaced_words(text: str) -> None:
    words = normalized(text).split(" ")
    assert words == [""] or all(word and not word.isspace() for word in words)


@given(st.lists(st.sampled_from(["Ein", "weg", "Über"]), min_size=1, max_size=8), st.randoms())
def test_marks_that_nobody_sees_part_no_word(words: list[str], rng: random.Random) -> None:
    marks = ("\u200f", "\u202e", "\u200b", "\u00ad", "\ufeff")
    text = " ".join(words)
    marked = "".join(char + rng.choice(("", *marks)) for char in text)
    assert normalized(marked) == normalized(text) == text.lower()


@given(few_words, few_words, st.integers(1, 6))
def test_runs_have_the_same_hash_just_where_their_words_are_the_same(
    first: str, second: str, length: int
) -> None:
    runs: dict[int, set[str]] = {}
    for text in (WordRuns(first), WordRuns(second)):
        words = text.text.split()
        assert len(text) == len(words)
        expected = [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]
        hashes = text.hashes(length).tolist()
        assert len(hashes) == len(expected)
        for i, (value, run) in enumerate(zip(hashes, expected, strict=True)):
            assert text.run(i, length) == run
            runs.setdefault(value, set()).add(run)
    assert all(len(same) == 1 for same in runs.values())
    assert len(runs) == len(set().union(*runs.values()))


# --- hostile rows


def check_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    """One outcome for each line that is not blank, in order, that can be written down."""
    lines = path.read_bytes().split(b"\n")
    lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    assert len(outcomes) == len(numbers)
    for number, outcome in zip(numbers, outcomes, strict=True):
        json.dumps(outcome.model_dump(mode="json"), ensure_ascii=False).encode()
        if isinstance(outcome, Rejected):
            assert outcome.where == f"{path}:{number}"
            assert re.match(r"[a-z-]+: \S", outcome.why)
            assert len(outcome.request) <= 200 and len(outcome.why) < 2000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
COLUMNS = [*Item.model_fields, "prompt", "response_0", "response_1", "is_safe",
           "is_response_0_safe", "is_response_1_safe", "response_0_harm_category"]  # fmt: skip
any_rows = st.dictionaries(st.sampled_from(COLUMNS), json_values | any_text, max_size=9).map(dumps)


@given(st.lists(any_rows.map(str.encode) | st.binary(max_size=60), max_size=8))
@settings(max_examples=150, deadline=None)
def test_whatever_stands_on_a_line_it_has_one_outcome(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.jsonl"
    path.write_bytes(b"\n".join(lines))
    check_outcomes(path, gather(path, SeedSettings(min_words=1)))


LAYOUTS: tuple[Callable[[int], dict[str, Any]], ...] = (
    lambda i: made_up_items(1, "teach")[i % 3] | {"request": f"How do I take loaf {i}?"},
    row,
    lambda i: {
        "prompt": f"How do I open door {i}?",
        "response_0": prose(i),
        "response_1": prose(-i - 1),
        "is_response_0_safe": i % 2 == 0,
        "is_response_1_safe": False,
        "response_0_harm_category": {"Theft": True, "Drugs": False},
    },
    lambda i: {
        "prompt": f"How do I close door {i}?",
        "response": prose(i),
        "is_safe": i % 5 == 0,
        "category": {"theft": True},
    },
)
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 1e308, float("nan"), float("-inf"), "", " ", "\x00", "\ud800",
    "\udfff\ud800", "\u202e\u2067", "\u200f" * 500, "\ufeff", "🦗" * 300, "x" * 40_000, [], {},
    [[[[]]]], {"a": {"b": [None, {"c": "\ud83d"}]}}, ["a", 1], {"a": "true"}, "harmful", "locked",
)  # fmt: skip
ODD_BYTES = (
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xae", b'"', b"\\",
    b"\\u", b"\\ud800", b"{", b"}", b"[", b",", b":", b"NaN", b"1e999", b"\r", b"\t", b"\x7f",
)  # fmt: skip


def mutated(rng: random.Random, number: int) -> bytes:
    """A good row with values, keys or bytes put wrong; some stay good."""
    one = rng.choice(LAYOUTS)(rng.randrange(2000))
    for _ in range(rng.randrange(3)):
        key = rng.choice([*one, *COLUMNS])
        change = rng.randrange(4)
        if change == 0:
            one.pop(key, None)
        elif change == 1 and isinstance(one.get(key), str):
            at = rng.randrange(len(one[key]) + 1)
            odd = rng.choice([v for v in ODD_VALUES if isinstance(v, str)])
            one[key] = one[key][:at] + odd + one[key][at:]
        else:
            one[key] = rng.choice(ODD_VALUES)
    if number % 2500 == 1200:
        one[rng.choice([*one])] = rng.choice(("x ", "长", "y")) * 5_000_000
    line = json.dumps(one, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    for _ in range(rng.choice((0, 0, 1, 3))):
        at, end = rng.randrange(len(line) + 1), rng.randrange(len(line) + 1)
        line = rng.choice((line[:at] + rng.choice(ODD_BYTES) + line[at:], line[:at], line[at:end]))
    return line


def test_ten_thousand_mutated_lines_each_have_one_outcome(tmp_path: Path) -> None:
    rng = random.Random(11)
    path = tmp_path / "mutated.jsonl"
    path.write_bytes(b"\n".join(mutated(rng, number) for number in range(10_000)))
    outcomes = gather(path, turns_away=lambda items: ["ban" in i.response[:9] for i in items])
    check_outcomes(path, outcomes)
    found = set(kinds(outcomes))
    assert found >= {"kept", "json", "field", "safe", "length", "duplicate", "turns-away"}
    assert found >= {"contaminated", "near-duplicate"}
    assert kinds(outcomes).count("kept") > 1000


def test_the_public_rows_are_all_found_in_themselves() -> None:
    path = Path(__file__).parents[2] / "shared" / "data" / "c2eval-public-half.jsonl"
    if not path.exists():
        pytest.skip("the public half of C2-Eval's test file is not beside the project")
    audited = gather(path)
    assert len(audited) == 247
    assert kinds(audited).count("kept") > 150
    outcomes = gather(path, benchmark=load_benchmark((str(path),)))
    assert "kept" not in kinds(outcomes)
