"""The proof of true continuation on the chat formats of model families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import SENTENCES
from coursecorrect.chat import ChatSettings, render
from coursecorrect.errors import TemplateError
from coursecorrect.prefill import Cuts, assistant_text, build_prefill
from families import (
    FAMILIES,
    GEMMA,
    GEMMA4,
    GLM4,
    HARMONY,
    LLAMA2,
    LLAMA3,
    LLAMA32,
    MISTRAL,
    PHI3,
    QWEN3,
    R1,
    V32,
    ZEPHYR,
    Family,
    tokenizer_of,
)

ANSWER = "First take the bread from the shelf.\n\n1. Wait.\n2. Walk in!"
KS = (0, 1, 4, 9)
CONTINUING = [f for f in FAMILIES if not f.open_prompt]
THINKING = [f for f in FAMILIES if f.thought]
EVERY_WAY = [(f, "none") for f in CONTINUING] + [
    (f, way) for f in THINKING for way in ("before", "inside", "after")
]

plain_text = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="<|>[]"), min_size=1, max_size=40
)
pieces = st.sampled_from(
    [
        *SENTENCES,
        "- bread\n- coat\n",
        "1. wait\n2. walk\n",
        "\n\n",
        " ",
        "日本語🥖",
        "e\u0301",
        "\r\n",
    ]
)
answers = st.lists(st.one_of(pieces, plain_text), min_size=1, max_size=4).map("".join)


def named(value: Any) -> str:
    return value.name if isinstance(value, Family) else str(value)


def build(family: Family, answer: str = ANSWER, *, tokenizer: Any = None, **changed: Any) -> Any:
    values: dict[str, Any] = {"request": "How?", "opener": "Sure:", "ks": KS} | changed
    chat = values.pop("chat", ChatSettings())
    return build_prefill(tokenizer or tokenizer_of(family), chat, answer=answer, **values)


def test_there_are_sixteen_families() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 14


@pytest.mark.parametrize("family", CONTINUING, ids=named)
def test_the_prefill_begins_the_finished_turn(family: Family) -> None:
    tokenizer, chat = tokenizer_of(family), ChatSettings()
    prefill = build(family)
    finished = render(tokenizer, "How?", chat, assistant_text("Sure:", ANSWER))
    finished_ids = tokenizer(finished, add_special_tokens=False)["input_ids"]
    assert list(prefill.ids) == finished_ids[: len(prefill.ids)]
    prompt = render(tokenizer, "How?", chat)
    assert tokenizer.decode(list(prefill.prompt_ids)) == prompt
    assert tokenizer.decode(list(prefill.start(0))) == f"{prompt}{family.opening}Sure:"
    assert prefill.texts[0] == "Sure:"
    assert len(prefill.start(9)) - len(prefill.start(1)) == 8
    for token in {family.bos} - {None}:
        bos = tokenizer.convert_tokens_to_ids(token)
        assert list(prefill.ids).count(bos) == prompt.count(token)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request=plain_text, answer=answers, opener=st.sampled_from(["", "Sure:", "Okay, look:"]))
@pytest.mark.parametrize(("family", "way"), EVERY_WAY, ids=named)
def test_any_text_continues(
    family: Family, way: Any, request: str, answer: str, opener: str
) -> None:
    tokenizer = tokenizer_of(family)
    thought = "Hm, bread." if way == "after" else ""
    chat = ChatSettings(thinking=way, thought=thought)
    prefill = build(family, answer, chat=chat, request=request, opener=opener, ks=(0, 1, 3))
    turn = assistant_text(opener, answer)
    whole = turn_start(family, way, request, thought) + turn
    coded = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    counted = sum(end > len(whole) - len(answer.strip()) for _, end in coded["offset_mapping"])
    assert (prefill is None) == (counted < 3)
    if prefill is None:
        return
    for k in (1, 3):
        start = list(prefill.start(k))
        assert start == coded["input_ids"][: len(coded["input_ids"]) - counted + k]
        assert turn.startswith(prefill.texts[k].rstrip("\ufffd"))
    assert prefill.boundary_merge <= 1


def turn_start(family: Family, way: str, request: str, thought: str) -> str:
    """What stands before the assistant's text, written down from the family's description."""
    prompt = render(tokenizer_of(family), request, ChatSettings())
    if way == "none":
        return prompt + family.opening
    assert family.thought is not None
    header = prompt.removesuffix("<think>\n").removesuffix("</think>")
    opening, closing = family.thought
    channel = "<|channel|>final<|message|>" if family is HARMONY else ""
    return (
        header
        + {
            "before": channel,
            "inside": opening,
            "after": opening + thought + closing,
        }[way]
    )


@pytest.mark.parametrize(
    ("family", "chat", "reason"),
    [
        (R1, ChatSettings(), "choose --thinking before, inside or after"),
        (V32, ChatSettings(template_args={"thinking": True}), "choose --thinking"),
        (GEMMA, ChatSettings(system="Be brief."), "System role not supported"),
        (MISTRAL, ChatSettings(system="Be brief."), "Roles must alternate"),
        (LLAMA3, ChatSettings(thinking="inside"), "for reasoning models"),
    ],
    ids=named,
)
def test_what_does_not_continue_is_refused(family: Family, chat: Any, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        build(family, chat=chat)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", CONTINUING, ids=named)
def test_what_closes_the_turn_is_no_part_of_an_answer(family: Family) -> None:
    tokenizer = tokenizer_of(family)
    finished = render(tokenizer, "How?", ChatSettings(), "Take it.")
    closing = finished.rpartition("Take it.")[2].strip() or family.eos
    with pytest.raises(TemplateError, match="end-of-turn"):
        build(family, f"Take it. {closing} And then you walk out of the shop.", ks=(12,))


@pytest.mark.parametrize(("family", "way"), EVERY_WAY, ids=named)
def test_the_whole_answer_can_be_prefilled(family: Family, way: Any) -> None:
    # Llama-3 and Qwen join "!" to the line end behind it, which the template may write.
    answer = "First take the bread from the shelf, then walk in!"
    chat, length = ChatSettings(thinking=way), length_of(family, answer)
    prefill = build(family, answer, ks=(length,), chat=chat)
    assert prefill.texts[length] == f"Sure: {answer}"
    assert build(family, answer, ks=(length + 1,), chat=chat) is None


def length_of(family: Family, answer: str) -> int:
    return len(tokenizer_of(family)(f" {answer}", add_special_tokens=False)["input_ids"])


def test_a_line_end_behind_the_turn_does_not_matter() -> None:
    # Nothing but a line end closes the turn, and the tokenizer joins it to the last "!".
    template = GLM4.template.replace("m.content -}}", "m.content + '\\n' -}}")
    tokenizer = tokenizer_of(replace(GLM4, template=template))
    answer = "First take the bread, then walk in!\nYes!"
    assert len(tokenizer("!\n", add_special_tokens=False)["input_ids"]) == 1
    length = length_of(GLM4, answer)
    prefill = build(GLM4, answer, tokenizer=tokenizer, ks=(length,))
    assert prefill.texts[length] == f"Sure: {answer}"


@pytest.mark.parametrize("behind", [" | trim", ".replace('2. Walk', '2. Run')", "[:60]"])
def test_changes_behind_the_prefill_do_not_matter(behind: str) -> None:
    template = ZEPHYR.template.replace("m.content", f"(m.content{behind})")
    changing = tokenizer_of(replace(ZEPHYR, template=template))
    assert build(ZEPHYR, tokenizer=changing).ids == build(ZEPHYR).ids
    if behind != " | trim":
        with pytest.raises(TemplateError, match="changes the assistant's text"):
            build(ZEPHYR, tokenizer=changing, ks=(length_of(ZEPHYR, ANSWER),))


@pytest.mark.parametrize("family", [LLAMA2, GEMMA, MISTRAL], ids=named)
def test_templates_that_trim_change_no_answer_but_one_that_begins_blank(family: Family) -> None:
    assert build(family, f"\n {ANSWER} \n").ids == build(family).ids
    with pytest.raises(TemplateError, match="changes the assistant's text"):
        build(family, opener="\n Sure:")


@pytest.mark.parametrize(
    ("written", "bos"), [("{{- bos_token -}}", 1), ("{{- bos_token ~ bos_token -}}", 2), ("", 0)]
)
def test_as_many_bos_as_the_template_writes(written: str, bos: int) -> None:
    tokenizer = tokenizer_of(replace(PHI3, template=written + PHI3.template))
    prefill = build(PHI3, tokenizer=tokenizer)
    assert list(prefill.ids).count(tokenizer.bos_token_id) == bos
    only_prompt = "{%- if add_generation_prompt -%}{{- bos_token -}}{%- endif -%}" + PHI3.template
    with pytest.raises(TemplateError, match="differently from the generation prompt"):
        build(PHI3, tokenizer=tokenizer_of(replace(PHI3, template=only_prompt)))


def test_arguments_reach_the_template() -> None:
    off = build(QWEN3, chat=ChatSettings(template_args={"enable_thinking": False}))
    assert off.ids == build(QWEN3).ids  # here the prompt has the empty thought already
    assert len(off.prompt_ids) > len(build(QWEN3).prompt_ids)
    asked = build(GEMMA4, chat=ChatSettings(template_args={"enable_thinking": True}))
    assert tokenizer_of(GEMMA4).decode(list(asked.ids)).startswith("<bos><|turn>system\n<|think|>")
    dated = build(LLAMA32, chat=ChatSettings(template_args={"date_string": "03 May 2025"}))
    assert "Today Date: 03 May 2025" in tokenizer_of(LLAMA32).decode(list(dated.prompt_ids))


@pytest.mark.parametrize(
    ("family", "shown"),
    [(LLAMA32, "Today Date: 01 Jan 2026\n"), (HARMONY, "Current date: 2026-01-01\n")],
    ids=named,
)
def test_a_prompt_does_not_change_from_day_to_day(family: Family, shown: str) -> None:
    assert shown in render(tokenizer_of(family), "How?", ChatSettings())


@pytest.mark.parametrize(("family", "way"), EVERY_WAY, ids=named)
def test_words_end_at_the_same_character_for_every_model(family: Family, way: Any) -> None:
    prefill = build(family, ks=(0, 1, 2, 7, 8), cuts=Cuts("words"), chat=ChatSettings(thinking=way))
    assert prefill.texts == {
        0: "Sure:",
        1: "Sure: First",
        2: "Sure: First take",
        7: "Sure: First take the bread from the shelf.",
        8: "Sure: First take the bread from the shelf.\n\n1.",
    }
    head = turn_start(family, way, "How?", "")
    for k, text in prefill.texts.items():
        assert tokenizer_of(family).decode(list(prefill.start(k))) == head + text
    assert build(family, ks=(13,), cuts=Cuts("words"), chat=ChatSettings(thinking=way)) is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answer=answers, opener=st.sampled_from(["", "Sure:", "Okay, look:"]), opened=st.booleans())
@pytest.mark.parametrize("family", [LLAMA2, LLAMA3, QWEN3], ids=named)
def test_word_cuts_of_any_text(family: Family, answer: str, opener: str, opened: bool) -> None:
    ks = (0, 1, 2, 3)
    prefill = build(family, answer, opener=opener, ks=ks, cuts=Cuts("words", opened))
    turn = assistant_text(opener, answer)
    counted = turn.split() if opened else answer.split()
    assert (prefill is None) == (len(counted) < 3)
    if prefill is None:
        return
    head = render(tokenizer_of(family), "How?", ChatSettings()) + family.opening
    for k in ks:
        text = prefill.texts[k]
        assert turn.startswith(text)
        assert tokenizer_of(family).decode(list(prefill.start(k))) == head + text
        if k:
            words = text.split() if opened else text[len(opener) :].split()
            assert words == counted[:k]
    assert prefill.texts[0] == opener
    assert prefill.ks == ks


def test_a_word_that_ends_inside_a_token_stands_apart() -> None:
    answer = "First take the bread:\nthen walk out of the shop."
    tokenizer = tokenizer_of(LLAMA3)
    assert len(tokenizer(":\n", add_special_tokens=False)["input_ids"]) == 1
    prefill = build(LLAMA3, answer, ks=(0, 3, 4, 5), cuts=Cuts("words"))
    assert set(prefill.apart) == {4}
    assert set(prefill.lengths) == {0, 3, 5}
    assert tokenizer.decode(list(prefill.start(4))).endswith("Sure: First take the bread:")


def test_the_opener_counts_when_asked() -> None:
    tokenizer = tokenizer_of(ZEPHYR)
    prefill = build(ZEPHYR, ks=(0, 1, 3), opener="Okay, look:", cuts=Cuts(count_opener=True))
    prompt = len(prefill.prompt_ids)
    assert [len(prefill.start(k)) - prompt for k in (1, 3)] == [1, 3]
    assert tokenizer.decode(list(prefill.start(0))[prompt:]) == "Okay, look:"
    words = build(ZEPHYR, ks=(0, 1, 2, 3), opener="Okay, look:", cuts=Cuts("words", True))
    assert words.texts == {0: "Okay, look:", 1: "Okay,", 2: "Okay, look:", 3: "Okay, look: First"}


@pytest.mark.parametrize("family", CONTINUING, ids=named)
def test_a_closed_turn_is_what_the_template_makes_of_it(family: Family) -> None:
    tokenizer = tokenizer_of(family)
    prefill = build(family, cuts=Cuts(close_turn=True))
    text = tokenizer.decode(list(prefill.start(4)))
    open_text = tokenizer.decode(list(build(family).start(4)))
    begun = build(family).texts[4]
    assert prefill.texts[4] == begun
    assert prefill.lengths == {}
    assert text == render(tokenizer, "How?", ChatSettings(), begun, new_turn=True)
    assert text != open_text
    closing = text.rpartition(begun)[2]
    assert closing  # an end of turn, a new header, or both


def test_the_paper_closes_the_turn_and_opens_another() -> None:
    text = tokenizer_of(ZEPHYR).decode(list(build(ZEPHYR, cuts=Cuts(close_turn=True)).start(1)))
    assert text.endswith("<|assistant|>\nSure: First</s>\n<|assistant|>\n")
