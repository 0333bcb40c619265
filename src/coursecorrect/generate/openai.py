"""The ``openai`` generator: a model behind an OpenAI-compatible server (vLLM's, for one).

By default it uses the plain ``/completions`` endpoint. The prompt is rendered and tokenised here,
and sent as token ids: the server renders nothing, so it cannot open a new turn after the prefill.
Where the server says how many prompt tokens it read, that count must be the one sent, or the run
stops.

``/chat/completions`` renders the conversation itself, with the prefill as an assistant message to
go on with. There the count of prompt tokens is the only proof of a true continuation: a server that
gives none, or another one, is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from coursecorrect.errors import UserError
from coursecorrect.generate.base import Job, Path, Role, Sampling, continuation_text, seed_of
from coursecorrect.models import LoadedModel
from coursecorrect.serve import checked_key, checked_url, in_order
from coursecorrect.store import BlockLog, read_jsonl
from coursecorrect.types import Record, content_id, settings_hash

if TYPE_CHECKING:
    from coursecorrect.generate._completions import Answer, Completions

_FIRST_WAIT = 0.5
_CHAT_HINT = (
    "; the chat endpoint must go on with an assistant message (continue_final_message, as vLLM has "
    "it): where it does not, use --endpoint completions"
)


class ServerSettings(Record):
    """Where a served model is, and how it is asked.

    Only the address and the name decide the rows; the rest is not recorded, so that a run can go
    on with other values.
    """

    base_url: str | None = None
    """Address of an OpenAI-compatible server, such as http://localhost:8000/v1."""
    served_model: str | None = None
    """The model's name on the server; without it the name given by --model."""
    endpoint: Literal["completions", "chat"] = Field(
        default="completions", exclude_if=lambda value: value == "completions"
    )
    """completions: token ids, rendered here. chat: the server renders, and must go on with an
    assistant message (continue_final_message, as vLLM has it)."""
    concurrency: int = Field(default=8, ge=1, exclude=True)
    """Requests to the server at the same time."""
    timeout: float = Field(default=120.0, gt=0, exclude=True)
    """Seconds that a whole request to the server may take."""
    tries: int = Field(default=6, ge=1, exclude=True)
    """Tries of one request before the run stops."""


@dataclass(frozen=True)
class Request:
    """What is sent for one job at one k, and how many tokens the server should read there."""

    body: dict[str, Any]
    prompt_tokens: int

    @property
    def id(self) -> str:
        """A digest of the body."""
        return settings_hash(self.body)


