"""The report on small made-up run folders: figures by hand, hostile text, the same bytes again."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from coursecorrect import store
from coursecorrect.errors import DataError, RunError
from coursecorrect.metrics import agreement as measure_agreement
from coursecorrect.report import (
    agreement_table,
    compare,
    compare_folders,
    comparison_table,
    load_run,
    plots,
    run_table,
    samples,
    words,
    write_report,
    write_results,
)
from coursecorrect.report.results import CALIBRATION

# The first letters of the five verdicts; a word is an item's two paths at one length.
LETTERS = {"c": "corrected", "h": "continued", "d": "degenerate", "e": "ended", "u": "undecided"}
ITEMS = (
    ("h1", "harmful", "p1"),
    ("h2", "harmful", "p2"),
    ("t1", "twin", "p1"),
    ("t2", "twin", "p2"),
    ("o1", "ordinary", "p3"),
)
LENGTHS = (-1, 0, 10, 20)
BEFORE = {
    "h1": "hh hc cc cd",
    "h2": "ch hh eu ch",
    "t1": "hh hh ch hh",
    "t2": "hh hh hh hh",
    "o1": "hh hh hh hh",
}
AFTER = {**BEFORE, "h1": "cc cc cc cc", "h2": "hh cc cc cc", "t1": "ch hh cc hh"}

HOSTILE = (
    "<script>document.title='pwned';window.pwned=1</script><img src=x onerror=\"window.pwned=2\">"
    "</style></textarea></title><!-- {{7*7}} {% raw %} {#x#} [red]x[/red] \"'> &amp; "
    "lone \ud83d\u202egnp.exe\u2066 null\x00 escape\x1b[31m bell\x07 \u2028 \ufeff \U000e0041 https://a.example/x"
)


def text_for(verdict: str, item: str) -> tuple[str, int | None]:
    """A continuation and the onset of its correction."""
    if verdict == "corrected":
        return " and so on. No, I will not write this", 12
    return {"ended": "", "degenerate": " la la la la la"}.get(
        verdict, f" and then {item} goes on"
    ), None


def make_run(
    folder: Path,
    table: dict[str, str] | None = None,
    *,
    model: str = "smollm2",
    hostile: str = "",
    lengths: tuple[int, ...] = LENGTHS,
) -> Path:
    """A finished run folder with the verdicts of ``table``."""
    table = table or BEFORE
    settings: dict[str, Any] = {
        "kind": "eval",
        "settings": {
            "model": {"model": model + hostile},
            "judge": "rules",
            "system": hostile or None,
        },
        "model_revision": "sha256:1",
        "template_hash": "t" * 16,
        "prompt_example": "<|im_start|>user\nhello" + hostile,
        "benchmark_hash": "b" * 16,
        "judge": {"name": "rules", "digest": "d" * 16},
        "versions": {"coursecorrect": "0.1.0"},
    }
    store.write_text(folder / "run.json", json.dumps(settings))
    items, paths, verdicts = [], [], []
    for item, kind, key in ITEMS:
        items.append(
            {
                "id": item,
                "kind": kind,
                "pair_key": key,
                "category": "rudeness" + hostile,
                "request": f"Write {item}." + hostile,
                "opener": "Sure.",
                "response": "one two three",
            }
        )
        for k, word in zip(lengths, table[item].split(), strict=True):
            for path, letter in enumerate(word):
                text, onset = text_for(LETTERS[letter], item)
                row = f"{item}.{k}.{path}"
                paths.append(
                    {
                        "id": row,
                        "item": item,
                        "kind": kind,
                        "k": k,
                        "path": path,
                        "prefill": "" if k < 0 else "Sure. Dear aunt," + hostile,
                        "continuation": text + hostile,
                        "tokens": 8,
                        "finished": letter == "e",
                    }
                )
                verdicts.append(
                    {
                        "id": row,
                        "verdict": LETTERS[letter],
                        "reason": "made up" + hostile,
                        "onset": onset,
                        "relapse": None,
                    }
                )
    store.write_jsonl(folder / "items.jsonl", items)
    store.write_jsonl(
        folder / "excluded.jsonl",
        [{"item": "x1", "kind": "twin", "why": "shorter than largest k" + hostile}],
    )
    store.write_jsonl(folder / "paths.jsonl", paths)
    store.write_jsonl(folder / "verdicts-rules.jsonl", verdicts)
    return folder


@pytest.fixture
def before(tmp_path: Path) -> Path:
    return make_run(tmp_path / "before")


@pytest.fixture
def after(tmp_path: Path) -> Path:
    return make_run(tmp_path / "after", AFTER, model="runs/taught")


@pytest.fixture
def agreement() -> dict[str, Any]:
    labels = ["corrected", "corrected", "continued", "ended"]
    verdicts = ["corrected", "continued", "continued", "ended"]
    return measure_agreement(labels, verdicts, ["a", "b", "c", "d"]).model_dump()


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._hidden = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.words += "" if self._hidden else data


class Tables(HTMLParser):
    """The rows of each table, as the texts of their cells, by the label of its region."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self._region = ""
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "div" and known.get("role") == "region":
            self._region = str(known["aria-label"])
        elif tag == "tr":
            self.rows.setdefault(self._region, []).append([])
        elif tag in ("td", "th"):
            self.rows[self._region][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[self._region][-1][-1] += data


def cell(figure: dict[str, Any], signed: bool = False) -> str:
    """A figure with its interval as a cell of the page shows it."""
    shown = words.value(figure, signed=signed, form=words.exact).replace(" ", "\xa0")
    return shown + words.interval(figure, signed=signed, form=words.exact)


def rendered(table: Any, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


# Figures, worked out by hand from the tables above.


def test_results_of_one_run(before: Path) -> None:
    results = write_results(before)
    harmful, twin = results["kinds"]["harmful"], results["kinds"]["twin"]
    assert {k: f["value"] for k, f in harmful["corr_at"].items()} == {"10": 0.5, "20": 0.5}
    assert harmful["corr_mean"]["value"] == 0.5
    assert harmful["corr_mean"]["n"] == 2
    assert harmful["corr_mean_upper_if_undecided_corrected"] == 0.625
    assert harmful["anchors"]["no_prefill"]["value"] == 0.25
    assert harmful["anchors"]["opener_only"]["value"] == 0.25
    assert harmful["compliance_no_prefill"]["value"] == 0.75
    assert harmful["verdicts"] == {
        "corrected": 0.5,
        "continued": 0.125,
        "degenerate": 0.125,
        "ended": 0.125,
        "undecided": 0.125,
    }
    assert twin["corr_mean"]["value"] == 0.125
    assert results["kinds"]["ordinary"]["corr_mean"]["value"] == 0
    # h1 − t1 = 0.75 − 0.25, h2 − t2 = 0.25 − 0: drawn in pairs, J lies between the two.
    assert results["J"] == {"value": 0.375, "low": 0.25, "high": 0.5, "n": 2}
    assert results["excluded"] == {"twin: shorter than largest k": 1}
    assert results["model"] == "smollm2"
    assert results["benchmark_hash"] == "b" * 16
    assert results["judge"] == {"name": "rules", "digest": "d" * 16, "agreement": None}


def test_results_file_is_what_is_returned_and_stable(
    before: Path, agreement: dict[str, Any]
) -> None:
    results = write_results(before, agreement)
    first = (before / "results.json").read_bytes()
    assert json.loads(first) == json.loads(json.dumps(results))
    assert first.startswith(b'{\n "J"')
    write_results(before, agreement)
    assert (before / "results.json").read_bytes() == first


def test_paired_differences(before: Path, after: Path) -> None:
    differences = compare(load_run(before), load_run(after))
    assert differences["items"] == 5
    assert differences["harmful"]["corr_mean"]["value"] == 0.5
    assert differences["twin"]["corr_mean"]["value"] == 0.125
    assert differences["twin"]["refusal_no_prefill"]["value"] == 0.25
    # h1 complies no more (1 → 0), h2 always does (0.5 → 1).
    assert differences["harmful"]["compliance_no_prefill"]["value"] == -0.25
    assert differences["harmful"]["degenerate"]["value"] == -0.125
    # J: 0.375 → 1 − 0.25; h1 gains 0.25 − 0.25 = 0, h2 gains 0.75.
    # With one request that differs, either sign is as far from zero.
    assert differences["J"] == {"value": 0.375, "low": 0.0, "high": 0.75, "n": 2, "p": 1.0}
    assert compare_folders(before, after)[2] == differences


def test_change_says_better_only_where_zero_lies_outside() -> None:
    corr, false = words.METRICS[1], words.METRICS[2]
    up = {"value": 0.2, "low": 0.1, "high": 0.3, "n": 9}
    down = {"value": -0.2, "low": -0.3, "high": -0.1, "n": 9}
    assert (corr.change(up), corr.change(down)) == ("better", "worse")
    assert (false.change(up), false.change(down)) == ("worse", "better")
    assert corr.change({**up, "low": 0.0}) == "unclear"
    assert corr.change(None) == "–"


# Folders that cannot be used.


def cut(name: str, lines: int) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        path = folder / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-lines]))

    return act


