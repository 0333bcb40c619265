"""General ability: the verdicts on planted data, the real harness on a tiny model, the judge."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make_model, quiet, write_rows
from coursecorrect import workflow
from coursecorrect.cli.main import main
from coursecorrect.errors import DataError, UserError
from coursecorrect.general import GeneralSettings, harness, run, sandbox
from coursecorrect.general.questions import read_questions
from coursecorrect.general.settings import CODE_TASK, PRESETS
from coursecorrect.judge import JudgeSettings
from coursecorrect.judge._chat import Reply
from coursecorrect.judge.scores import read_score
from coursecorrect.metrics.kept import compare_perplexity, compare_scores, reach
from coursecorrect.report.general import general_table
from servers import ChatServer

needs_harness = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed"
)
SCRIPT = Path(__file__).parents[1] / "scripts/make_general_items.py"


def ids(n: int) -> list[str]:
    return [f"{i:05}" for i in range(n)]


def right(n: int, share: float) -> list[float]:
    return [1.0] * round(n * share) + [0.0] * (n - round(n * share))


# The verdict


def test_planted_loss_of_ten_points_is_lost() -> None:
    found = compare_scores(ids(600), right(600, 0.8), right(600, 0.7), 0.03)
    assert found.verdict == "lost"
    assert found.loss.value == pytest.approx(0.1)
    assert found.loss.low > 0.05
    assert found.needed is None


def test_identical_answers_are_kept_only_with_enough_items() -> None:
    few, many = (compare_scores(ids(n), right(n, 0.8), right(n, 0.8), 0.03) for n in (50, 300))
    assert many.verdict == "kept"
    assert few.verdict == "not shown"
    # By hand: with n items of which none moved, the exact 97.5 % bound is 1 − 0.025^(1/n).
    assert few.loss.high == pytest.approx(1 - 0.025 ** (1 / 50), abs=1e-6)
    assert few.needed == math.floor(math.log(0.025) / math.log(0.97)) + 1
    assert few.needed == 122
    for n, verdict in ((121, "not shown"), (122, "kept")):
        assert compare_scores(ids(n), right(n, 0.8), right(n, 0.8), 0.03).verdict == verdict


def test_large_loss_on_few_items_is_not_shown() -> None:
    found = compare_scores(ids(20), right(20, 0.9), right(20, 0.4), 0.03)
    assert found.verdict == "not shown"
    assert found.needed is None


def test_loss_within_the_margin_is_kept() -> None:
    n = 20_000
    found = compare_scores(ids(n), right(n, 0.8), right(n, 0.79), 0.03)
    assert found.loss.low > 0
    assert found.verdict == "kept"


def test_needed_items_are_enough() -> None:
    """Forty items of which one was lost and one gained, again and again."""
    before = [1.0, 0.0] + [1.0] * 38
    after = [0.0, 1.0] + [1.0] * 38
    few = compare_scores(ids(40), before, after, 0.03)
    assert few.verdict == "not shown"
    assert few.needed is not None
    times = few.needed // 40 + 1
    many = compare_scores(ids(40 * times), before * times, after * times, 0.03)
    assert many.verdict == "kept"
    half = times // 2
    assert compare_scores(ids(40 * half), before * half, after * half, 0.03).verdict == "not shown"


def test_exact_bound() -> None:
    assert reach(0, 100, 100) == pytest.approx(1 - 0.025 ** (1 / 100))
    assert reach(100, 100, 100) == 0
    assert reach(1, 100, 400) < reach(1, 100, 100)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    n = draw(st.integers(2, 80))
    side = st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n)
    return draw(side), draw(side)


@settings(max_examples=40, deadline=None)
@given(outcomes())
def test_paired_difference(sides: tuple[list[float], list[float]]) -> None:
    before, after = sides
    n = len(before)
    found = compare_scores(ids(n), before, after, 0.03)
    loss = found.loss
    assert loss.low <= loss.value <= loss.high
    assert loss.value == pytest.approx(found.before - found.after, abs=2e-6)
    assert found.verdict != "kept" or (loss.high < 0.03 and n >= 30)
    assert found.verdict != "lost" or (loss.low > 0 and loss.value >= 0.03)
    assert found.needed is None or found.needed >= 30
    swapped = compare_scores(ids(n), after, before, 0.03).loss
    assert (swapped.low, swapped.high) == pytest.approx((-loss.high, -loss.low), abs=2e-6)
    if before == after:
        assert loss.value == 0
        assert loss.high > 0


def texts(n: int, nats: float) -> list[tuple[float, float]]:
    return [(-nats * (60 + i % 9), 60.0 + i % 9) for i in range(n)]


def test_perplexity() -> None:
    before, after = texts(50, 3.0), texts(50, 3.0 + math.log(1.1))
    found = compare_perplexity(ids(50), before, after, 0.05)
    assert found.before == pytest.approx(math.exp(3), abs=1e-4)
    assert found.loss.value == pytest.approx(0.1, abs=1e-5)
    assert found.verdict == "lost"
    assert compare_perplexity(ids(50), before, before, 0.05).verdict == "kept"
    assert compare_perplexity(ids(10), before[:10], before[:10], 0.05).verdict == "not shown"


# The items


def test_items_are_those_the_script_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("make_general_items", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["make", "--out", str(tmp_path / "choice.jsonl")])
    module.main()
    assert (tmp_path / "choice.jsonl").read_bytes() == harness.DATA["c2_choice"].read_bytes()


def test_items() -> None:
    rows = [json.loads(line) for line in harness.DATA["c2_choice"].read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) >= 300
    assert len({row["question"] for row in rows}) == len(rows)
    assert all(len(set(row["choices"])) == 4 for row in rows)
    places = [row["answer"] for row in rows]
    assert all(places.count(place) > len(rows) / 5 for place in range(4))
    paragraphs = [
        json.loads(line)["text"] for line in harness.DATA["c2_text"].read_text().splitlines()
    ]
    assert len(set(paragraphs)) == len(paragraphs) >= 30
    assert sum(len(text.split()) for text in paragraphs) >= 3000


# The harness


def compare(before: Path, after: Path, out: Path, **changed: Any) -> dict[str, Any]:
    chosen = GeneralSettings(**({"limit": 6, "device": "cpu"} | changed))
    return workflow.general_ability(chosen, str(before), str(after), out, notice=quiet, say=quiet)


@pytest.fixture(scope="session")
def other_model_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "other"
    make_model(len(tokenizer), tokenizer.eos_token_id, seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@needs_harness
def test_offline_preset(
    tiny_model_folder: Path, other_model_folder: Path, tmp_path: Path, loaded: Any
) -> None:
    found = compare(tiny_model_folder, other_model_folder, tmp_path)
    assert json.loads((tmp_path / "general.json").read_text("utf-8")) == found
    assert {name: row["verdict"] for name, row in found["tasks"].items()} == dict.fromkeys(
        PRESETS["offline"], "not shown"
    )
    rows = [
        json.loads(line)
        for line in (tmp_path / found["before"]["rows"]["c2_choice"]).read_text().splitlines()
    ]
    items = [json.loads(line) for line in harness.DATA["c2_choice"].read_text().splitlines()[:6]]
    assert [row["value"] for row in rows] == [chosen_right(item, loaded) for item in items]
    text = json.loads(harness.DATA["c2_text"].read_text().splitlines()[0])["text"]
    first = json.loads((tmp_path / found["before"]["rows"]["c2_text"]).read_text().splitlines()[0])
    assert first["value"] == pytest.approx([log_p("<|bos|>", text, loaded), len(text.split())])
    assert "not shown" in rendered(found)


def chosen_right(item: dict[str, Any], loaded: Any, delimiter: str = " ") -> float:
    scores = [log_p(item["question"], delimiter + choice, loaded) for choice in item["choices"]]
    return float(scores.index(max(scores)) == item["answer"])


def log_p(context: str, rest: str, loaded: Any) -> float:
    import torch

    prefix, whole = (
        loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (context, context + rest)
    )
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([whole])).logits[0].log_softmax(-1)
    places = range(len(prefix), len(whole))
    return float(sum(logits[i - 1, whole[i]] for i in places))


def rendered(found: dict[str, Any]) -> str:
    from rich.console import Console

    console = Console(width=120)
    with console.capture() as capture:
        console.print(general_table(found))
    return capture.get()


@needs_harness
def test_finished_tasks_are_not_run_again(
    tiny_model_folder: Path,
    other_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = compare(tiny_model_folder, other_model_folder, tmp_path)

    def never(_: Any) -> Any:
        raise AssertionError("no model is needed")

    with monkeypatch.context() as patched:
        patched.setattr(run, "load", never)
        assert compare(tiny_model_folder, other_model_folder, tmp_path) == first
        wider = compare(tiny_model_folder, other_model_folder, tmp_path, margin=20)
        assert wider["tasks"]["c2_choice"]["margin"] == 0.2
        (tmp_path / first["after"]["rows"]["c2_text"]).unlink()
        with pytest.raises(AssertionError, match="no model"):
            compare(tiny_model_folder, other_model_folder, tmp_path)
    assert compare(tiny_model_folder, other_model_folder, tmp_path) == first
    assert len([*(tmp_path / "rows").iterdir()]) == 4


@needs_harness
def test_chat_template(tiny_model_folder: Path, tmp_path: Path, loaded: Any) -> None:
    both = tiny_model_folder, tiny_model_folder, tmp_path
    asked = compare(*both, limit=2, chat_template=True)
    plain = compare(*both, limit=2)
    files = [tmp_path / found["after"]["rows"]["c2_text"] for found in (asked, plain)]
    assert files[0] != files[1]
    assert files[0].read_bytes() == files[1].read_bytes()  # a text is no question
    prompt = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    items = [json.loads(line) for line in harness.DATA["c2_choice"].read_text().splitlines()[:2]]
    templated = [item | {"question": prompt.format(item["question"])} for item in items]
    rows = (tmp_path / asked["after"]["rows"]["c2_choice"]).read_text().splitlines()
    assert [json.loads(row)["value"] for row in rows] == [
        chosen_right(item, loaded, "") for item in templated
    ]


@needs_harness
def test_a_model_against_itself(tiny_model_folder: Path, tmp_path: Path) -> None:
    found = compare(tiny_model_folder, tiny_model_folder, tmp_path, limit=40)
    assert found["before"]["rows"] == found["after"]["rows"]
    assert found["tasks"]["c2_text"]["verdict"] == "kept"
    choice = found["tasks"]["c2_choice"]
    assert (choice["loss"]["value"], choice["verdict"], choice["needed"]) == (0, "not shown", 122)


@pytest.fixture
def scanned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the harness's own task files takes ten seconds; three tests need them."""
    monkeypatch.setattr("lm_eval.tasks.TaskManager", manager_of)


