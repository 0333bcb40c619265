"""What stands around the assistant's text in a turn, found out from the chat template itself.

A template is asked for finished turns with a probe word for the answer, or for the thought. What
it writes before the probe opens the turn: a space (Llama-2, Mistral), a line end (GLM-4), a channel
(harmony), an empty thought (Qwen3), or nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from coursecorrect.chat import ChatSettings, render
from coursecorrect.errors import TemplateError
from coursecorrect.thought import KNOWN, Markers

_ANSWER, _THOUGHT = "Probe1answer", "Probe2thought"


@dataclass(frozen=True)
class Turn:
    """A finished assistant turn around the text that is prefilled.

    Attributes:
        prompt: the prompt for generation.
        head: all that stands before the assistant's text.
        finished: the whole turn; the assistant's text as the template renders it.
        markers: how thoughts are marked; None where ``thinking`` is ``none``.
    """

    prompt: str
    head: str
    finished: str
    markers: Markers | None = None

    @property
    def thinks_at_once(self) -> bool:
        """The prompt ends within a thought."""
        return self.markers is not None and self.prompt.rstrip().endswith(self.markers.open_tag)


def assistant_turn(tokenizer: Any, chat: ChatSettings, request: str, text: str) -> Turn:
    """The turn in which the assistant says ``text``, or thinks it.

    ``chat.thinking`` decides what stands between the assistant's header and ``text``:

    - ``none``: what the template writes there in a finished turn;
    - ``before``: the same without any thought, not even an empty one;
    - ``inside``: what opens a thought, so that ``text`` is thought;
    - ``after``: a whole thought (``chat.thought``), closed.

    Raises:
        TemplateError: the template opens another turn for generation than for a finished answer,
            or knows no thoughts.
    """
    prompt = render(tokenizer, request, chat)
    if chat.thinking == "none":
        head = _own_head(tokenizer, chat, request)
        if not head.startswith(prompt):
            raise TemplateError(_differently(head, prompt))
        return Turn(prompt, head, render(tokenizer, request, chat, text))
    markers, header, rendered = find_markers(tokenizer, chat, request, prompt)
    head = (
        header
        + {
            "before": markers.plain,
            "inside": markers.opening,
            "after": f"{markers.opening}{chat.thought}{markers.closing}",
        }[chat.thinking]
    )
    # The template's own finished turn, with what it writes before the text exchanged for ``head``.
    if chat.thinking == "inside" and rendered:
        own = header + markers.opening
        finished = render(tokenizer, request, chat, _ANSWER, thought=text)
    else:
        thought = _THOUGHT if chat.thinking == "after" and rendered else None
        own = _own_head(tokenizer, chat, request, thought)
        finished = render(tokenizer, request, chat, text, thought=thought)
    if not own.startswith(header):
        raise TemplateError(_differently(own, header))
    return Turn(prompt, head, head + finished[len(own) :], markers)


def _own_head(tokenizer: Any, chat: ChatSettings, request: str, thought: str | None = None) -> str:
    """What the template writes before the answer of a finished turn."""
    finished = render(tokenizer, request, chat, _ANSWER, thought=thought)
    at = finished.rfind(_ANSWER)
    if at < 0:
        raise TemplateError(
            f"the chat template changes the assistant's text ({_ANSWER!r} does not stand in the "
            "finished turn): the prefill would not be continued"
        )
    return finished[:at]


def find_markers(
    tokenizer: Any, chat: ChatSettings, request: str, prompt: str
) -> tuple[Markers, str, bool]:
    """How a template marks thoughts, the prompt without one, and whether a turn is given its own.

    Markers are read off a finished turn with a thought. A template that strips it is searched for
    markers that are known, and so are the tokens added to the vocabulary.

    Raises:
        TemplateError: there is neither.
    """
    shown = _rendered_thought(tokenizer, chat, request)
    if shown is None:
        markers = _known_markers(tokenizer, prompt)
        header = _without_thought(prompt, markers)
        if header != prompt and prompt.rstrip().endswith(markers.open_tag):
            markers = replace(markers, opening=prompt[len(header) :])
    else:
        before, closing = shown
        tags = next((m for m in KNOWN if m.open_tag in before and m.close_tag in closing), None)
        header = _without_thought(prompt, tags) if tags else prompt
        if not before.startswith(header):
            raise TemplateError(_differently(before, header))
        markers = Markers(before[len(header) :], closing)
    own = _own_head(tokenizer, chat, request)
    if not own.startswith(header):
        raise TemplateError(_differently(own, header))
    plain = _without_thought(own[len(header) :], markers)
    return replace(markers, plain=plain), header, shown is not None


def _rendered_thought(tokenizer: Any, chat: ChatSettings, request: str) -> tuple[str, str] | None:
    """What a finished turn has before its thought, and between thought and answer."""
    finished = render(tokenizer, request, chat, _ANSWER, thought=_THOUGHT)
    before, found, rest = finished.partition(_THOUGHT)
    closing, answered, _ = rest.partition(_ANSWER)
    return (before, closing) if found and answered else None


def _known_markers(tokenizer: Any, prompt: str) -> Markers:
    places = (prompt, str(tokenizer.chat_template), " ".join(tokenizer.get_added_vocab()))
    for place in places:
        for markers in KNOWN:
            if markers.open_tag in place:
                return markers
    raise TemplateError(
        "the chat template writes no thought and knows no marker of one: --thinking is for "
        "reasoning models; leave it out"
    )


def _without_thought(text: str, markers: Markers) -> str:
    """``text`` without a thought at its end: begun, empty, or only closed."""
    opened, closed = re.escape(markers.open_tag), re.escape(markers.close_tag)
    return re.sub(rf"(?:{opened}\s*(?:{closed}\s*)?|{closed}\s*)\Z", "", text)


def _differently(found: str, wanted: str) -> str:
    text = (
        "the chat template renders a finished turn differently from the generation prompt "
        f"({difference(found, wanted)}): the prefill would not be continued"
    )
    if any(wanted.rstrip().endswith(markers.open_tag) for markers in KNOWN):
        text += "; the prompt opens a thought: choose --thinking before, inside or after"
    return text


def difference(found: str, wanted: str) -> str:
    """The first place where two texts differ, for a message."""
    at = next(
        (i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    return f"at character {at}: {found[at : at + 20]!r} instead of {wanted[at : at + 20]!r}"
