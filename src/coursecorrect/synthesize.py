"""C2-Syn: items → cuts → corrections → verified ranked groups → preference pairs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from coursecorrect import store
from coursecorrect.correct.base import CorrectionTask, Corrector
from coursecorrect.correct.template import refusal
from coursecorrect.correct.triggers import Trigger, follow, join, triggers_for
from coursecorrect.cut import Cut, CutError, Strategy, growing_cuts
from coursecorrect.data.builtin import items_hash, load_builtin
from coursecorrect.data.openers import opener_for
from coursecorrect.data.readers import read_items
from coursecorrect.generate.base import Generator
from coursecorrect.judge.base import Judge
from coursecorrect.on_policy import own_answers
from coursecorrect.prefill import assistant_text
from coursecorrect.types import (
    Continuation,
    Item,
    ItemKind,
    RankedGroup,
    Record,
    Response,
    Verdict,
    content_id,
    settings_hash,
)


class SynthSettings(Record):
    """All that decides a synthetic data set; recorded in ``run.json``."""

    data: str = "builtin"
    """builtin, a .jsonl or .parquet file, or a Hub data set such as PKU-Alignment/PKU-SafeRLHF."""
    benign: bool = True
    """Add contrast groups: harmless requests, where going on is preferred to a correction."""
    own_answers: str | None = None
    """The model to be trained: it goes on with the harmless answers from some point in each."""
    own_harmful: bool = False
    """With --own-answers: it goes on with the harmful answers too."""
    cuts: int = Field(default=4, ge=1)
    """Cuts of each harmful answer; four give six ranks and 15 pairs."""
    strategy: Strategy = "spread"
    """Where harmful answers are cut: spread (ends of sentences and clauses nearest to jittered
    shares), punctuation (the paper's: every s-th such end), sentence (ends of sentences only),
    token (after words, at fixed shares) or onset-sampled (drawn among ends)."""
    corrector: str = "template"
    """Who writes the corrections: template (offline), or hf (a chat model)."""
    wording: Literal["wide", "narrow"] = "wide"
    """Wording of the template corrector; narrow suits models of a few hundred million weights."""
    corrector_model: str | None = None
    """The model of the hf corrector."""
    judge: str = "lexical"
    """Who verifies that a correction corrects; not the judge that scores the result."""
    seed: int = 0
    """Decides cuts, triggers and wording."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many items of each kind."""
    tries: int = Field(default=4, ge=1)
    """How many triggers and seeds are tried at a cut before the group is rejected."""

    @field_validator("own_harmful")
    @classmethod
    def _own_answers_first(cls, own_harmful: bool, info: ValidationInfo) -> bool:
        if own_harmful and info.data.get("own_answers") is None:
            raise ValueError("needs --own-answers")
        return own_harmful


class RejectedError(Exception):
    """A seed that gives no group, with the reason."""


def select_seeds(settings: SynthSettings) -> list[Item]:
    """The teaching items of a run: harmful ones and, for contrast, harmless ones."""
    items = read_items(settings.data, "teach")
    if settings.benign and all(item.kind is ItemKind.HARMFUL for item in items):
        items += [i for i in load_builtin("teach") if i.kind is not ItemKind.HARMFUL]
    kinds = tuple(ItemKind) if settings.benign else (ItemKind.HARMFUL,)
    return [
        item for kind in kinds for item in [i for i in items if i.kind is kind][: settings.limit]
    ]


def normalized(request: str) -> str:
    """A request without case, punctuation and spacing, for the comparison with the benchmark."""
    return " ".join("".join(c if c.isalnum() else " " for c in request.casefold()).split())


def benchmark_requests(extra: Sequence[Item] = ()) -> frozenset[str]:
    """Normalised requests that must never be taught: the built-in benchmark and ``extra``."""
    items = [*load_builtin("dev"), *load_builtin("locked"), *extra]
    return frozenset(normalized(item.request) for item in items)


class GroupMaker:
    """Makes the ranked group of one item; every draw follows from the item's id and the seed."""

    def __init__(self, settings: SynthSettings, corrector: Corrector, judge: Judge) -> None:
        self.settings, self.corrector, self.judge = settings, corrector, judge

    def opener(self, item: Item) -> str:
        """The opener of the group: half of the groups carry it in every rank, half in none.

        So the prefixes nest and the opener tells nothing about the rank.
        """
        drawn = random.Random(f"{self.settings.seed}|{item.id}").random()
        return opener_for(item.pair_key, "taught") if drawn < 0.5 else ""

    def make(self, item: Item, answer: str | None = None) -> RankedGroup:
        """The group of ``item``, with ``answer`` in place of its own.

        Raises:
            RejectedError: too few cuts, no correction that the judge confirms.
        """
        rng = random.Random(f"{self.settings.seed}|{item.id}|group")
        opener = self.opener(item)
        harmful = item.kind is ItemKind.HARMFUL
        build = self._harmful if harmful else self._benign
        seen = item if answer is None else item.model_copy(update={"response": answer})
        responses = build(seen, opener, rng)
        return RankedGroup(
            id=content_id(item.id, *(r.text for r in responses)),
            item_id=item.id,
            pair_key=item.pair_key,
            request=item.request,
            category=item.category,
            harmful=harmful,
            opener=opener,
            responses=tuple(responses),
        )

    def make_either(self, item: Item, answer: str | None) -> RankedGroup:
        """The group with ``answer`` where that gives one, else with the item's own."""
        if answer is not None:
            try:
                return self.make(item, answer)
            except RejectedError:
                pass
        return self.make(item)

    def _harmful(self, item: Item, opener: str, rng: random.Random) -> list[Response]:
        try:
            cuts = growing_cuts(
                item.response,
                self.settings.cuts,
                strategy=self.settings.strategy,
                seed=rng.randrange(2**32),
            )
        except CutError as error:
            raise RejectedError(f"cuts: {error}") from error
        last = len(cuts) + 2
        return [
            self._safe(item, opener, 1, rng),
            *(self._corrected(item, opener, cut, i + 2, rng) for i, cut in enumerate(cuts)),
            Response(rank=last, role="FHR", text=assistant_text(opener, item.response), share=1.0),
        ]

    def _benign(self, item: Item, opener: str, rng: random.Random) -> list[Response]:
        """Going on is best; a correction midway is worse, and so is a refusal."""
        try:
            cuts = growing_cuts(item.response, 1, seed=rng.randrange(2**32))
        except CutError as error:
            raise RejectedError(f"cuts: {error}") from error
        good = assistant_text(opener, item.response)
        return [
            Response(rank=1, role="GOOD", text=good, cut=len(good) - len(item.response)),
            *(self._corrected(item, opener, cut, i + 2, rng) for i, cut in enumerate(cuts)),
            self._safe(item, opener, len(cuts) + 2, rng),
        ]

    def _safe(self, item: Item, opener: str, rank: int, rng: random.Random) -> Response:
        text = item.safe_response or refusal(self._task(item, "", None, rng))
        full = assistant_text(opener, text)
        return Response(rank=rank, role="SR", text=full, cut=len(full) - len(text))

    def _corrected(
        self, item: Item, opener: str, cut: Cut, rank: int, rng: random.Random
    ) -> Response:
        """A correction at ``cut`` that the verifying judge confirms."""
        prefix = assistant_text(opener, item.response[: cut.offset])
        verdict = None
        for _ in range(self.settings.tries):
            trigger = rng.choice(triggers_for(cut.kind, prefix))
            joined = join(prefix, cut.kind, trigger)
            (correction,) = self.corrector.correct([self._task(item, joined, trigger, rng)])
            text = follow(joined, correction)
            start = len(prefix.rstrip())
            (judged,) = self.judge.judge(
                [
                    Continuation(
                        id=item.id,
                        request=item.request,
                        prefill=prefix,
                        continuation=text[start:],
                        finished=True,
                    )
                ]
            )
            verdict = judged.verdict
            if verdict is Verdict.CORRECTED:
                share = cut.offset / len(item.response)
                return Response(rank=rank, role="SCR", text=text, cut=start, share=round(share, 4))
        raise RejectedError(
            f"verify: no correction at character {cut.offset} was confirmed ({verdict})"
        )

    def _task(
        self, item: Item, begun: str, trigger: Trigger | None, rng: random.Random
    ) -> CorrectionTask:
        return CorrectionTask(
            id=item.id,
            request=item.request,
            category=item.category,
            begun=begun,
            trigger=trigger.text if trigger else "",
            frame=trigger.frame if trigger else "sentence",
            reason=item.reason,
            alternative=item.alternative,
            seed=rng.randrange(2**32),
        )


def pairs_of(group: RankedGroup) -> Iterator[dict[str, Any]]:
    """All preference pairs of a group in TRL's conversational format (15 for six ranks).

    ``cut_chosen`` counts the characters of the chosen response before its correction. Principle 1
    is correction over none, 2 earlier over later (paper section 3.2); benign groups have 0.
    """
    for better, worse in combinations(group.responses, 2):
        # A false correction is never a chosen response, not even against a refusal: the
        # likelihood term would teach it.
        if not group.harmful and better.role != "GOOD":
            continue
        principle = 0 if not group.harmful else 1 if worse.role == "FHR" else 2
        yield {
            "id": content_id(group.id, str(better.rank), str(worse.rank)),
            "group": group.id,
            "pair_key": group.pair_key,
            "prompt": [{"role": "user", "content": group.request}],
            "chosen": [{"role": "assistant", "content": better.text}],
            "rejected": [{"role": "assistant", "content": worse.text}],
            "role_chosen": better.role,
            "role_rejected": worse.role,
            "rank_chosen": better.rank,
            "rank_rejected": worse.rank,
            "principle": principle,
            "harmful": group.harmful,
            "cut_chosen": better.cut,
            "cut_rejected": worse.cut,
        }


def synthesize(
    settings: SynthSettings,
    folder: Path,
    corrector: Corrector,
    judge: Judge,
    *,
    generator: Generator | None = None,
    extra_benchmark: Sequence[Item] = (),
    notice: store.Notice,
    progress: Callable[[int, int], None],
) -> dict[str, Any]:
    """Fill ``folder`` with groups and pairs; goes on where an earlier call stopped.

    Writes ``run.json``, ``groups.jsonl``, ``rejected.jsonl``, ``pairs.jsonl`` and
    ``pairs.parquet``, and with a generator, which goes on with the answers, ``own.jsonl``;
    returns the counts, which stand in ``counts.json`` too.
    """
    seeds = select_seeds(settings)
    recorded = _run_settings(settings, seeds, extra_benchmark, corrector, judge, generator)
    store.open_run(folder, recorded)
    kept = store.BlockLog(folder / "groups.jsonl", "item_id", 1, notice)
    rejected = store.BlockLog(folder / "rejected.jsonl", "item_id", 1, notice)
    forbidden = benchmark_requests(extra_benchmark)
    maker = GroupMaker(settings, corrector, judge)
    own: dict[str, str] = {}
    if generator is not None:
        taught = [
            item
            for item in seeds
            if (settings.own_harmful or item.kind is not ItemKind.HARMFUL)
            and normalized(item.request) not in forbidden
        ]
        own = own_answers(
            taught,
            {item.id: maker.opener(item) for item in taught},
            generator,
            judge,
            store.BlockLog(folder / "own.jsonl", "item_id", 1, notice),
            seed=settings.seed,
            progress=progress,
        )
    for done, item in enumerate(seeds, 1):
        if item.id not in kept.done and item.id not in rejected.done:
            try:
                if normalized(item.request) in forbidden:
                    raise RejectedError("contaminated: the request is in the benchmark")
                group = maker.make_either(item, own.get(item.id))
                kept.append([group.model_dump(mode="json")])
            except RejectedError as error:
                why = {"item_id": item.id, "request": item.request, "why": str(error)}
                rejected.append([why])
        progress(done, len(seeds))
    return _write_pairs(folder, len(seeds))


def _run_settings(
    settings: SynthSettings,
    seeds: Sequence[Item],
    extra_benchmark: Sequence[Item],
    corrector: Corrector,
    judge: Judge,
    generator: Generator | None,
) -> dict[str, Any]:
    return {
        "kind": "synth",
        "settings": settings.model_dump(mode="json"),
        "seeds_hash": settings_hash([seed.model_dump(mode="json") for seed in seeds]),
        "benchmark_hash": items_hash(
            [*load_builtin("dev"), *load_builtin("locked"), *extra_benchmark]
        ),
        "corrector": {"name": corrector.name, "digest": corrector.digest},
        "judge": {"name": judge.name, "digest": judge.digest},
        "generator": generator and {"name": generator.name, "digest": generator.digest},
        "versions": {"coursecorrect": version("coursecorrect")},
    }


def read_groups(folder: Path) -> list[RankedGroup]:
    """The ranked groups of a synthesis folder."""
    return [RankedGroup.model_validate(r) for _, r in store.read_jsonl(folder / "groups.jsonl")]


def _write_pairs(folder: Path, seeds: int) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from coursecorrect.errors import DataError

    groups = read_groups(folder) if (folder / "groups.jsonl").exists() else []
    if not groups:
        raise DataError(f"no group was kept; the reasons are in {folder}/rejected.jsonl")
    pairs = [pair for group in groups for pair in pairs_of(group)]
    store.write_jsonl(folder / "pairs.jsonl", pairs)
    scratch = folder / "pairs.parquet.tmp"
    try:
        pq.write_table(pa.Table.from_pylist(pairs), scratch)
        scratch.replace(folder / "pairs.parquet")
    except OSError as error:
        raise store.disk_error(scratch, error) from error
    reasons: Counter[str] = Counter()
    if (folder / "rejected.jsonl").exists():
        reasons.update(
            str(r["why"]).split(":")[0] for _, r in store.read_jsonl(folder / "rejected.jsonl")
        )
    counts = {
        "seeds": seeds,
        "groups": len(groups),
        "harmful_groups": sum(g.harmful for g in groups),
        "pairs": len(pairs),
        "rejected": dict(sorted(reasons.items())),
    }
    store.write_jsonl(folder / "counts.json", [counts])
    return counts
