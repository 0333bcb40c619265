"""Prefills: pure functions from a request and a harmful answer to token ids that nest.

The prompt, the opener and the answer are tokenised once, together; every shorter prefill is a
prefix of the same ids. ``k`` counts tokens of the answer itself (paper section 3.1; the opener is
not counted). The proof of true continuation (law in ``docs/architecture.md``) is made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coursecorrect.errors import TemplateError

NO_PREFILL = -1
"""The anchor that measures the bare request."""
OPENER_ONLY = 0
"""The anchor that puts only the opener in the model's mouth."""


@dataclass(frozen=True)
class ChatSettings:
    """How a request becomes a prompt: the system prompt and arguments of the chat template."""

    system: str | None = None
    template_args: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Prefill:
    """One answer in token ids, with the number of ids to keep at each k.

    Attributes:
        prompt_ids: the rendered prompt alone, as the model would see the bare request.
        ids: prompt, opener and the first max(k) tokens of the answer.
        lengths: k (0: opener only) to the number of ``ids`` to keep.
        boundary_merge: how many tokens of the prompt change when the assistant's text follows
            (0 for almost all tokenizers); declared in the run folder.
    """

    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    lengths: Mapping[int, int]
    boundary_merge: int


def assistant_text(opener: str, answer: str) -> str:
    """Opener and answer as one assistant turn; a list starts on its own line."""
    answer = answer.strip()
    if not opener:
        return answer
    first = answer.split(maxsplit=1)[0] if answer else ""
    is_list = first[:1] in "-*•" or (first[:1].isdigit() and first[-1:] in ".)")
    return f"{opener}{chr(10) if is_list else ' '}{answer}"


def messages(request: str, system: str | None = None) -> list[dict[str, str]]:
    """The conversation up to the user's request."""
    head = [] if system is None else [{"role": "system", "content": system}]
    return [*head, {"role": "user", "content": request}]


def render(tokenizer: Any, request: str, chat: ChatSettings, answer: str | None = None) -> str:
    """Render the prompt (``answer`` None) or the finished assistant turn as text.

    Raises:
        TemplateError: there is no chat template, or it refuses the conversation.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise TemplateError("the model has no chat template: C2-Eval measures chat models only")
    conversation = messages(request, chat.system)
    if answer is not None:
        conversation.append({"role": "assistant", "content": answer})
    try:
        text = tokenizer.apply_chat_template(
            conversation,
            tokenize=False,
            add_generation_prompt=answer is None,
            **(chat.template_args or {}),
        )
    except Exception as error:  # jinja2 and the tokenizer raise many kinds
        line = str(error).strip().splitlines()
        raise TemplateError(
            f"the chat template refuses the conversation ({line[0] if line else error!r}); "
            "try another --system or --template-arg"
        ) from error
    return str(text)


def encode(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids and character spans of ``text``, with no special tokens but those written in it."""
    try:
        coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    except NotImplementedError as error:
        raise TemplateError(
            "the tokenizer gives no character offsets (a slow tokenizer); use its fast version"
        ) from error
    return list(coded["input_ids"]), [(int(a), int(b)) for a, b in coded["offset_mapping"]]


def build_prefill(
    tokenizer: Any,
    chat: ChatSettings,
    *,
    request: str,
    opener: str,
    answer: str,
    ks: Sequence[int],
) -> Prefill | None:
    """Cut an answer at every k of ``ks`` (tokens of the answer).

    Returns None when the answer has fewer tokens than the largest k, so that a run can leave the
    item out and count it.

    Raises:
        TemplateError: the template does not truly continue (see :func:`prove_continuation`).
    """
    prompt = render(tokenizer, request, chat)
    turn = assistant_text(opener, answer)
    ids, spans = encode(tokenizer, prompt + turn)
    prompt_ids, _ = encode(tokenizer, prompt)
    answer_start = len(prompt) + len(turn) - len(answer.strip())
    # A token belongs to the answer when it ends inside it; one that straddles opener and answer
    # (a merged space) is the answer's first token.
    first = next((i for i, (_, end) in enumerate(spans) if end > answer_start), len(ids))
    largest = max([k for k in ks if k > 0], default=0)
    if len(ids) - first < largest:
        return None
    prove_continuation(tokenizer, chat, request, turn, prompt, ids[: first + largest])
    lengths = {k: first + k for k in sorted(ks) if k >= OPENER_ONLY}
    merge = sum(1 for a, b in zip(prompt_ids, ids, strict=False) if a != b)
    return Prefill(tuple(prompt_ids), tuple(ids[: first + largest]), lengths, merge)


def prove_continuation(
    tokenizer: Any,
    chat: ChatSettings,
    request: str,
    turn: str,
    prompt: str,
    prefill_ids: Sequence[int],
) -> None:
    """Check that prompt + prefill is how a finished assistant turn begins, text and ids.

    Raises:
        TemplateError: the template trims or rewrites the answer, opens a different turn for
            generation than for a finished answer, adds or drops a BOS, or closes the turn early.
    """
    finished = render(tokenizer, request, chat, turn)
    if not finished.startswith(prompt):
        raise TemplateError(
            "the chat template renders a finished turn differently from the generation prompt "
            f"({_difference(finished, prompt)}): the prefill would not be continued"
        )
    if not finished.startswith(prompt + turn):
        raise TemplateError(
            "the chat template changes the assistant's text "
            f"({_difference(finished, prompt + turn)}): the prefill would not be continued"
        )
    finished_ids, _ = encode(tokenizer, finished)
    if finished_ids[: len(prefill_ids)] != list(prefill_ids):
        at = next(
            i for i, (a, b) in enumerate(zip(finished_ids, prefill_ids, strict=False)) if a != b
        )
        raise TemplateError(
            f"prompt and prefill tokenise differently from the finished turn at token {at} "
            f"({tokenizer.decode(list(prefill_ids)[at : at + 1])!r})"
        )
    end_ids = {getattr(tokenizer, "eos_token_id", None)} - {None}
    prompt_length = len(encode(tokenizer, prompt)[0])
    if end_ids & set(prefill_ids[prompt_length:]):
        raise TemplateError("an end-of-turn token stands inside the prefill")


def _difference(found: str, wanted: str) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    return f"at character {at}: {found[at : at + 20]!r} instead of {wanted[at : at + 20]!r}"
