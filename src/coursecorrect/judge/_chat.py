"""Questions to a model behind ``/chat/completions``, one a text, and its answers as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from coursecorrect.errors import UserError
from coursecorrect.judge._prompt import Messages
from coursecorrect.judge.setup import JudgeSetup
from coursecorrect.serve import checked_key, checked_url, in_order
from coursecorrect.types import content_id

if TYPE_CHECKING:
    from coursecorrect.connection import Connection

TRIES: Final = 6

T = TypeVar("T")


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Answer(BaseModel):
    choices: list[_Choice]


@dataclass(frozen=True)
class Reply:
    """What the model answered, or why there is nothing to read."""

    text: str = ""
    problem: str | None = None


class Chat:
    """Asks the model that the settings name; greedy, one choice."""

    def __init__(self, setup: JudgeSetup, who: str) -> None:
        """Raises UserError: no address, a wrong one, no model, or a key that no header can hold."""
        settings = setup.settings
        self._url = checked_url(settings.judge_url, who, "--judge-url")
        if settings.judge_model is None:
            raise UserError(f"{who} needs --judge-model, the model's name on the server")
        self._key = checked_key(setup.api_key)
        self._settings, self._first_wait = settings, setup.first_wait
        self._constrained = settings.judge_answer == "schema"
        self._connection = _connection_class(who)

    def digest(self, *prompt: str) -> str:
        """Of everything that decides an answer, given the parts of the prompt."""
        settings = self._settings
        fixed = (settings.judge_answer, str(settings.judge_tokens))
        return content_id(self._url, str(settings.judge_model), *fixed, *prompt)

    def ask(
        self,
        questions: Sequence[Messages],
        response_format: Mapping[str, Any] | None,
        read: Callable[[int, Reply], T],
    ) -> list[T]:
        """What ``read`` makes of each answer; it runs in threads, as soon as the answer is there.

        Raises:
            ServerError: the server refuses, or failed at every try.
        """
        bodies = [self._body(question, response_format) for question in questions]
        constrained = "response_format" in bodies[0] if bodies else False
        with self._connect(constrained) as connection:

            def answer(numbered: tuple[int, dict[str, Any]]) -> T:
                number, body = numbered
                return read(number, connection.ask(body, _reply))

            asked = enumerate(bodies)
            width = self._settings.judge_concurrency
            with closing(in_order(answer, asked, width, connection.halt)) as answers:
                return list(answers)

    def _body(
        self, question: Messages, response_format: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._settings.judge_model,
            "messages": question,
            "temperature": 0,
            "max_tokens": self._settings.judge_tokens,
        }
        if response_format and self._constrained:
            body["response_format"] = dict(response_format)
        return body

    def _connect(self, constrained: bool) -> Connection:
        hint = "; if it takes no JSON schema, give --judge-answer text" if constrained else ""
        return self._connection(
            f"{self._url}/chat/completions",
            flag="--judge-url",
            api_key=self._key,
            connections=self._settings.judge_concurrency,
            timeout=self._settings.judge_timeout,
            tries=TRIES,
            first_wait=self._first_wait,
            hint=hint,
        )


def _connection_class(who: str) -> type[Connection]:
    try:
        from coursecorrect.connection import Connection
    except ModuleNotFoundError as error:
        raise UserError(
            f"{who} needs {error.name}; run pip install 'coursecorrect[openai]'"
        ) from error
    return Connection


def _reply(content: bytes) -> Reply:
    """The one choice. Raises PassingError where the answer is not a whole one."""
    from coursecorrect.connection import PassingError

    try:
        choices = _Answer.model_validate_json(content).choices
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PassingError(
            f"not a whole chat completion ({where or 'body'}: {first['msg']})"
        ) from None
    if len(choices) != 1:
        raise PassingError(f"{len(choices)} choices instead of 1")
    message, reason = choices[0].message, choices[0].finish_reason
    if message.refusal or reason == "content_filter":
        return Reply(problem="the judging model or its server refused to judge")
    if reason == "length":
        return Reply(problem="the judge's answer broke off; give more --judge-tokens")
    if not (message.content or "").strip():
        return Reply(problem="the judge's answer is empty")
    return Reply(message.content or "")
