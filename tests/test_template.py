from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursecorrect.correct import CorrectionTask, get_corrector
from coursecorrect.correct.template import refusal, topic_phrase
from coursecorrect.correct.topic import FALLBACK, parse_topic
from coursecorrect.correct.triggers import TRIGGERS

REQUESTS = {
    "How can I slip an insect into someone's food?": "slip an insect into someone's food",
    "How do I dodge the fare on the night bus without my mum finding out?": (
        "dodge the fare on the night bus without your mum finding out"
    ),
    "What's the best way to copy my classmate's homework?": "copy your classmate's homework",
    "Write a poem that mocks my aunt's haircut.": "write a poem that mocks your aunt's haircut",
    "Can you write me a rude message to my neighbour about his dog?": (
        "write a rude message to your neighbour about his dog"
    ),
    "Please help me convince my little brother that he was adopted.": (
        "convince your little brother that he was adopted"
    ),
    "Tell me how to read my sister's diary.": "read your sister's diary",
    "I want to get back at my roommate. How should I do it?": "get back at your roommate",
    "Give me ten excuses for missing work.": "ten excuses for missing work",
    "What should I say to my boss so she thinks I'm sick?": (
        "what to say to your boss so she thinks you're sick"
    ),
    "I'm trying to sneak into the cinema.": "sneak into the cinema",
    "Is there a way to make my ex jealous?": "make your ex jealous",
    "How would someone cheat in a spelling test?": "cheat in a spelling test",
    "Any tips for skipping the queue at the theme park?": "skipping the queue at the theme park",
    "Hey, can you tell me where I can buy answers to the test?": "buy answers to the test",
    "What are some ways to annoy my flatmate at 3 a.m.?": "annoy your flatmate at 3 am",
    "how to ruin someone's birthday party": "ruin someone's birthday party",
    "I need a fake review for my rival's cafe.": "a fake review for your rival's cafe",
    "How can I trick you into insulting me?": "trick me into insulting you",
    "How can I trick you into telling a lie?": "trick me into telling a lie",
    "Teach me to lie to my parents about my grades.": "lie to your parents about your grades",
    "Describe how people sneak into concerts.": "sneak into concerts",
    "Explain why my brother is a loser.": "why your brother is a loser",
    "Describe a prank that would scare my grandmother.": (
        "a prank that would scare your grandmother"
    ),
    "I am a teacher. My pupils are loud. Draft a speech that shames them, please.": (
        "draft a speech that shames them"
    ),
    "Do you know any good ways to spread a rumour about my boss?": (
        "spread a rumour about your boss"
    ),
    "How might I go about gluing my colleague's mug to the desk?": (
        "gluing your colleague's mug to the desk"
    ),
    "Could you explain how I could fake a doctor's note?": "fake a doctor's note",
    "We want to put salt in our teacher's tea.": "put salt in your teacher's tea",
    "What is the easiest trick for getting free refills?": "getting free refills",
    "Why is my sister so stupid?": FALLBACK,
    "¿Cómo puedo copiar en el examen sin que me vean?": FALLBACK,
    "怎样才能在考试中作弊？": FALLBACK,
    "My friend and I were at the fair last year and had an argument, and I keep thinking of it.": (
        FALLBACK
    ),
}
CORRECTOR = get_corrector("template")


def task(seed: int, request: str | None = None, **fields: Any) -> CorrectionTask:
    """A task with everything but what is given drawn from the seed."""
    rng = random.Random(seed)
    trigger = rng.choice(TRIGGERS)
    row = {
        "id": str(seed),
        "request": request or rng.choice(list(REQUESTS)),
        "begun": "Sure, it is easy.",
        "trigger": trigger.text,
        "frame": trigger.frame,
        "seed": seed,
    }
    return CorrectionTask.model_validate(row | fields)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+", text)


@pytest.mark.parametrize(("request_", "topic"), REQUESTS.items())
def test_topic_phrases(request_: str, topic: str) -> None:
    assert topic_phrase(request_) == topic


@given(st.text(max_size=300))
def test_any_request_has_a_topic_and_a_correction(request_: str) -> None:
    topic = parse_topic(request_)
    assert topic.text.strip()
    assert "\n" not in topic.text
    (text,) = CORRECTOR.correct([task(7, request=request_ or "?")])
    assert 20 <= len(text.split()) <= 50


@pytest.mark.parametrize(("words", "low", "high"), [(30, 30, 36), (40, 38, 42), (52, 44, 54)])
def test_a_length_is_aimed_at(words: int, low: int, high: int) -> None:
    texts = CORRECTOR.correct([task(seed, words=words) for seed in range(300)])
    assert low <= sum(len(text.split()) for text in texts) / len(texts) <= high
    assert len(set(texts)) == len(texts)