class OpenAIGenerator:
    """Samples by one request for each job and k; the server draws, from a seed that is sent.

    What a server's text lacks: the special tokens, and the first bytes of a character that the
    prefill has begun.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        server: ServerSettings,
        role: Role = "generator",
        api_key: str | None = None,
        journal: FilePath | None = None,
        first_wait: float = _FIRST_WAIT,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Only the tokenizer of ``loaded`` is used.

        Args:
            loaded: gives the tokenizer; its weights may be missing.
            server: where the model is.
            role: what the answers are for, for messages.
            api_key: sent as bearer token, written nowhere.
            journal: a file that keeps every answer as it arrives; a request that stands there is
                not sent again.
            first_wait: seconds before the second try; doubles at every further one.
            notice: told the cost before the first request.

        Raises:
            UserError: no address or a wrong one, a key that no header can hold, or the libraries
                of the ``openai`` extra are missing.
        """
        self._url = checked_url(server.base_url, f"the openai {role}", "--base-url")
        self.name = server.served_model or loaded.name
        self.tokenizer = loaded.tokenizer
        self.digest = content_id("openai", self._url, self.name, loaded.revision)
        self._server, self._journal, self._notice = server, journal, notice
        self._key, self._first_wait = checked_key(api_key), first_wait
        self._lock = threading.Lock()
        self._client_class = _client_class(role)

    def sample(
        self, batches: Sequence[Sequence[Job]], sampling: Sampling
    ) -> Iterator[list[list[Path]]]:
        log = BlockLog(self._journal, "request", 1, self._notice) if self._journal else None
        known = _kept(log)
        asked = [[self._requests(job, sampling) for job in batch] for batch in batches]
        flat = [request for batch in asked for requests in batch for request in requests]
        if fresh := [request for request in flat if request.id not in known]:
            self._notice(_estimate(self.name, self._url, fresh))
        with self._client() as client:
            answer = partial(self._answer, client, known, log)
            with closing(in_order(answer, flat, self._server.concurrency, client.halt)) as rows:
                for batch in batches:
                    yield [self._paths(job, rows, sampling) for job in batch]

    def _answer(
        self,
        client: Completions,
        known: Mapping[str, dict[str, Any]],
        log: BlockLog | None,
        request: Request,
    ) -> dict[str, Any]:
        """The journal's row, old or new; runs in a thread of the pool."""
        if request.id in known:
            return known[request.id]
        row = _row(request, client.complete(request.body, request.prompt_tokens))
        if log:
            with self._lock:
                log.append([row])
        return row

    def _client(self) -> Completions:
        chat = self._server.endpoint == "chat"
        return self._client_class(
            f"{self._url}{'/chat' if chat else ''}/completions",
            flag="--base-url",
            api_key=self._key,
            connections=self._server.concurrency,
            timeout=self._server.timeout,
            tries=self._server.tries,
            first_wait=self._first_wait,
            hint=_CHAT_HINT if chat else "",
        )

    def _requests(self, job: Job, sampling: Sampling) -> list[Request]:
        prompt = self._chat if self._server.endpoint == "chat" else self._ids
        requests = []
        for k, length in job.lengths:
            body = {
                "model": self.name,
                # Greedy paths are all the same, and vLLM refuses to make several.
                "n": sampling.paths if sampling.temperature else 1,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_new_tokens,
                "seed": seed_of(sampling.seed, job.key, k),
            }
            own, tokens = prompt(job, length)
            requests.append(Request(body | own, tokens))
        return requests

    def _ids(self, job: Job, length: int) -> tuple[dict[str, Any], int]:
        return {"prompt": list(job.ids[:length])}, length

    def _chat(self, job: Job, length: int) -> tuple[dict[str, Any], int]:
        """The conversation; the text of ids that end within a character ends before it."""
        head = list(job.ids[: job.prompt])
        text = continuation_text(self.tokenizer, head, job.ids[job.prompt : length]).rstrip(
            "\ufffd"
        )
        messages = [{"role": role, "content": content} for role, content in job.conversation]
        if not text:
            return {"messages": messages}, job.prompt
        rendered = self.tokenizer.decode(head, skip_special_tokens=False) + text
        tokens = len(self.tokenizer(rendered, add_special_tokens=False)["input_ids"])
        going_on = {"add_generation_prompt": False, "continue_final_message": True}
        return {"messages": [*messages, {"role": "assistant", "content": text}], **going_on}, tokens

    def _paths(self, job: Job, rows: Iterator[dict[str, Any]], sampling: Sampling) -> list[Path]:
        paths = []
        for k, _ in job.lengths:
            row = next(rows)
            for index in range(sampling.paths):
                text, finished = row["choices"][index % len(row["choices"])]
                ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
                paths.append(Path(k, index, tuple(ids), finished, text))
        return paths


def _client_class(role: Role) -> type[Completions]:
    try:
        from coursecorrect.generate._completions import Completions
    except ModuleNotFoundError as error:
        raise UserError(
            f"the openai {role} needs {error.name}; run pip install 'coursecorrect[openai]'"
        ) from error
    return Completions


def _kept(log: BlockLog | None) -> dict[str, dict[str, Any]]:
    if log is None or not log.path.exists():
        return {}
    return {str(row["request"]): row for _, row in read_jsonl(log.path)}


def _estimate(name: str, url: str, requests: Sequence[Request]) -> str:
    prompt = sum(request.prompt_tokens for request in requests)
    new = sum(request.body["n"] * request.body["max_tokens"] for request in requests)
    return (
        f"{name} at {url}: {len(requests):,} requests, {prompt:,} prompt tokens, "
        f"at most {new:,} new tokens"
    )


def _row(request: Request, answer: Answer) -> dict[str, Any]:
    """The answer as the journal keeps it."""
    return {
        "request": request.id,
        "choices": [[choice.text, choice.finish_reason == "stop"] for choice in answer.choices],
        "usage": answer.usage.model_dump() if answer.usage else None,
    }
