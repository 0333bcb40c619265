"""What ``/completions`` answers, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from coursecorrect.connection import Connection, PassingError
from coursecorrect.errors import ServerError


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


class Completions(Connection):
    """A connection to ``/completions``."""

    def complete(self, body: Mapping[str, Any]) -> Answer:
        """The answer to one request, with exactly ``body["n"]`` choices.

        Raises:
            ServerError: as ``Connection.ask``.
        """
        return self.ask(body, lambda content: _checked(_parsed(content), body))


def _parsed(content: bytes) -> Answer:
    try:
        return Answer.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PassingError(f"not a whole completion ({where or 'body'}: {first['msg']})") from None


def _checked(answer: Answer, body: Mapping[str, Any]) -> Answer:
    """``answer`` with its choices in order, once it is what was asked for.

    Raises:
        PassingError: too few choices, or one that the server broke off.
        ServerError: the server changed the prompt, or filters what the model says.
    """
    sent = len(body["prompt"])
    if answer.usage is not None and answer.usage.prompt_tokens != sent:
        raise ServerError(
            f"the server read {answer.usage.prompt_tokens} prompt tokens where {sent} were sent: "
            "it does not continue the prefill as it stands (it adds tokens, opens a new turn or "
            "has another tokenizer than --model)"
        )
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    if [choice.index for choice in choices] != list(range(body["n"])):
        raise PassingError(f"{len(choices)} choices instead of {body['n']}")
    reasons = {choice.finish_reason for choice in choices}
    if "content_filter" in reasons:
        raise ServerError(
            "the server filters what the model says (finish_reason content_filter), so the model "
            "cannot be measured there; switch the filter off or take another server"
        )
    if other := reasons - {"stop", "length"}:
        raise PassingError(f"a choice ended for the reason {sorted(map(str, other))[0]!r}")
    return Answer(choices=choices, usage=answer.usage)
