"""The ``openai`` generator against a real HTTP server that fails by a seeded schedule."""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from conftest import SENTENCES, tree_bytes
from coursecorrect.cli.main import main
from coursecorrect.connection import retry_after
from coursecorrect.errors import ServerError, UserError
from coursecorrect.evaluate import EvalSettings
from coursecorrect.generate.base import Job, Sampling, continuation_text, seed_of
from coursecorrect.generate.hf import HFGenerator
from coursecorrect.generate.openai import OpenAIGenerator, ServerSettings
from coursecorrect.models import LoadedModel, ModelSettings, load_tokenizer
from servers import KEY, Server, text_of
from test_resume import finish, kill_when, lines

ItemsFile = Callable[..., Path]
SAMPLING = Sampling(paths=2, max_new_tokens=8)
QUICK = ("429", "500", "truncated", "torn", "type", "empty", "short")
"""Faults that cost no time; ``drip`` lasts until the client gives up."""


def generator_for(
    server: Server, tokenizer: Any, *, notices: list[str] | None = None, **changed: Any
) -> OpenAIGenerator:
    own = {key: changed.pop(key) for key in ("journal", "first_wait", "api_key") if key in changed}
    values: dict[str, Any] = {"base_url": server.url, "served_model": "tiny", "tries": 4}
    return OpenAIGenerator(
        LoadedModel(None, tokenizer, "tiny-folder", "tokenizer:1"),
        server=ServerSettings(**values | changed),
        notice=(notices if notices is not None else []).append,
        **({"first_wait": 0.001} | own),
    )


def job(key: str, lengths: tuple[tuple[int, int], ...] = ((-1, 2), (10, 4))) -> Job:
    return Job(key, (5, 6, 7, 8), lengths)


def sample(generator: OpenAIGenerator, jobs: list[Job], sampling: Sampling = SAMPLING) -> Any:
    (found,) = generator.sample([jobs], sampling)
    return found


def one_in_five(request: str, attempt: int) -> str | None:
    """Faults at 20 % of all attempts, at most three in a row for one request."""
    draw = random.Random(f"{request}|{attempt}")
    if attempt > 3 or draw.random() >= 0.2:
        return None
    return "drip" if draw.random() < 0.05 else draw.choice(QUICK)


def test_2000_requests_with_faults_lose_double_and_pay_nothing_twice(
    server: Server, tokenizer: Any, tmp_path: Path
) -> None:
    server.schedule = one_in_five
    journal = tmp_path / "served.jsonl"
    notices: list[str] = []
    # The time allowed is long beside a good answer, or a busy machine would cost a second one.
    generator = generator_for(
        server, tokenizer, notices=notices, journal=journal, timeout=1.0, concurrency=16
    )
    jobs = [job(f"item-{i}", tuple((k, 1 + k % 4) for k in range(10))) for i in range(200)]
    batches = [jobs[i : i + 3] for i in range(0, 200, 3)]
    found = [paths for batch in generator.sample(batches, SAMPLING) for paths in batch]
    assert [[(p.k, p.index, p.text) for p in paths] for paths in found] == [
        [(k, i, text_of(seed_of(0, one.key, k), i)) for k, _ in one.lengths for i in range(2)]
        for one in jobs
    ]
    assert len(server.ledger) == 2000
    assert set(server.ledger.values()) == {1}
    faults = sum(server.faults.values()) - server.faults["none"]
    assert 0.17 < faults / sum(server.faults.values()) < 0.23
    assert set(server.faults) == {"none", "drip", *QUICK}
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert {row["request"] for row in rows} == set(server.ledger)
    assert len(rows) == 2000
    # Prompts of 1, 2, 3, 4, 1, 2, 3, 4, 1, 2 tokens make 23 an item; 2 paths of 8 a request.
    (estimate,) = notices
    assert estimate.endswith("2,000 requests, 4,600 prompt tokens, at most 32,000 new tokens")


def test_what_was_paid_before_a_kill_is_not_paid_again(
    server: Server, tokenizer: Any, tmp_path: Path
) -> None:
    server.schedule = one_in_five
    batches = [[job(f"item-{i}")] for i in range(30)]
    notices: list[str] = []
    settings: Any = {"journal": tmp_path / "served.jsonl", "timeout": 1.0, "notices": notices}
    first = generator_for(server, tokenizer, concurrency=1, **settings)
    running = first.sample(batches, SAMPLING)
    begun = [next(running) for _ in range(4)]
    running.close()  # type: ignore[attr-defined]
    paid = sum(server.ledger.values())
    assert 8 <= paid < 60
    with settings["journal"].open("ab") as file:
        file.write(b'{"request": "torn')
    found = list(generator_for(server, tokenizer, **settings).sample(batches, SAMPLING))
    assert found[:4] == begun
    assert len(server.ledger) == 60
    assert set(server.ledger.values()) == {1}
    assert any("cut back 17 bytes" in line for line in notices)
    assert f" {60 - paid} requests" in notices[-1]


