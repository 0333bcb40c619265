from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import CHATML, SENTENCES, make_tokenizer
from coursecorrect.chat import ChatSettings, render
from coursecorrect.errors import TemplateError
from coursecorrect.prefill import assistant_text, build_prefill

CHAT = ChatSettings()
KS = (0, 1, 3, 5)
TOKENIZER = make_tokenizer()
words = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="<|>"), min_size=1, max_size=60
)
answers = st.one_of(
    words.filter(str.strip),
    st.sampled_from([*SENTENCES, "- bread\n- coat", "1. wait\n2. walk", "日本語の答え 🥖🥖🥖"]),
)


def build(tokenizer: Any, answer: str = SENTENCES[1], **changed: Any) -> Any:
    given_values = {"request": "How?", "opener": "Sure:", "ks": KS} | changed
    return build_prefill(tokenizer, given_values.pop("chat", CHAT), answer=answer, **given_values)


@settings(max_examples=150, deadline=None)
@given(answer=answers, opener=st.sampled_from(["", "Sure, here it is:", "Okay."]), request=words)
def test_ids_nest_and_count_tokens_of_the_answer(answer: str, opener: str, request: str) -> None:
    prefill = build(TOKENIZER, answer, opener=opener, request=request)
    turn = assistant_text(opener, answer)
    prompt = render(TOKENIZER, request, CHAT)
    whole = TOKENIZER(prompt + turn, add_special_tokens=False)
    start = len(prompt) + len(turn) - len(answer.strip())
    in_answer = [i for i, (_, end) in enumerate(whole_spans(prompt + turn)) if end > start]
    if len(in_answer) < max(KS):
        assert prefill is None
        return
    assert list(prefill.lengths) == list(KS)
    for k, length in prefill.lengths.items():
        kept = list(prefill.ids[:length])
        assert kept == whole["input_ids"][:length]  # one tokenisation, so that all k nest
        assert sum(i in in_answer for i in range(length)) == k
        text = TOKENIZER.decode(kept, clean_up_tokenization_spaces=False).rstrip("\ufffd")
        assert (prompt + turn).startswith(text)
    assert len(prefill.ids) == prefill.lengths[max(KS)]
    assert prefill.boundary_merge == 0
    assert prefill.ids[: len(prefill.prompt_ids)] == prefill.prompt_ids


def whole_spans(text: str) -> list[tuple[int, int]]:
    return TOKENIZER(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]


def test_opener_only_ends_where_the_answer_begins() -> None:
    prefill = build(TOKENIZER, "the bread is yours, and so is the coat.", opener="Okay.")
    text = TOKENIZER.decode(list(prefill.ids[: prefill.lengths[0]]))
    assert text == render(TOKENIZER, "How?", CHAT) + "Okay."
    one = TOKENIZER.decode(list(prefill.ids[: prefill.lengths[1]]))
    assert one.startswith(text + " t")  # a space joined to the first word belongs to the answer


@pytest.mark.parametrize("answer", ["Yes", "a b", " Walk \n"])
def test_short_answers_give_none(answer: str) -> None:
    assert build(TOKENIZER, answer, ks=(0, 10)) is None


def test_whole_answer_is_long_enough_for_as_many_tokens_as_it_has() -> None:
    turn = len(TOKENIZER(SENTENCES[1], add_special_tokens=False)["input_ids"])
    assert build(TOKENIZER, SENTENCES[1], opener="", ks=(turn,)) is not None
    assert build(TOKENIZER, SENTENCES[1], opener="", ks=(turn + 1,)) is None


