"""A conversation as text by the model's own chat template, and text as token ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from coursecorrect.errors import TemplateError

Thinking = Literal["none", "before", "inside", "after"]

_THOUGHT_FIELDS = ("reasoning_content", "thinking", "reasoning")
"""Where templates look for the thought of an assistant message; the families differ."""
_TODAY = datetime(2026, 1, 1)
"""The date for templates that ask for one: a prompt must not change from day to day."""
_ASKS_DATE = re.compile(r"""strftime_now\(\s*(["'])(?P<format>.*?)\1\s*\)""")


@dataclass(frozen=True)
class ChatSettings:
    """How a request becomes a prompt, and where in the turn of a reasoning model the prefill is.

    Attributes:
        system: the system prompt; None leaves the template's own default.
        template_args: arguments of the chat template.
        thinking: where the prefill stands (``turn.assistant_turn``).
        thought: what the model has thought, where ``thinking`` is ``after``.
    """

    system: str | None = None
    template_args: Mapping[str, Any] | None = None
    thinking: Thinking = "none"
    thought: str = ""


def messages(request: str, system: str | None = None) -> list[dict[str, str]]:
    """The conversation up to the user's request."""
    head = [] if system is None else [{"role": "system", "content": system}]
    return [*head, {"role": "user", "content": request}]


def render(
    tokenizer: Any,
    request: str,
    chat: ChatSettings,
    answer: str | None = None,
    *,
    thought: str | None = None,
    new_turn: bool = False,
) -> str:
    """Render the prompt (``answer`` None) or the finished assistant turn as text.

    Args:
        tokenizer: has the chat template.
        request: what the user asks.
        chat: system prompt and arguments of the template.
        answer: the assistant's text.
        thought: the assistant's thought, handed over in every field that templates read.
        new_turn: open another assistant turn behind the finished one.

    Raises:
        TemplateError: there is no chat template, or it refuses the conversation.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise TemplateError("the model has no chat template: C2-Eval measures chat models only")
    conversation = messages(request, chat.system)
    if answer is not None:
        told = {} if thought is None else dict.fromkeys(_THOUGHT_FIELDS, thought)
        conversation.append({"role": "assistant", "content": answer, **told})
    return render_messages(tokenizer, conversation, chat, answer is None or new_turn)


def render_messages(
    tokenizer: Any, conversation: Sequence[Mapping[str, str]], chat: ChatSettings, new_turn: bool
) -> str:
    """Render a conversation of any length, and with ``new_turn`` the beginning of an answer.

    Raises:
        TemplateError: the template refuses it.
    """
    try:
        text = tokenizer.apply_chat_template(
            [*conversation],
            tokenize=False,
            chat_template=_dated(tokenizer.get_chat_template()),
            add_generation_prompt=new_turn,
            **(chat.template_args or {}),
        )
    except Exception as error:  # jinja2 and the tokenizer raise many kinds
        line = str(error).strip().splitlines()
        raise TemplateError(
            f"the chat template refuses the conversation ({line[0] if line else error!r}); "
            "try another --system or --template-arg"
        ) from error
    return str(text)


def _dated(template: str) -> str:
    """``template`` with the date it asks for; transformers takes no function of ours instead."""
    return _ASKS_DATE.sub(lambda m: repr(_TODAY.strftime(m["format"])), template)


def encode(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids and character spans of ``text``, with no special tokens but those written in it."""
    try:
        coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    except NotImplementedError as error:
        raise TemplateError(
            "the tokenizer gives no character offsets (a slow tokenizer); use its fast version"
        ) from error
    return list(coded["input_ids"]), [(int(a), int(b)) for a, b in coded["offset_mapping"]]


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of ``ids``, special tokens included."""
    return str(
        tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    )