@pytest.mark.parametrize("fault", [*QUICK, "drip", "503", "408"])
def test_a_passing_fault_is_tried_again(server: Server, tokenizer: Any, fault: str) -> None:
    server.schedule = lambda _, attempt: fault if attempt == 1 else None
    ((first, *_),) = sample(generator_for(server, tokenizer, timeout=0.3), [job("a")])
    assert first.text == text_of(seed_of(0, "a", -1), 0)
    assert set(server.attempts.values()) == {2}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("429", "status 429"),
        ("500", "status 500"),
        ("truncated", "not a whole completion"),
        ("torn", "the connection broke"),
        ("type", "the answer is text/html, not JSON"),
        ("empty", "0 choices instead of 2"),
        ("short", "1 choices instead of 2"),
        ("drip", "no whole answer within 0.1 s"),
    ],
)
def test_a_fault_that_stays_is_an_error_after_the_tries(
    server: Server, tokenizer: Any, fault: str, said: str
) -> None:
    server.schedule = lambda *_: fault
    generator = generator_for(
        server, tokenizer, api_key=KEY, timeout=0.1 if fault == "drip" else 5.0
    )
    with pytest.raises(ServerError, match=said) as caught:
        sample(generator, [job("a", ((10, 4),))])
    assert "failed 4 times" in str(caught.value)
    assert KEY not in str(caught.value)
    assert sum(server.attempts.values()) == 4
    assert not server.ledger


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_bad_key_stops_at_once(server: Server, tokenizer: Any, status: str) -> None:
    server.schedule = lambda *_: status
    generator = generator_for(server, tokenizer, api_key=KEY, concurrency=1)
    with pytest.raises(ServerError, match=rf"refuses the key \({status}\).*OPENAI_API_KEY") as told:
        sample(generator, [job(f"item-{i}") for i in range(20)])
    assert KEY not in str(told.value)
    assert sum(server.attempts.values()) == 1
    assert server.keys == {f"Bearer {KEY}"}


def test_a_bad_key_cuts_the_waits_of_others_short(server: Server, tokenizer: Any) -> None:
    """One request waits for its second try (10 minutes); the refusal of another ends that."""
    first = threading.Event()

    def schedule(_request: str, _attempt: int) -> str:
        if first.is_set():
            return "401"
        first.set()
        return "500"

    server.schedule = schedule
    generator = generator_for(server, tokenizer, first_wait=600.0, concurrency=2)
    with pytest.raises(ServerError, match="refuses the key"):
        sample(generator, [job(f"item-{i}") for i in range(4)])


def test_another_refusal_shows_what_the_server_says_but_never_the_key(
    server: Server, tokenizer: Any
) -> None:
    server.schedule = lambda *_: "400"
    generator = generator_for(server, tokenizer, api_key=KEY, concurrency=1)
    with pytest.raises(ServerError) as told:
        sample(generator, [job("a")])
    assert str(told.value).endswith("status 400: status 400, your key [key] was seen")
    assert sum(server.attempts.values()) == 1