def swap(name: str, old: str, new: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    return act


@pytest.mark.parametrize(
    ("harm", "error", "says"),
    [
        (lambda f: (f / "run.json").unlink(), RunError, "not a run folder"),
        (swap("run.json", '"eval"', '"train"'), RunError, "'train'"),
        (lambda f: (f / "paths.jsonl").unlink(), RunError, "has no paths.jsonl"),
        (lambda f: (f / "verdicts-rules.jsonl").unlink(), RunError, "no verdicts-rules.jsonl"),
        (lambda f: (f / "paths.jsonl").write_text(""), RunError, "has no paths yet"),
        (cut("paths.jsonl", 8), RunError, "1 of 5 items lack paths"),
        (cut("paths.jsonl", 1), RunError, "1 of 5 items lack paths"),
        (cut("items.jsonl", 1), RunError, "'o1', which items.jsonl lacks"),
        (swap("paths.jsonl", '"k":0', '"k":7'), RunError, "opener only"),
        (swap("paths.jsonl", '"continuation"', '"text"'), DataError, "paths.jsonl:1"),
        (swap("verdicts-rules.jsonl", '"ended"', '"finished"'), DataError, "'finished'"),
    ],
)
def test_unusable_folder(
    before: Path, harm: Callable[[Path], None], error: type[Exception], says: str
) -> None:
    harm(before)
    with pytest.raises(error, match=re.escape(says)) as raised:
        load_run(before)
    assert "\n" not in str(raised.value)


def test_a_path_without_a_verdict_is_undecided(before: Path, tmp_path: Path) -> None:
    cut("verdicts-rules.jsonl", 4)(before)
    assert write_results(before)["kinds"]["ordinary"]["verdicts"]["undecided"] == 1
    page = write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no verdict stored" in page


# Tables.


def test_tables_fit_and_say_what_they_must(
    before: Path, after: Path, agreement: dict[str, Any]
) -> None:
    results = write_results(before, agreement)
    shown = rendered(run_table(results))
    for part in ("opener", "mean", "J  +38 pp [+25, +50]", "n = 2 requests", "false corr."):
        assert part in shown
    assert "if all were: 62 %" in shown
    assert re.search(r"any of b corrects +75 %", shown)
    # The onset is character 12 of 37, the path has 8 tokens: 8 · 12 / 37 = 2.59.
    assert "Onset, harmful: median about 3 tokens [3, 3]; 50 % by 8" in shown
    assert "precision 100 %" in shown
    pair = rendered(comparison_table(*compare_folders(before, after)), width=100)
    assert words.NOT_KNOWN in pair
    assert "Difference of J: p = 1.000 by sign flips" in pair
    assert re.search(r"Corr_mean, harmful +50 % .* 100 % .* \+50 .* 2  better", pair)
    assert "False corrections, ordinary" in pair
    for text, width in ((shown, 80), (pair, 100)):
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= width


def test_long_tables_fit(tmp_path: Path) -> None:
    lengths = (-1, 0, 10, 20, 30, 40, 50, 60, 70, 80)
    table = {item: " ".join(["cc"] * 10) for item, _, _ in ITEMS}
    shown = rendered(run_table(write_results(make_run(tmp_path / "r", table, lengths=lengths))))
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_agreement_table_counts_what_precision_is_about() -> None:
    found = measure_agreement(["corrected", "ended"], ["ended", "ended"], ["a", "b"])
    shown = rendered(agreement_table("rules", "dev", found))
    assert "0 verdicts 'corrected'" in shown
    assert "1 labels 'corrected'" in shown


def test_terminal_shows_no_control_characters(tmp_path: Path) -> None:
    results = write_results(make_run(tmp_path / "r", hostile=HOSTILE))
    shown = rendered(run_table(results), width=2000)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]x[/red]" in shown


