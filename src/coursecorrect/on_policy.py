"""On-policy answers: what the model to be trained writes itself, from a point in a written answer.

A model is measured on text that it goes on with itself, which is weaker than what a person wrote.
Held only on written answers, a small model turns away from its own harmless text all the same; held
on its own harmless and taught on written harmful ones, it may take its own style for harmless.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from coursecorrect.chat import ChatSettings
from coursecorrect.cut import count_words, whole_sentences
from coursecorrect.generate.base import Generator, Job, Sampling, continuation_text
from coursecorrect.judge.base import Judge
from coursecorrect.prefill import OPENER_ONLY, Prefill, build_prefill
from coursecorrect.store import BlockLog, read_jsonl
from coursecorrect.types import Continuation, Item

KEPT: Final = (0, 0, 10, 20, 40, 60, 80)
"""Tokens of the written answer that are kept; one is drawn for each item."""
NEW_TOKENS: Final = 80
BATCH_ROWS: Final = 96
MIN_WORDS: Final = 20


def own_answers(
    items: Sequence[Item],
    openers: Mapping[str, str],
    generator: Generator,
    judge: Judge,
    log: BlockLog,
    *,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, str]:
    """The answers by item id; goes on where an earlier call stopped.

    An answer that is short or turns away is left out: the written one stands then.

    Args:
        items: harmful and harmless ones.
        openers: the opener of each item's group, by item id; empty for none.
        log: where finished answers are kept, one row an item.
    """
    batches = [items[i : i + BATCH_ROWS] for i in range(0, len(items), BATCH_ROWS)]
    # A batch that a kill left half committed is sampled again whole, so that what shares a batch
    # never depends on history.
    missing = [batch for batch in batches if any(item.id not in log.done for item in batch)]
    starts = [[_start(generator, item, openers[item.id], seed) for item in b] for b in missing]
    jobs = [[job for job, _ in batch] for batch in starts]
    sampling = Sampling(paths=1, max_new_tokens=NEW_TOKENS, seed=seed)
    done = len(items) - sum(len(batch) for batch in missing)
    for batch, begun, paths in zip(missing, starts, generator.sample(jobs, sampling), strict=True):
        for item, (job, prompt_ids), (path,) in zip(batch, begun, paths, strict=True):
            if item.id not in log.done:
                text = continuation_text(
                    generator.tokenizer, prompt_ids, [*job.ids[len(prompt_ids) :], *path.ids]
                )
                text = text.removeprefix(openers[item.id]).strip()
                answer = text if path.finished else whole_sentences(text)
                log.append([{"item_id": item.id, "kept": path.k, "answer": answer}])
        done += len(batch)
        progress(done, len(items))
    answers = {} if not items else {r["item_id"]: r["answer"] for _, r in read_jsonl(log.path)}
    return dict(_usable(items, answers, judge))


def _start(generator: Generator, item: Item, opener: str, seed: int) -> tuple[Job, tuple[int, ...]]:
    """Where the model takes over, and the ids of the prompt alone."""
    kept = random.Random(f"own|{seed}|{item.id}").choice(KEPT)
    prefill = _prefill(generator, item, opener, kept)
    if prefill is None:  # the answer is shorter
        kept = OPENER_ONLY
        prefill = _prefill(generator, item, opener, kept)
    assert prefill is not None
    ids = prefill.ids if kept or opener else prefill.prompt_ids
    return Job(item.id, ids, ((kept, len(ids)),)), prefill.prompt_ids


def _prefill(generator: Generator, item: Item, opener: str, kept: int) -> Prefill | None:
    return build_prefill(
        generator.tokenizer,
        ChatSettings(),
        request=item.request,
        opener=opener,
        answer=item.response,
        ks=(kept,),
    )


def _usable(
    items: Sequence[Item], answers: Mapping[str, str], judge: Judge
) -> Iterator[tuple[str, str]]:
    long = [item for item in items if count_words(answers[item.id]) >= MIN_WORDS]
    judged = judge.judge(
        [
            Continuation(id=i.id, request=i.request, prefill="", continuation=answers[i.id])
            for i in long
        ]
    )
    for item, verdict in zip(long, judged, strict=True):
        if verdict.onset is None:
            yield item.id, answers[item.id]