def test_retry_after_is_honoured(server: Server, tokenizer: Any) -> None:
    """The server says 0 seconds; our own first wait would be a day (cut to half a minute)."""
    server.schedule = lambda _, attempt: "429" if attempt < 4 else None
    generator = generator_for(server, tokenizer, first_wait=86400.0)
    start = datetime.now(UTC)
    sample(generator, [job("a", ((10, 4),))])
    assert datetime.now(UTC) - start < timedelta(seconds=20)
    assert sum(server.attempts.values()) == 4


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", None),
        ("soon", None),
        (None, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(httpx.Headers({"Retry-After": value} if value else {})) == seconds


def test_retry_after_counts_to_the_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    found = retry_after(httpx.Headers({"Retry-After": date}))
    assert found is not None
    assert 60 < found <= 90


def test_the_server_is_sent_ids_and_the_settings(server: Server, tokenizer: Any) -> None:
    sampling = Sampling(paths=3, max_new_tokens=16, temperature=0.8, top_p=0.7, seed=4)
    (paths,) = sample(generator_for(server, tokenizer, concurrency=1), [job("a")], sampling)
    common = {"model": "tiny", "n": 3, "temperature": 0.8, "top_p": 0.7, "max_tokens": 16}
    assert server.bodies == [
        {**common, "prompt": [5, 6], "seed": seed_of(4, "a", -1)},
        {**common, "prompt": [5, 6, 7, 8], "seed": seed_of(4, "a", 10)},
    ]
    assert server.keys == {None}
    assert [p.finished for p in paths] == [True, False, False] * 2
    assert all(tokenizer.decode(p.ids) == p.text for p in paths)


def test_seeds_differ_by_seed_item_and_k() -> None:
    seeds = {seed_of(s, key, k) for s in (0, 1) for key in ("a", "b") for k in (-1, 0, 10)}
    assert len(seeds) == 12
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_greedy_paths_are_asked_for_once(server: Server, tokenizer: Any) -> None:
    sampling = Sampling(paths=3, max_new_tokens=8, temperature=0)
    (paths,) = sample(generator_for(server, tokenizer), [job("a", ((10, 4),))], sampling)
    assert [body["n"] for body in server.bodies] == [1]
    assert [p.index for p in paths] == [0, 1, 2]
    assert len({p.text for p in paths}) == 1


def test_a_served_model_and_hf_give_the_same_greedy_paths(server: Server, loaded: Any) -> None:
    tokenizer, model = loaded.tokenizer, loaded.model

    def greedy(body: dict[str, Any]) -> tuple[str, str]:
        sent = torch.tensor([body["prompt"]])
        new = model.generate(sent, do_sample=False, max_new_tokens=body["max_tokens"])
        ids = new[0, sent.shape[1] :].tolist()
        ended = ids[-1] == tokenizer.eos_token_id
        return tokenizer.decode(ids[: len(ids) - ended]), "stop" if ended else "length"

    server.model = greedy
    sampling = Sampling(paths=2, max_new_tokens=24, temperature=0)
    prefixes = [tuple(tokenizer(text)["input_ids"]) for text in SENTENCES]
    jobs = [Job(str(i), ids, ((5, 5), (9, 9))) for i, ids in enumerate(prefixes)]
    served = sample(generator_for(server, tokenizer, concurrency=1), jobs, sampling)
    local = sample(HFGenerator(loaded), jobs, sampling)
    for job_, ours, theirs in zip(jobs, served, local, strict=True):
        lengths = dict(job_.lengths)
        assert [(p.k, p.index, p.text, p.finished) for p in ours] == [
            (
                p.k,
                p.index,
                continuation_text(tokenizer, job_.ids[: lengths[p.k]], p.ids),
                p.finished,
            )
            for p in theirs
        ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"extra_prompt_tokens": 1}, "read 3 prompt tokens where 2 were sent"),
        ({"finish_reason": "content_filter"}, "filters what the model says"),
    ],
)
def test_a_server_that_changes_the_prompt_or_the_text_is_refused(
    server: Server, tokenizer: Any, changed: dict[str, Any], said: str
) -> None:
    vars(server).update(changed)
    with pytest.raises(ServerError, match=said):
        sample(generator_for(server, tokenizer, concurrency=1), [job("a")])
    assert sum(server.attempts.values()) == 1


def test_no_server_is_told_at_once(tokenizer: Any, server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    generator = generator_for(server, tokenizer, base_url=f"http://127.0.0.1:{port}/v1")
    with pytest.raises(ServerError, match=r"cannot reach .* is the server running"):
        sample(generator, [job("a")])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "needs --base-url"),
        ("localhost:8000/v1", "no address"),
        ("http://[bad/v1", "no address"),
        (f"http://me:{KEY}@host/v1", "OPENAI_API_KEY"),
        (f"http://host/v1?key={KEY}", "OPENAI_API_KEY"),
    ],
)
def test_an_address_that_is_wrong_or_holds_a_key_is_refused(
    tokenizer: Any, server: Server, url: str | None, said: str
) -> None:
    with pytest.raises(UserError, match=said) as told:
        generator_for(server, tokenizer, base_url=url)
    assert KEY not in str(told.value)


def test_a_run_without_a_server_records_none() -> None:
    assert not {"generator", "server"} & set(EvalSettings().model_dump())
    served = EvalSettings(
        generator="openai", server=ServerSettings(base_url="http://host/v1", timeout=3)
    )
    assert served.model_dump()["generator"] == "openai"
    assert served.model_dump()["server"] == {"base_url": "http://host/v1", "served_model": None}


