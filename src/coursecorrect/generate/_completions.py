"""What ``/completions`` and its chat form answer, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from coursecorrect.connection import Connection, PassingError
from coursecorrect.errors import ServerError

Parsed = TypeVar("Parsed", bound=BaseModel)


class Choice(BaseModel):
    """One continuation of the prompt."""

    index: int
    text: str
    finish_reason: str | None


class Usage(BaseModel):
    """What the server counted; ``completion_tokens`` is the sum over all choices."""

    prompt_tokens: int
    completion_tokens: int = 0


class Answer(BaseModel):
    """The parts of a completion that are used; choices by index."""

    choices: list[Choice]
    usage: Usage | None = None


class Message(BaseModel):
    """What the assistant goes on with; null where it says nothing."""

    content: str | None


class ChatChoice(BaseModel):
    """One continuation of the conversation."""

    index: int
    message: Message
    finish_reason: str | None


class ChatAnswer(BaseModel):
    """The parts of a chat completion that are used."""

    choices: list[ChatChoice]
    usage: Usage | None = None


class Completions(Connection):
    """A connection to ``/completions`` or ``/chat/completions``."""

    def complete(self, body: Mapping[str, Any], prompt_tokens: int) -> Answer:
        """The answer to one request, with exactly ``body["n"]`` choices.

        Args:
            body: a chat request where it has ``messages``.
            prompt_tokens: what the server must have read.

        Raises:
            ServerError: as ``Connection.ask``; the server doesn't truly go on with the prefill.
        """
        chat = "messages" in body
        read = _parsed_chat if chat else _parsed
        return self.ask(
            body, lambda content: _checked(read(content), body["n"], prompt_tokens, proof=chat)
        )


def _parsed(content: bytes) -> Answer:
    return _validated(Answer, content)


def _parsed_chat(content: bytes) -> Answer:
    answer = _validated(ChatAnswer, content)
    choices = [
        Choice(index=c.index, text=c.message.content or "", finish_reason=c.finish_reason)
        for c in answer.choices
    ]
    return Answer(choices=choices, usage=answer.usage)


def _validated(kind: type[Parsed], content: bytes) -> Parsed:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PassingError(f"not a whole completion ({where or 'body'}: {first['msg']})") from None


def _checked(answer: Answer, paths: int, sent: int, *, proof: bool) -> Answer:
    """``answer`` with its choices in order, once it is what was asked for.

    Raises:
        PassingError: too few choices, or one that the server broke off.
        ServerError: the server changed the prompt, filters what the model says, or gives no count
            of prompt tokens where that is the only ``proof``.
    """
    if proof and answer.usage is None:
        raise ServerError(
            "the server doesn't say how many prompt tokens it read, so it cannot be proven that it "
            "goes on with the prefill; use --endpoint completions, or another server"
        )
    if answer.usage is not None and answer.usage.prompt_tokens != sent:
        raise ServerError(
            f"the server read {answer.usage.prompt_tokens} prompt tokens where {sent} were sent: "
            "it does not continue the prefill as it stands (it adds tokens, opens a new turn or "
            "has another tokenizer or chat template than the model that is named here)"
        )
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(paths)):
        raise PassingError(f"{len(choices)} choices instead of {paths}")
    reasons = {choice.finish_reason for choice in choices}
    if "content_filter" in reasons:
        raise ServerError(
            "the server filters what the model says (finish_reason content_filter), so this is not "
            "what the model itself says; switch the filter off or take another server"
        )
    if other := reasons - {"stop", "length"}:
        raise PassingError(f"a choice ended for the reason {sorted(map(str, other))[0]!r}")
    return Answer(choices=choices, usage=answer.usage)