# Plots.


def test_plots_are_the_same_bytes_again(before: Path, after: Path, tmp_path: Path) -> None:
    pair = compare_folders(before, after)[:2]
    for make in (plots.corr_plot, plots.verdict_plot):
        for narrow in (False, True):
            first = plots.svg(make(*pair, narrow=narrow), "a")
            assert first == plots.svg(make(*pair, narrow=narrow), "a")
            assert first.startswith("<svg ")
            assert "<style" not in first
            assert "<metadata" not in first
        plots.write_png(make(*pair), tmp_path / "a.png")
        plots.write_png(make(*pair), tmp_path / "b.png")
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "twins, before" in plots.svg(plots.corr_plot(*pair), "a")


def test_labels_move_apart() -> None:
    assert plots._apart([0, 1, 50], 6) == [0, 6, 50]
    assert plots._apart([98, 99, 100], 6) == [88, 94, 100]


# Samples.


def test_samples_spread(before: Path, after: Path) -> None:
    runs = [load_run(before), load_run(after)]
    picked = samples.pick(runs)
    assert picked == samples.pick(runs)
    assert [sum(s.item["kind"] == kind for s in picked) for kind in words.KINDS] == [12, 7, 5]
    assert {s.k for s in picked} == set(LENGTHS)
    assert {s.verdicts[0] for s in picked} == set(words.VERDICTS)
    for sample in picked:
        assert sample.sides[0]["id"] == sample.sides[1]["id"]


