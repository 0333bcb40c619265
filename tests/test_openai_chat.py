"""The chat endpoint of the ``openai`` generator, against servers that render by themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import quiet
from coursecorrect.errors import ServerError
from coursecorrect.evaluate import EvalSettings
from coursecorrect.generate.base import Sampling
from coursecorrect.generate.openai import ServerSettings
from coursecorrect.models import ModelSettings
from coursecorrect.store import read_jsonl, read_run
from coursecorrect.workflow import measure
from servers import ChatServer, Mutate


@pytest.fixture
def server(chat_server: ChatServer) -> ChatServer:
    return chat_server


@pytest.fixture
def settings(
    server: ChatServer, items_file: Callable[..., Path], tiny_model_folder: Path
) -> EvalSettings:
    return EvalSettings(
        model=ModelSettings(model=str(tiny_model_folder), device="cpu"),
        generator="openai",
        server=ServerSettings(base_url=server.url, served_model="tiny", endpoint="chat", tries=1),
        data=str(items_file(2)),
        ks=(5, 10),
        sampling=Sampling(paths=2),
        system="Be brief.",
    )


def test_the_server_goes_on_with_the_prefill_as_it_stands(
    server: ChatServer, settings: EvalSettings, tmp_path: Path
) -> None:
    measure(settings, tmp_path / "run", notice=quiet, progress=quiet)
    paths = [row for _, row in read_jsonl(tmp_path / "run" / "paths.jsonl")]
    items = {row["id"]: row for _, row in read_jsonl(tmp_path / "run" / "items.jsonl")}
    prefills = {(items[p["item"]]["request"], p["prefill"]) for p in paths}
    seen = set()
    for body, text in server.rendered:
        system, user, *begun = body["messages"]
        assert system == {"role": "system", "content": "Be brief."}
        prefill = begun[0]["content"] if begun else ""
        assert text.endswith("<|im_start|>assistant\n" + prefill)
        seen.add((user["content"], prefill))
    assert seen == prefills
    assert {p["continuation"] for p in paths} == {" and then leave. But no, I won't."}
    assert read_run(tmp_path / "run")["settings"]["server"]["endpoint"] == "chat"


def new_turn(body: dict[str, Any], answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Closes the assistant's turn and opens another: end, start, role and newline."""
    answer["usage"]["prompt_tokens"] += 4 if len(body["messages"]) > 2 else 0
    return 200, answer


def silent(_: dict[str, Any], answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"choices": answer["choices"]}


def refusing(body: dict[str, Any], answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    if "continue_final_message" not in body:
        return 200, answer
    said = "Unrecognized request argument supplied: continue_final_message"
    return 400, {"error": {"message": said}}


@pytest.mark.parametrize(
    ("mutate", "said"),
    [
        (new_turn, "does not continue the prefill as it stands"),
        (silent, "cannot be proven"),
        (refusing, "status 400: Unrecognized request .*use --endpoint completions"),
    ],
)
def test_a_server_that_does_not_continue_is_refused_with_the_reason(
    server: ChatServer, settings: EvalSettings, tmp_path: Path, mutate: Mutate, said: str
) -> None:
    server.mutate = mutate
    with pytest.raises(ServerError, match=said):
        measure(settings, tmp_path / "run", notice=quiet, progress=quiet)