@pytest.fixture
def tokenizer_folder(tmp_path: Path, tokenizer: Any) -> Path:
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def c2(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> Any:
    monkeypatch.setattr(sys, "argv", ["c2", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_eval_through_the_command_line(
    server: Server,
    tokenizer_folder: Path,
    items_file: ItemsFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.schedule = lambda request, attempt: (
        random.Random(request).choice(("429", "500")) if attempt == 1 else None
    )
    out = tmp_path / "run"
    command = [
        "eval", "--generator", "openai", "--base-url", server.url, "--served-model", "tiny",
        "--model", tokenizer_folder, "--data", items_file(2), "--ks", "5,10", "--paths", "3",
        "--max-new-tokens", "8", "--out", out,
    ]  # fmt: skip
    assert not c2(monkeypatch, *command)
    said = "".join(capfd.readouterr())
    assert f"tiny at {server.url}: 24 requests" in " ".join(said.split())
    assert KEY not in said
    assert server.keys == {f"Bearer {KEY}"}
    assert len(server.ledger) == 24  # 6 items × (2 anchors + 2 k)
    assert set(server.ledger.values()) == {1}
    whole = tree_bytes(out)
    assert set(whole) == {
        "run.json",
        "items.jsonl",
        "excluded.jsonl",
        "paths.jsonl",
        "served.jsonl",
        "verdicts-rules.jsonl",
        "results.json",
    }
    assert not [name for name, data in whole.items() if KEY.encode() in data]
    paths = [json.loads(line) for line in whole["paths.jsonl"].splitlines()]
    assert len(paths) == 6 * 4 * 3
    for row in paths:
        seed = seed_of(0, row["item"], row["k"])
        assert row["continuation"] == text_of(seed, row["path"])
        assert row["finished"] == (row["path"] == 0)
        assert row["tokens"] > 0
    recorded = json.loads(whole["run.json"])
    assert recorded["settings"]["server"] == {"base_url": server.url, "served_model": "tiny"}
    assert recorded["model_revision"].startswith("tokenizer:")
    assert json.loads(whole["results.json"])["model"] == "tiny"

    # As a kill would leave it: one item and a half are on disk. Nothing is asked for again, and
    # how the server is asked may change.
    lines = whole["paths.jsonl"].splitlines(keepends=True)
    (out / "paths.jsonl").write_bytes(b"".join(lines[:18]))
    assert not c2(monkeypatch, *command, "--concurrency", 2, "--tries", 3)
    assert tree_bytes(out) == whole
    assert sum(server.ledger.values()) == 24


def test_a_killed_run_goes_on_and_pays_no_more_twice_than_was_under_way(
    server: Server, tokenizer_folder: Path, items_file: ItemsFile, tmp_path: Path
) -> None:
    command = [
        "eval", "--generator", "openai", "--base-url", server.url, "--served-model", "tiny",
        "--model", tokenizer_folder, "--data", items_file(12), "--ks", "5,10", "--paths", "3",
        "--max-new-tokens", "8", "--concurrency", "2", "--out",
    ]  # fmt: skip
    finish([*command, "undisturbed"], tmp_path)
    requests = sum(server.ledger.values())
    assert requests == 36 * 4
    server.ledger.clear()
    served = tmp_path / "killed" / "served.jsonl"
    kill_when([*command, "killed"], tmp_path, lambda: lines(served) >= 20)
    assert lines(served) < requests
    finish([*command, "killed"], tmp_path)
    assert sum(server.ledger.values()) <= requests + 2
    whole, resumed = tree_bytes(tmp_path / "undisturbed"), tree_bytes(tmp_path / "killed")
    # In the journal answers stand as they arrived.
    arrived = [sorted(run.pop("served.jsonl").splitlines()) for run in (whole, resumed)]
    assert arrived[0] == arrived[1]
    assert resumed == whole


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--generator", "openai", "--base-url", "http://h/v1", "--ban-triggers"],
            "without a server only",
        ),
        (["--generator", "openai"], "needs --base-url"),
        (["--base-url", "http://h/v1"], "need --generator openai"),
        (["--generator", "opnai"], "did you mean 'openai'"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(
    arguments: list[str],
    said: str,
    tokenizer_folder: Path,
    items_file: ItemsFile,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    command = ["eval", "--model", tokenizer_folder, "--data", items_file(1), *arguments]
    assert c2(monkeypatch, *command) == 2
    assert said in " ".join(capfd.readouterr().err.split())


def test_a_tokenizer_folder_needs_no_weights(tokenizer_folder: Path, tokenizer: Any) -> None:
    found = load_tokenizer(ModelSettings(model=str(tokenizer_folder)))
    assert found.model is None
    assert found.tokenizer("bread")["input_ids"] == tokenizer("bread")["input_ids"]