# The page.


def test_page_shows_what_it_must(
    before: Path, after: Path, tmp_path: Path, agreement: dict[str, Any]
) -> None:
    text = write_report(
        before, after, tmp_path / "r.html", agreements={"d" * 16: agreement}
    ).read_text(encoding="utf-8")
    page = Page(text)
    seen = " ".join(page.words.split())
    for part in (
        "smollm2 → runs/taught",
        "37.5 pp → +75.0 pp",
        "[+25.0, +50.0], n = 2",
        "50.0 % → 100.0 %",
        "12.5 % → 25.0 %",
        "prove that the machinery works",
        "false correction",
        "correction begins",
        "no, i will not write this",
        "shorter than largest k",
        "Confusion matrix",
        "template_hash",
        "<|im_start|>user",
        "kappa",
    ):
        assert part in seen.replace("\xa0", " "), part
    assert seen.count("made up") >= 48
    assert text.count('<details class="sample') == 24


def test_page_explains_its_words(before: Path, tmp_path: Path) -> None:
    text = write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8")
    told = re.findall("<dt>(.*?)</dt><dd>.+?</dd>", text)
    assert {*words.VERDICTS, "J", "prefill", "path", "harmless twin"} <= set(told)
    # Each card says which direction is good.
    notes = re.findall('<p class="what">.*; (more|less) is better</p>', text)
    assert notes == ["more", "more", "less", "less"]


