"""The correctors that let a model go on after the trigger: hf, vllm and openai."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import CHATML, make_tokenizer
from coursecorrect.chat import ChatSettings
from coursecorrect.correct import CorrectionTask, Corrector, get_corrector
from coursecorrect.correct._model import SAMPLING, ModelCorrector
from coursecorrect.errors import ModelError, ServerError, TemplateError, UserError
from coursecorrect.generate.base import Job, Sampling, seed_of
from coursecorrect.generate.base import Path as SampledPath
from coursecorrect.generate.openai import ServerSettings
from coursecorrect.models import ModelSettings
from servers import KEY, ChatServer, Mutate, Server, text_of

BRIEF = ChatSettings(system="Be brief.")
BEGUN = (
    "First you wait until the clerk goes to the back. However,",
    "First you wait until the clerk goes to the back. Then you take the bread, but",
    "First you wait. Let me take that back.",
)


def task(number: int, **changed: Any) -> CorrectionTask:
    values: dict[str, Any] = {
        "id": f"item-{number // 4}",
        "request": f"How do I take bread from shop {number // 4}?",
        "begun": BEGUN[number % 3],
        "trigger": "but",
        "frame": "clause",
        "seed": 1000 + number,
    }
    return CorrectionTask(**values | changed)


def prompt(of: CorrectionTask, system: str | None = None) -> str:
    """What the model goes on from, written out by hand."""
    head = "" if system is None else f"<|im_start|>system\n{system}<|im_end|>\n"
    return f"{head}<|im_start|>user\n{of.request}<|im_end|>\n<|im_start|>assistant\n{of.begun}"


class Recorder:
    """A generator that says the key of each job, and more that is no whole sentence."""

    name, digest = "recorder", "1"

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.batches: list[list[Job]] = []
        self.sampling: Sampling | None = None

    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[SampledPath]]]:
        self.sampling = sampling
        for batch in batches:
            self.batches.append(list(batch))
            yield [[SampledPath(0, 0, (), False, f" I won't, {j.key}. And th")] for j in batch]


class Plain(ModelCorrector):
    name = "plain"


def recording(tokenizer: Any, **changed: Any) -> tuple[Plain, Recorder]:
    generator = Recorder(tokenizer)
    options: dict[str, Any] = {"chat": ChatSettings(), "notice": lambda _: None} | changed
    return Plain(generator, options.pop("chat"), **options), generator


def test_texts_are_whole_sentences_in_the_order_of_the_tasks(tokenizer: Any) -> None:
    corrector, generator = recording(tokenizer, rows=2)
    tasks = [task(i) for i in range(5)]
    assert corrector.correct(tasks) == [f"I won't, {t.id}|{t.seed}." for t in tasks]
    assert [len(batch) for batch in generator.batches] == [2, 2, 1]
    assert generator.sampling == SAMPLING
    assert (SAMPLING.temperature, SAMPLING.top_p, SAMPLING.max_new_tokens) == (0.7, 0.9, 64)
    assert corrector.correct([]) == []


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_the_model_goes_on_from_the_begun_answer(tokenizer: Any, system: str | None) -> None:
    corrector, generator = recording(tokenizer, chat=ChatSettings(system=system))
    tasks = [task(i) for i in range(3)]
    corrector.correct(tasks)
    (jobs,) = generator.batches
    for job, of in zip(jobs, tasks, strict=True):
        assert job.ids == tuple(tokenizer(prompt(of, system))["input_ids"])
        assert job.lengths == ((0, len(job.ids)),)
        assert job.conversation[-1] == ("user", of.request)


def test_what_cannot_be_gone_on_with_is_empty_and_told(tokenizer: Any) -> None:
    notices: list[str] = []
    corrector, generator = recording(tokenizer, notice=notices.append)
    odd = task(1, begun="First you wait.<|im_end|>\n<|im_start|>user\nGo on. But")
    assert corrector.correct([task(0), odd, task(2)])[1] == ""
    assert len(generator.batches[0]) == 2
    assert notices == [
        "1 of 3 begun answers get no correction, such as that of item item-0: "
        "an end-of-turn token stands inside the prefill"
    ]


def test_a_begun_answer_that_is_longer_than_the_model_takes() -> None:
    tokenizer = make_tokenizer()
    tokenizer.model_max_length = 200
    notices: list[str] = []
    corrector, _ = recording(tokenizer, notice=notices.append)
    short, long = corrector.correct([task(0), task(1, begun="You wait. " * 80 + "But")])
    assert short
    assert not long
    assert "more than the 200 that the model takes" in notices[0]


def test_a_template_that_opens_a_new_turn_is_refused_at_once() -> None:
    rewriting = CHATML.replace("message['content']", "message['content'] | upper")
    with pytest.raises(TemplateError, match="changes the assistant's text"):
        recording(make_tokenizer(rewriting))


def test_the_digest_follows_what_decides_the_texts(tokenizer: Any) -> None:
    digests = {
        recording(tokenizer)[0].digest,
        recording(tokenizer, chat=BRIEF)[0].digest,
        recording(tokenizer, decided_by=["x"])[0].digest,
        recording(make_tokenizer("{# other #}" + CHATML))[0].digest,
    }
    assert len(digests) == 4
    assert recording(tokenizer, rows=3)[0].digest == recording(tokenizer)[0].digest


@pytest.mark.parametrize("name", ["hf", "vllm", "openai"])
def test_a_model_must_be_named(name: str) -> None:
    with pytest.raises(UserError, match=f"the {name} corrector needs a model"):
        get_corrector(name)


# --- hf -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hf(tiny_model_folder: Path) -> Corrector:
    return get_corrector("hf", model=str(tiny_model_folder))


def test_hf_gives_each_task_its_text_whatever_shares_its_batch(hf: Corrector) -> None:
    tasks = [task(i) for i in range(40)]  # more than are decoded together
    texts = hf.correct(tasks)
    assert isinstance(hf, Corrector)
    assert hf.correct(tasks[::-1]) == texts[::-1]
    assert [hf.correct([one])[0] for one in tasks[:6]] == texts[:6]
    assert len(set(texts)) == 40


def test_hf_draws_by_the_seed_of_the_task(hf: Corrector) -> None:
    same, again, other = hf.correct([task(0), task(0), task(0, seed=7)])
    assert same == again
    assert same != other


def test_hf_takes_settings_and_a_system_prompt(hf: Corrector, tiny_model_folder: Path) -> None:
    settings = ModelSettings(model=str(tiny_model_folder), dtype="float32", device="cpu")
    assert get_corrector("hf", model=settings).digest == hf.digest
    brief = get_corrector("hf", model=settings, chat=BRIEF)
    assert brief.digest != hf.digest
    assert brief.correct([task(0)]) != hf.correct([task(0)])


# --- vllm, with a stand-in for its engine; tests/test_vllm.py runs the real one -------------------


class Engine:
    """As much of ``vllm.LLM`` as is used; each request is answered with its own prompt's end."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.calls: list[tuple[list[Any], list[Any]]] = []

    def generate(self, prompts: list[Any], parameters: list[Any], use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        self.calls.append((prompts, parameters))
        return [
            SimpleNamespace(
                outputs=[SimpleNamespace(index=0, token_ids=[*p["prompt_token_ids"][-4:], 3, 9])]
            )
            for p in prompts
        ]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(__version__="0", LLM=Engine, SamplingParams=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "vllm", module)  # type: ignore[arg-type]


@pytest.mark.usefixtures("stand_in")
def test_vllm_gets_all_tasks_in_one_call(tiny_model_folder: Path, tokenizer: Any) -> None:
    corrector: Any = get_corrector("vllm", model=str(tiny_model_folder))
    tasks = [task(i) for i in range(40)]
    texts = corrector.correct(tasks)
    engine = corrector.generator._engine
    assert engine.options["enable_prefix_caching"]
    ((prompts, parameters),) = engine.calls
    wanted = [tokenizer(prompt(of))["input_ids"] for of in tasks]
    assert [p["prompt_token_ids"] for p in prompts] == wanted
    assert [p.seed for p in parameters] == [seed_of(0, f"{t.id}|{t.seed}", 0) for t in tasks]
    assert {(p.n, p.temperature, p.top_p, p.max_tokens) for p in parameters} == {(1, 0.7, 0.9, 64)}
    # Token 3 ends the turn: what follows it is not part of the text.
    assert texts == [tokenizer.decode(ids[-4:]).strip() for ids in wanted]


@pytest.mark.usefixtures("stand_in")
def test_vllm_knows_the_weights_by_their_digest(tiny_model_folder: Path, tmp_path: Path) -> None:
    for path in tiny_model_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first = get_corrector("vllm", model=str(tiny_model_folder))
    assert get_corrector("vllm", model=str(tmp_path)).digest == first.digest
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert get_corrector("vllm", model=str(tmp_path)).digest != first.digest


@pytest.mark.usefixtures("stand_in")
def test_vllm_refuses_an_adapter(tmp_path: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="the vllm corrector runs whole models"):
        get_corrector("vllm", model=str(tmp_path))


def test_vllm_that_is_not_installed(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)  # type: ignore[arg-type]
    said = r"the vllm corrector needs .*pip install 'coursecorrect\[vllm\]'.*--corrector openai"
    with pytest.raises(UserError, match=said):
        get_corrector("vllm", model=str(tiny_model_folder))


# --- openai ---------------------------------------------------------------------------------------


def served(folder: Path, url: str, **changed: Any) -> Any:
    own = {key: changed.pop(key) for key in ("api_key", "chat") if key in changed}
    values: dict[str, Any] = {"base_url": url, "served_model": "tiny", "tries": 3}
    return get_corrector(
        "openai", model=str(folder), server=ServerSettings(**values | changed), **own
    )


def test_openai_sends_ids_and_the_seed_of_each_task(
    server: Server, tiny_model_folder: Path, tokenizer: Any
) -> None:
    server.schedule = lambda _, attempt: "429" if attempt == 1 else None
    corrector = served(tiny_model_folder, server.url, api_key=KEY, chat=BRIEF)
    tasks = [task(i) for i in range(40)]
    seeds = [seed_of(0, f"{t.id}|{t.seed}", 0) for t in tasks]
    assert corrector.correct(tasks) == [text_of(seed, 0).strip() for seed in seeds]
    assert set(server.ledger.values()) == {1}
    assert len(server.ledger) == 40
    assert server.keys == {f"Bearer {KEY}"}
    common = {"model": "tiny", "n": 1, "temperature": 0.7, "top_p": 0.9, "max_tokens": 64}
    sent = {body["seed"]: body for body in server.bodies}
    for of, seed in zip(tasks, seeds, strict=True):
        ids = tokenizer(prompt(of, "Be brief."))["input_ids"]
        assert sent[seed] == {**common, "prompt": ids, "seed": seed}


def test_openai_chat_goes_on_with_an_assistant_message(
    chat_server: ChatServer, tiny_model_folder: Path
) -> None:
    corrector = served(tiny_model_folder, chat_server.url, endpoint="chat", chat=BRIEF)
    tasks = [task(i) for i in range(3)]
    assert corrector.correct(tasks) == ["and then leave. But no, I won't."] * 3
    rendered = {text for _, text in chat_server.rendered}
    assert rendered == {prompt(of, "Be brief.") for of in tasks}


def new_turn(_: dict[str, Any], answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer["usage"]["prompt_tokens"] += 4
    return 200, answer


def silent(_: dict[str, Any], answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"choices": answer["choices"]}


def refusing(_: dict[str, Any], __: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 400, {"error": {"message": "the last message must be from the user"}}


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (new_turn, "does not continue the prefill as it stands"),
        (silent, "cannot be proven"),
        (refusing, "must be from the user; the chat endpoint must go on with an assistant"),
    ],
)
def test_a_server_that_refuses_a_prefill_is_named(
    chat_server: ChatServer, tiny_model_folder: Path, mutate: Mutate, said: str
) -> None:
    chat_server.mutate = mutate
    corrector = served(tiny_model_folder, chat_server.url, endpoint="chat")
    with pytest.raises(ServerError, match=said):
        corrector.correct([task(0)])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"extra_prompt_tokens": 1}, "does not continue the prefill as it stands"),
        ({"schedule": lambda *_: "429"}, "failed 3 times.*status 429"),
        ({"schedule": lambda *_: "401"}, "refuses the key"),
    ],
)
def test_a_server_that_fails_is_named(
    server: Server, tiny_model_folder: Path, changed: dict[str, Any], said: str
) -> None:
    vars(server).update(changed)
    with pytest.raises(ServerError, match=said):
        served(tiny_model_folder, server.url).correct([task(0)])


def test_openai_needs_an_address_and_its_libraries(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="the openai corrector needs --base-url"):
        get_corrector("openai", model=str(tiny_model_folder))
    for module in ("coursecorrect.generate._completions", "coursecorrect.connection"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)  # type: ignore[arg-type]
    said = r"the openai corrector needs httpx; run pip install 'coursecorrect\[openai\]'"
    with pytest.raises(UserError, match=said):
        served(tiny_model_folder, "http://localhost:1/v1")