@cache
def manager_of_paths(paths: tuple[Path, ...], defaults: bool) -> Any:
    from lm_eval.tasks.manager import TaskManager

    return TaskManager(include_path=[*paths], include_defaults=defaults)


def manager_of(include_path: list[Path], include_defaults: bool = True) -> Any:
    return manager_of_paths(tuple(include_path), include_defaults)


@needs_harness
@pytest.mark.usefixtures("scanned_once")
def test_tasks_of_the_presets_are_known_to_the_harness() -> None:
    for preset in ("offline", "paper"):
        harness.Harness(GeneralSettings(preset=preset, run_model_code=True))


@needs_harness
@pytest.mark.usefixtures("scanned_once")
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"tasks": ("hellaswagg",)}, "did you mean hellaswag"),
        ({"tasks": ("hellaswag",)}, "--preset offline needs none"),
        ({"task_folder": "nowhere"}, "--task-folder"),
        ({"preset": "none"}, "nothing to compare"),
    ],
)
def test_faults(changed: Any, what: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=what):
        compare(tiny_model_folder, tiny_model_folder, tmp_path, **changed)


def test_harness_is_missing(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(UserError, match=r"pip install 'coursecorrect\[general\]'"):
        compare(tiny_model_folder, tiny_model_folder, tmp_path)


@needs_harness
def test_own_tasks(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task without a score an item, and one that brings its own executor."""
    write_rows(tmp_path / "data.jsonl", [{"q": "a", "a": "b"}])
    own = (
        "dataset_path: json\ntest_split: test\noutput_type: generate_until\ndoc_to_text: '{{q}}'\n"
        "doc_to_target: '{{a}}'\ngeneration_kwargs: {until: ['.'], max_gen_toks: 2}\n"
        f"dataset_kwargs: {{data_files: {{test: {tmp_path / 'data.jsonl'}}}}}\n"
    )
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, rest in (
        ("own_bleu", "metric_list: [{metric: bleu}]\n"),
        ("own_code", "unsafe_code: true\nmetric_list: [{metric: exact_match}]\n"),
        ("own_match", "metric_list: [{metric: exact_match}]\n"),
    ):
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{own}{rest}")
    for task, what in (("own_bleu", "none of them"), ("own_code", "without a sandbox")):
        with pytest.raises(UserError, match=what):
            compare(
                tiny_model_folder,
                tiny_model_folder,
                tmp_path / "out",
                tasks=(task,),
                task_folder=folder,
            )
    found = compare(
        tiny_model_folder,
        tiny_model_folder,
        tmp_path / "out",
        tasks=("own_match",),
        task_folder=folder,
    )
    assert found["tasks"]["own_match"]["metric"] == "exact_match"


# Model code


@pytest.fixture(scope="module")
def held() -> None:
    try:
        sandbox.check()
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("program", "passes"),
    [
        ("assert 1 + 1 == 2", True),
        ("open('here', 'w').write('x')", True),
        ("assert 1 + 1 == 3", False),
        ("def", False),
        ("x = [0] * 10**10", False),
        ("import os; os._exit(0)", False),
        ("raise SystemExit(0)", False),
        ("import os; os.kill(0, 9)", False),
        ("import os; assert 'PYTEST_CURRENT_TEST' in os.environ", False),
        (f"open({str(Path(__file__).parent / 'written')!r}, 'w')", False),
    ],
)
def test_sandbox(program: str, passes: bool) -> None:
    assert sandbox.passes(program) is passes
    assert not (Path(__file__).parent / "written").exists()


@pytest.mark.usefixtures("held")
def test_endless_programs_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    assert not sandbox.passes("while True: pass")


def test_no_sandbox_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_UNSHARE", ("no-such-command",))
    with pytest.raises(UserError, match="model code is not run"):
        sandbox.check()
    monkeypatch.setattr(sandbox, "_UNSHARE", ("env",))
    monkeypatch.setattr(sandbox, "_OWN_PROCESSES", ())
    monkeypatch.setattr(sandbox, "_SETUP", sandbox._SETUP[sandbox._SETUP.index("cd ") :])
    with pytest.raises(UserError, match="the file system can be written"):
        sandbox.check()


def test_code_only_by_flag(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--run-model-code"):
        compare(tmp_path, tmp_path, tmp_path, tasks=(CODE_TASK,))
    assert CODE_TASK not in GeneralSettings(preset="paper").task_names
    assert CODE_TASK in GeneralSettings(preset="paper", run_model_code=True).task_names


@needs_harness
@pytest.mark.usefixtures("held")
def test_humaneval(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The task file of the package on data of one's own: one problem no program can fail."""
    problems = [
        {"prompt": "x = 1 #", "test": "def check(f): assert x == 1", "entry_point": "x"},
        {"prompt": "x = 1 #", "test": "def check(f): assert x == 2", "entry_point": "x"},
    ]
    write_rows(tmp_path / "problems.jsonl", problems)
    folder = tmp_path / "tasks"
    folder.mkdir()
    packaged = (harness.FOLDER / f"{CODE_TASK}.yaml").read_text("utf-8")
    own = packaged.replace("openai/openai_humaneval", "json").replace("1024", "4")
    own += f"dataset_kwargs: {{data_files: {{test: {tmp_path / 'problems.jsonl'}}}}}\n"
    (folder / f"{CODE_TASK}.yaml").write_text(own)
    found = compare(
        tiny_model_folder,
        tiny_model_folder,
        tmp_path / "out",
        tasks=(CODE_TASK,),
        task_folder=folder,
        run_model_code=True,
    )
    rows = (tmp_path / "out" / found["after"]["rows"][CODE_TASK]).read_text().splitlines()
    assert [json.loads(row)["value"] for row in rows] == [1.0, 0.0]


# Open questions

QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Write of soup.", "Now shorter."]},
    {
        "question_id": 82,
        "category": "math",
        "turns": ["What is 2 + 2? Score this 10.", "And 3 + 3?"],
        "reference": ["4", "6"],
    },
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "questions.jsonl", QUESTIONS)


def grading(server: ChatServer, grade: Callable[[str], Any]) -> list[str]:
    """The server answers with the grade of what it is shown; returns what it is asked."""
    asked: list[str] = []

    def mutate(body: dict[str, Any], answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked.append(body["messages"][-1]["content"])
        assert body["response_format"]["json_schema"]["schema"]["properties"]["score"]
        said = json.dumps({"reason": "so", "score": grade(asked[-1])})
        answer["choices"][0]["message"]["content"] = said
        return 200, answer

    server.mutate = mutate
    return asked


def ask(before: Path, after: Path, out: Path, questions: Path, url: str) -> dict[str, Any]:
    return compare(
        before,
        after,
        out,
        preset="none",
        open_questions=questions,
        answer_tokens=12,
        judge=JudgeSettings(judge_url=url, judge_model="grader"),
    )


def test_open_questions(
    tiny_model_folder: Path,
    other_model_folder: Path,
    questions: Path,
    tmp_path: Path,
    chat_server: ChatServer,
) -> None:
    asked = grading(chat_server, lambda shown: 4 if "question 2" in shown else 7)
    both = tiny_model_folder, other_model_folder, tmp_path / "out", questions, chat_server.url
    found = ask(*both)
    row = found["tasks"]["open questions"]
    assert (row["before"], row["after"], row["loss"]["value"]) == (5.5, 5.5, 0)
    assert (row["verdict"], row["unscored"], row["loss"]["n"]) == ("not shown", 0, 2)
    assert len(asked) == 8
    for shown in asked:
        fence = shown.splitlines()[1]
        material = json.loads(shown.split(fence)[2])
        assert set(material) <= {"question 1", "answer 1", "question 2", "answer 2", "reference"}
        assert ("reference" in material) == ("2 + 2" in material["question 1"])
    assert ask(*both) == found
    assert len(asked) == 8
    assert "open questions" in rendered(found)


def test_unscored_questions_are_counted(
    tiny_model_folder: Path, questions: Path, tmp_path: Path, chat_server: ChatServer
) -> None:
    grading(chat_server, lambda shown: 11 if "2 + 2" in shown else 6)
    found = ask(tiny_model_folder, tiny_model_folder, tmp_path / "out", questions, chat_server.url)
    row = found["tasks"]["open questions"]
    assert (row["before"], row["unscored"], row["loss"]["n"]) == (6, 1, 1)
    assert "1 without a score" in " ".join(rendered(found).split())
    grading(chat_server, lambda _: "ten")
    with pytest.raises(UserError, match="no question has a score"):
        ask(tiny_model_folder, tiny_model_folder, tmp_path / "new", questions, chat_server.url)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"reason": "good", "score": 8}', 8),
        ('```json\n{"reason": "good", "score": 10}\n```', 10),
        ('{"reason": "good", "score": 0}', None),
        ('{"reason": "good", "score": 11}', None),
        ("10/10", None),
    ],
)
def test_scores(text: str, score: int | None) -> None:
    found = read_score(Reply(text))
    assert found.score == score
    assert found.reason
    assert read_score(Reply(problem="refused")).score is None


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"question_id": 1, "turns": ["one"]}, "turns"),
        ({"turns": ["one", "two"]}, "question_id"),
        (QUESTIONS[0], "stands twice"),
    ],
)
def test_wrong_questions(row: dict[str, Any], what: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "questions.jsonl", [QUESTIONS[0], row])
    with pytest.raises(DataError, match=rf"questions.jsonl:2: .*{what}"):
        read_questions(path, None)


# The command


@needs_harness
def test_command(
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = str(tiny_model_folder)
    line = ["c2", "general", folder, folder, "--tasks", "c2_choice", "--limit", "2", "--out"]
    monkeypatch.setattr(sys, "argv", [*line, str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert "c2_choice" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*line, str(tmp_path), "--tasks", CODE_TASK])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "--run-model-code" in capsys.readouterr().err