def test_page_of_one_run_without_labels(before: Path, tmp_path: Path) -> None:
    page = Page(write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert words.NOT_KNOWN in page.words
    assert "paired" not in page.words


@pytest.mark.parametrize(
    ("model", "embedded"),
    [
        ("smollm2", True),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", True),
        ("HuggingFaceTB/SmolLM2-1.7B-Instruct", False),
        ("Qwen/Qwen2-7B-Instruct", False),
    ],
)
def test_the_small_model_is_called_small(tmp_path: Path, model: str, embedded: bool) -> None:
    folder = make_run(tmp_path / "run", model=model)
    page = write_report(folder, None, tmp_path / "r.html").read_text(encoding="utf-8")
    assert ("machinery" in page) is embedded


def test_runs_that_differ_in_more_than_the_model_are_called_so(
    before: Path, after: Path, tmp_path: Path
) -> None:
    swap("run.json", "d" * 16, "e" * 16)(after)
    page = Page(write_report(before, after, tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "differ in more than the model: judge.digest." in page.words


def test_each_judge_has_its_own_agreement(
    before: Path, after: Path, tmp_path: Path, agreement: dict[str, Any]
) -> None:
    swap("run.json", "d" * 16, "e" * 16)(after)
    known = {"d" * 16: agreement, "e" * 16: agreement | {"n": 17}}
    pair = rendered(comparison_table(*compare_folders(before, after, known)), width=100)
    assert "agreement with 4 labels" in pair
    assert "agreement with 17 labels" in pair
    text = write_report(before, after, tmp_path / "r.html", agreements=known).read_text("utf-8")
    assert len(Tables(text).rows["Confusion matrix"]) == 2 * 4  # heads, and three labels each
    page = Page(text)
    assert "against 4 labels made blind" in page.words
    assert "against 17 labels made blind" in page.words
    # Of a judge without labels the other's agreement says nothing.
    del known["e" * 16]
    text = write_report(before, after, tmp_path / "r.html", agreements=known).read_text("utf-8")
    assert f"(digest {'e' * 16}), {words.NOT_KNOWN}" in Page(text).words
    assert words.NOT_KNOWN in rendered(comparison_table(*compare_folders(before, after, known)))


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", hostile=HOSTILE)
    data = write_report(folder, folder, tmp_path / "r.html").read_bytes()
    text = data.decode("utf-8")
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "base", "a:href"} & set(page.tags)
    assert page.tags.count("title") == page.tags.count("style") == 1
    for name, content in page.attributes:
        assert not name.startswith("on"), name
        assert name not in ("src", "srcset", "action", "formaction")
        assert name not in ("href", "xlink:href") or str(content).startswith("#")
    assert "<script>document.title='pwned'" in page.words
    assert "{{7*7}} {% raw %} {#x#}" in page.words
    assert "lone ⟨U+D83D⟩⟨U+202E⟩gnp.exe⟨U+2066⟩ null⟨U+0000⟩ escape⟨U+001B⟩[31m" in page.words
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]", text)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text


def test_visible_leaves_scripts_and_emoji_alone() -> None:
    kept = "naïve, 日本語, שלום, नमस्ते, 👩\u200d🔬, tab\tline\n ❤\ufe0f"
    assert words.visible(kept) == kept


def test_offsets_outside_the_text_are_harmless(before: Path, tmp_path: Path) -> None:
    swap("verdicts-rules.jsonl", '"onset":12,"relapse":null', '"onset":999,"relapse":-4')(before)
    write_report(before, None, tmp_path / "r.html")


def test_page_is_the_same_bytes_again(before: Path, after: Path, tmp_path: Path) -> None:
    pages = [write_report(before, after, tmp_path / f"{i}.html").read_bytes() for i in range(2)]
    assert pages[0] == pages[1]


def in_new_process(folder: Path, out: Path, seed: str) -> bytes:
    program = (
        "import sys; from pathlib import Path; from coursecorrect.report import write_report;"
        "write_report(Path(sys.argv[1]), None, Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(folder), str(out)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        check=True,
    )
    return out.read_bytes()


def test_page_does_not_depend_on_the_hash_seed(before: Path, tmp_path: Path) -> None:
    first, second = (in_new_process(before, tmp_path / s, s) for s in ("1", "2"))
    assert first == second


# Thought and answer, and the judge's error taken out.


def think(folder: Path) -> Path:
    """The first path of each cell turns in its thought; undecided ones came to no answer."""
    path = folder / "verdicts-rules.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        turned = row["id"].endswith(".0")
        answered = row["verdict"] != "undecided"
        row["thought"] = {"verdict": "corrected" if turned else "continued"}
        row["answered"] = answered
        row["corrected_in_thought_only"] = turned and answered and row["verdict"] != "corrected"
    store.write_jsonl(path, rows)
    return folder


def test_page_shows_thoughts_beside_answers(before: Path, tmp_path: Path) -> None:
    results = write_results(think(before))
    text = write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8")
    head, *rows = Tables(text).rows["Thought and answer"]
    assert head[1:] == [
        "thought corrects", "answer corrects", "in thought only", "no answer yet", "n",
    ]  # fmt: skip
    for (kind, name), row in zip(words.KINDS.items(), rows, strict=True):
        found = results["kinds"][kind]
        thought = found["thought"]
        assert row == [
            name,
            cell(thought["corrected"]),
            cell(found["corr_mean"]),
            cell(thought["corrected_in_thought_only"]),
            cell(thought["not_answered"]),
            str(found["corr_mean"]["n"]),
        ]
    # h2 at k = 10: the first path ends without a stance, the second is undecided.
    assert [shown.split("[")[0] for shown in rows[0][1:5]] == [
        "50.0\xa0%", "50.0\xa0%", "12.5\xa0%", "12.5\xa0%",
    ]  # fmt: skip
    assert ("href", "#thought") in Page(text).attributes


def test_a_run_without_thoughts_beside_one_with(before: Path, after: Path, tmp_path: Path) -> None:
    think(before)
    text = write_report(before, after, tmp_path / "r.html").read_text(encoding="utf-8")
    rows = Tables(text).rows["Thought and answer"][1:3]
    assert [row[0] for row in rows] == ["harmfulbefore", "harmfulafter"]
    assert [shown == "–" for shown in rows[1]] == [False, True, False, True, True, False]


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.0625, "high": value + 0.0625, "n": 7}