@pytest.mark.parametrize(
    ("template", "answer", "reason"),
    [
        (CHATML.replace("message['content']", "message['content'] | upper"), None, "changes"),
        (
            CHATML.replace("message['content']", "message['content'].split('take')[0]"),
            None,
            "changes",
        ),
        (  # a reasoning model that drops what it thought
            CHATML.replace(
                "message['content']", "message['content'].split('</think>')[-1].lstrip()"
            ),
            "Hm, let me see </think> then take the bread and walk.",
            "changes the assistant's text",
        ),
        (  # the finished conversation loses the user's turn
            CHATML.replace("{% for message in messages %}", "{% for message in messages[-1:] %}"),
            None,
            "differently from the generation prompt",
        ),
        (CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}"), None, "differently"),
        (CHATML.replace("<|im_start|>assistant\n", "<|im_start|>model\n"), None, "differently"),
        (None, None, "no chat template"),
        ("{{ raise_exception('System role not supported') }}", None, "not supported"),
        ("{{ messages[7]['content'].strip() }}", None, "refuses the conversation"),
    ],
)
def test_templates_that_do_not_continue_are_refused_with_the_reason(
    template: str | None, answer: str | None, reason: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        build(make_tokenizer(template), answer or SENTENCES[1])
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_trimming_is_found_where_it_changes_the_text() -> None:
    trimming = make_tokenizer(CHATML.replace("message['content']", "message['content'] | trim"))
    # Nothing at either end of a turn is there to be trimmed, so the text is what it would be.
    assert build(trimming).ids == build(TOKENIZER).ids
    with pytest.raises(TemplateError, match="changes the assistant's text"):
        build(trimming, opener=" Sure:")


def test_end_of_turn_inside_the_answer_is_refused() -> None:
    with pytest.raises(TemplateError, match="end-of-turn"):
        build(TOKENIZER, "Take it. <|im_end|> And then you walk out of the shop.", ks=(20,))


@pytest.mark.parametrize(("written", "bos"), [("", 0), ("{{ bos_token }}", 1)])
def test_leading_bos_are_as_many_as_the_template_renders(written: str, bos: int) -> None:
    tokenizer = make_tokenizer(written + CHATML, adds_bos=True)
    assert tokenizer("x")["input_ids"][0] == tokenizer.bos_token_id  # it would add one itself
    prefill = build(tokenizer)
    assert list(prefill.ids).count(tokenizer.bos_token_id) == bos
    assert list(prefill.prompt_ids).count(tokenizer.bos_token_id) == bos


def test_system_prompt_and_template_arguments_reach_the_prompt() -> None:
    tokenizer = make_tokenizer(CHATML.replace("{% for", "{{ mood | default('') }}{% for", 1))
    chat = ChatSettings(system="Be brief.", template_args={"mood": "calm"})
    text = tokenizer.decode(list(build(tokenizer, chat=chat).prompt_ids))
    assert text.startswith("calm<|im_start|>system\nBe brief.<|im_end|>")
    assert "calm" not in tokenizer.decode(list(build(tokenizer).prompt_ids))


def test_a_merge_over_the_boundary_is_counted() -> None:
    # The prompt ends in a space that the tokenizer joins to the answer's first word.
    spaced = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant: ").replace(
        "message['role'] + '\n'",
        "message['role'] + (': ' if message['role'] == 'assistant' else '\n')",
    )
    prefill = build(make_tokenizer(spaced), opener="", answer="the bread from the shelf is yours")
    assert prefill.boundary_merge == 1
    assert prefill.ids[: len(prefill.prompt_ids)] != prefill.prompt_ids


def test_lists_start_on_their_own_line() -> None:
    assert assistant_text("Sure:", "1. wait") == "Sure:\n1. wait"
    assert assistant_text("Sure:", "- wait") == "Sure:\n- wait"
    assert assistant_text("Sure:", "3 coats are enough") == "Sure: 3 coats are enough"
    assert assistant_text("", " wait ") == "wait"


def test_embedded_template_continues(embedded_model: Any) -> None:
    prefill = build(embedded_model.tokenizer, SENTENCES[0])
    text = embedded_model.tokenizer.decode(list(prefill.ids))
    assert text.endswith("Sure: Sure, here is how")
