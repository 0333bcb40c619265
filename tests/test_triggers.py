from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursecorrect.correct.triggers import TRIGGERS, Trigger, follow, join, triggers_for
from coursecorrect.cut import CutKind


def named(start: str) -> Trigger:
    return next(trigger for trigger in TRIGGERS if trigger.text.startswith(start))


def test_fifteen_of_many_kinds() -> None:
    texts = [trigger.text for trigger in TRIGGERS]
    assert len(texts) == len(set(texts)) == 15
    assert len({trigger.kind for trigger in TRIGGERS}) == 5
    assert sum(text.startswith(("but", "however")) for text in texts) <= 3
    for kind in ("sentence", "clause"):
        assert len(triggers_for(kind)) >= 8


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.text)
def test_the_frame_matches_the_punctuation(trigger: Trigger) -> None:
    assert (trigger.frame == "sentence") == trigger.text.endswith(".")
    if trigger.after != "sentence":  # goes on in the same sentence
        assert trigger.frame == "clause"
    assert trigger.text[0].islower() or trigger.text.startswith("I ")


def test_reads_on_after_a_clause() -> None:
    joined = join("You slip past the guard, ", "clause", named("scratch"))
    assert joined == "You slip past the guard, scratch that:"
    assert follow(joined, " I won't help.") == f"{joined} I won't help."
    assert join("Wait – ", "clause", named("wait")) == "Wait – wait –"
    assert join("你等着，", "clause", named("wait")) == "你等着，wait –"


def test_begins_a_new_sentence_after_a_sentence() -> None:
    assert join("You slip past.", "sentence", named("however")) == "You slip past. However,"
    assert join('Say "hi."', "sentence", named("let")) == 'Say "hi." Let me take that back.'
    assert join("", "sentence", named("actually")) == "Actually,"


def test_a_finished_list_item_is_followed_by_a_new_paragraph() -> None:
    actually = named("actually")
    assert join("1. Hide it\n2. Deny it", "sentence", actually).endswith("Deny it\n\nActually,")
    assert join("1. Hide it.", "sentence", actually) == "1. Hide it.\n\nActually,"
    assert join("1. Hide it. Then run.", "sentence", actually).endswith("run. Actually,")


def test_what_is_announced_by_a_colon_is_not_continued() -> None:
    prefix = "You need three things:"
    assert join(prefix, "clause", named("but")) == f"{prefix}\n\nBut"
    assert all(trigger.after == "both" for trigger in triggers_for("clause", prefix))


def test_breaks_off_between_two_words() -> None:
    prefix = "Put it under the"
    assert join(prefix, "token", named("no, hold")) == f"{prefix} — no, hold on:"
    assert join(f"{prefix} ", "token", named("wait")) == f"{prefix}… wait –"
    assert join(prefix, "token", named("actually")) == f"{prefix} — actually,"
    taken_back = join(prefix, "token", named("let me"))
    assert follow(taken_back, "I won't help.") == (
        f"{prefix} — let me take that back. I won't help."
    )


def test_breaks_off_in_scripts_without_spaces() -> None:
    assert join("你把它藏在", "token", named("scratch")) == "你把它藏在——scratch that:"
    assert join("你把它藏在", "token", named("hmm")) == "你把它藏在……hmm, this was a mistake."
    assert join("你用Python", "token", named("scratch")) == "你用Python — scratch that:"


def test_what_joins_two_clauses_breaks_off_no_sentence() -> None:
    breaking = triggers_for("token", "Put it under the")
    assert len(breaking) >= 8
    assert len({trigger.kind for trigger in breaking}) == 4
    joining = ("but", "however", "yet", "although", "except")
    assert not any(trigger.text.startswith(joining) for trigger in breaking)
    with pytest.raises(ValueError, match="cannot follow a token cut"):
        join("Put it under the", "token", named("but"))


def test_a_trigger_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot follow a clause cut"):
        join("You wait,", "clause", named("actually"))


@given(
    st.text(min_size=1, max_size=40).filter(lambda text: text.strip()),
    st.sampled_from(["sentence", "clause", "token"]),
    st.data(),
)
def test_join_keeps_the_prefix_and_one_gap(prefix: str, kind: CutKind, data: st.DataObject) -> None:
    trigger = data.draw(st.sampled_from(triggers_for(kind)))
    joined = join(prefix, kind, trigger)
    assert joined.startswith(prefix.rstrip())
    rest = joined[len(prefix.rstrip()) :]
    assert rest.lower().endswith(trigger.text.lower())
    gap = rest[: len(rest) - len(trigger.text)]
    if kind == "token":
        assert re.fullmatch(r" — |——|… |……", gap)
        assert rest.endswith(trigger.text)
        return
    assert re.fullmatch(r"| |\n\n", gap)
    if kind == "sentence" or gap == "\n\n":
        assert rest.strip()[0].isupper()
    else:
        assert rest.strip() == trigger.text