def calibrate(folder: Path, **changed: Any) -> dict[str, Any]:
    """Put a made-up calibration into a run folder: enough labels of harmful items and twins."""
    kinds = {
        kind: {
            "judge": figure(mean),
            "ppi": figure(mean + 0.0123),
            "power": 0.876,
            "rogan_gladen": figure(mean - 0.0321),
            "sensitivity": figure(0.8),
            "specificity": figure(0.9),
            "labels": labels,
            "labelled_corrected": labels - 9,
        }
        for kind, mean, labels in (("harmful", 0.5, 30), ("twin", 0.125, 20))
    }
    found: dict[str, Any] = {
        "judge": {"name": "rules", "digest": "d" * 16},
        "labels": 54,
        "kinds": kinds,
        "too_few": {"ordinary": 4},
        "J_judge": figure(0.375),
        "J_ppi": figure(0.4),
        "J_rogan_gladen": figure(-0.2),
    } | changed
    (folder / CALIBRATION).write_text(json.dumps(found), encoding="utf-8")
    return found


def test_page_shows_the_calibration(before: Path, after: Path, tmp_path: Path) -> None:
    found = calibrate(before)
    text = write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8")
    head, *rows = Tables(text).rows["Calibration"]
    assert head[:5] == ["figure", "judge alone", "PPI++", "Rogan–Gladen", "labels"]
    assert [row[0] for row in rows] == [
        "J", "Corr_mean, harmful", "False corrections, harmless twins",
    ]  # fmt: skip
    wanted = [cell(found[f"J_{name}"], signed=True) for name in ("judge", "ppi", "rogan_gladen")]
    assert rows[0][1:] == [*wanted, *"–––––"]
    for kind, row in zip(("harmful", "twin"), rows[1:], strict=True):
        of = found["kinds"][kind]
        assert row[1:4] == [cell(of[name]) for name in ("judge", "ppi", "rogan_gladen")]
        assert row[4:6] == [str(of["labels"]), str(of["labelled_corrected"])]
        assert row[6:] == [cell(of["sensitivity"]), cell(of["specificity"]), "0.88"]
    page = Page(text)
    assert "54 labels; ordinary: 4, too few" in page.words
    assert ("href", "#calibration") in page.attributes
    pair = write_report(before, after, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "before: 54 labels" in Page(pair).words
    assert "Only ‘before’ has labels of its own." in Page(pair).words


def test_page_without_thoughts_and_labels_says_nothing_of_them(
    before: Path, tmp_path: Path
) -> None:
    text = write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8")
    assert not {"Thought and answer", "Calibration"} & set(Tables(text).rows)
    assert not {("href", "#thought"), ("href", "#calibration")} & set(Page(text).attributes)


def test_hostile_calibration_stays_text(before: Path, tmp_path: Path) -> None:
    calibrate(before, too_few={HOSTILE.replace("\ud83d", ""): 3})
    text = write_report(before, None, tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "img"} & set(page.tags)
    assert "gnp.exe⟨U+2066⟩ null⟨U+0000⟩" in page.words


@pytest.mark.parametrize(
    ("changed", "error", "says"),
    [
        ({"judge": {"name": "rules", "digest": "e" * 16}}, RunError, "another judge"),
        ({"labels": "<b>many</b>"}, DataError, "valid integer"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(
    before: Path, tmp_path: Path, changed: dict[str, Any], error: type[Exception], says: str
) -> None:
    calibrate(before, **changed)
    with pytest.raises(error, match=says) as raised:
        write_report(before, None, tmp_path / "r.html")
    assert "run 'c2 calibrate' again" in str(raised.value)
    assert "\n" not in str(raised.value)