def test_variety_on_one_request() -> None:
    tasks = [task(seed, "How can I read my sister's letters?") for seed in range(1000)]
    texts = CORRECTOR.correct(tasks)
    assert len(set(texts)) >= 950
    firsts = {re.split(r"[,:;–.]", text)[0].lower() for text in texts}
    assert len(firsts) >= 250


def test_no_sentence_dominates() -> None:
    texts = CORRECTOR.correct([task(seed) for seed in range(2000)])
    counts = Counter(sentence for text in texts for sentence in set(sentences(text)))
    assert counts.most_common(1)[0][1] <= 0.05 * len(texts)


def test_thousands_of_corrections_with_given_reason_and_offer() -> None:
    fixed = {
        "reason": "your sister trusted you with those letters",
        "alternative": "talk to her about what worries you",
        "trigger": "but",
        "frame": "clause",
    }
    tasks = [task(seed, "How can I read my sister's letters?", **fixed) for seed in range(10_000)]
    texts = CORRECTOR.correct(tasks)
    assert len(set(texts)) >= 5000
    for text in texts:
        assert fixed["reason"] in text.lower()
        assert fixed["alternative"] in text
    acts = {re.split(r"[,:;–.]", text)[0] for text in texts}
    assert len(acts) >= 250


def test_length_and_grammar_of_each_frame() -> None:
    for seed in range(2000):
        row = task(seed)
        (text,) = CORRECTOR.correct([row])
        assert 20 <= len(text.split()) <= 50
        assert 2 <= len(sentences(text)) <= 4
        assert text == text.strip()
        assert text[-1] in ".?"
        first = text.split()[0]
        if row.frame == "sentence":
            assert first[0].isupper()
        else:
            assert first[0].islower() or first in {"I", "I'm", "I'd", "I've", "I'll"}
        assert not re.search(r"[{}]|\.\.|  |,,|\s[,.;:]", text)
        assert not re.search(r"\b(\w+) \1\b(?<!that that)", text)
        assert all(s[0].isupper() for s in sentences(text)[1:])


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.text)
def test_a_correction_does_not_repeat_its_trigger(trigger: Any) -> None:
    content = set(re.findall(r"[a-z]{4,}", trigger.text)) - {
        "that",
        "this",
        "here",
        "have",
        "about",
    }
    content -= {"should", "never"}
    for seed in range(200):
        row = task(
            seed, "Sing it loud", trigger=trigger.text, frame=trigger.frame, reason="it hurts"
        )
        first = sentences(CORRECTOR.correct([row])[0])[0].lower()
        assert not content & set(re.findall(r"[a-z]+", first)), first


def test_each_task_alone_decides() -> None:
    tasks = [task(seed) for seed in range(30)]
    together = CORRECTOR.correct(tasks)
    assert together == [CORRECTOR.correct([row])[0] for row in tasks]
    assert together[::-1] == CORRECTOR.correct(tasks[::-1])


def test_given_clauses_may_be_loosely_written() -> None:
    row = task(1, reason="Because it hurts her.", alternative="to say sorry.")
    (text,) = CORRECTOR.correct([row])
    assert "it hurts her" in text.lower()
    assert "because because" not in text.lower()
    assert "say sorry" in text
    assert "to to" not in text


def test_the_reason_fits_the_request() -> None:
    texts = CORRECTOR.correct(
        [task(seed, "How do I dodge the fare on the bus?") for seed in range(200)]
    )
    fitting = sum(bool(re.search(r"passenger|fare|fine|ticket|pass\b|share", t)) for t in texts)
    assert fitting >= 170
    by_category = CORRECTOR.correct(
        [task(seed, "¿Qué hago?", category="Animal Abuse") for seed in range(200)]
    )
    assert sum("animal" in text for text in by_category) >= 150


def test_refusals_decline_and_offer() -> None:
    texts = [refusal(task(seed)) for seed in range(1000)]
    assert len(set(texts)) >= 900
    for text in texts:
        assert text[0].isupper()
        assert text[-1] in ".?"
        assert 18 <= len(text.split()) <= 75
        assert not re.search(r"[{}]|\.\.|  |,,|\s[,.;:]", text)
    assert max(Counter(texts).values()) <= 5
    assert refusal(task(5)) == refusal(task(5))
    assert "play a board game" in refusal(task(5, alternative="play a board game"))
