from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from conftest import SENTENCES
from coursecorrect.generate import _packed, hf
from coursecorrect.generate._packed import PackedLinears, can_pack
from coursecorrect.generate._padded import PaddedDecoder
from coursecorrect.generate._sampling import nucleus_sample, uniforms
from coursecorrect.generate._shared_prefix import SharedPrefixDecoder
from coursecorrect.generate.base import Job, Path, Sampling, continuation_text
from coursecorrect.generate.hf import HFGenerator

TOLERANCE = 3e-4
STEPS = 5


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.inference_mode():
        yield


def ragged() -> tuple[list[list[int]], torch.Tensor, torch.Tensor]:
    """Two jobs of unequal length, three rows each, and the tokens that every row takes."""
    rng = np.random.default_rng(7)
    jobs = [rng.integers(4, 400, size).tolist() for size in (23, 9)]
    kept = torch.tensor([[4, 11, 23], [9, 1, 5]])
    return jobs, kept, torch.from_numpy(rng.integers(4, 400, (STEPS, 6)))


def plain_logits(model: Any, prefix: list[int], tokens: list[int]) -> torch.Tensor:
    """What the model says after ``prefix`` and ``tokens``, with no cache and no batch."""
    return model(input_ids=torch.tensor([prefix + tokens]), use_cache=False).logits[0, -1]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["shared", "padded"])
def test_every_step_equals_the_plain_forward_pass(loaded: Any, kind: str, packed: bool) -> None:
    model = loaded.model
    linears = PackedLinears(model, rows=6).in_use if packed else nullcontext
    jobs, kept, tokens = ragged()
    decoder = SharedPrefixDecoder(model) if kind == "shared" else PaddedDecoder(model, pad_id=0)
    rows = [ids[:n] for ids, lengths in zip(jobs, kept.tolist(), strict=True) for n in lengths]
    with linears():
        logits = decoder.start(jobs, kept, STEPS + 1).reshape(6, -1)
    for step in range(STEPS + 1):
        wanted = torch.stack(
            [plain_logits(model, row, tokens[:step, i].tolist()) for i, row in enumerate(rows)]
        )
        assert (logits - wanted).abs().max() <= TOLERANCE, f"step {step}"
        if step < STEPS:
            with linears():
                logits = decoder.step(tokens[step])
    assert wanted.std() > 0.5  # logits that hardly differ would prove nothing
    shuffled = plain_logits(model, rows[2][::-1], tokens[:, 2].tolist())
    assert (shuffled - wanted[2]).abs().max() > 100 * TOLERANCE  # nor would blind attention


def test_packed_layers_are_used_and_put_back(loaded: Any) -> None:
    model, ids = loaded.model, torch.tensor([[5, 6, 7]])
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    before, weight = model(ids).logits, linears[0].weight.clone()
    packed = PackedLinears(model, rows=3)
    try:
        linears[0].weight.zero_()
        with packed.in_use():
            assert (model(ids).logits - before).abs().max() < TOLERANCE  # the packed copy answers
        assert (model(ids).logits - before).abs().max() > 100 * TOLERANCE
    finally:
        linears[0].weight.copy_(weight)
    assert torch.equal(model(ids).logits, before)
    assert len(packed.forwards) == len(linears)


def test_only_plain_float32_weights_are_packed(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_pack(loaded.model)
    patched = torch.nn.Sequential(torch.nn.Linear(4, 4))
    patched[0].forward = lambda x: x
    assert not can_pack(patched)
    assert not can_pack(torch.nn.Sequential(torch.nn.Linear(4, 4, dtype=torch.bfloat16)))
    assert not can_pack(torch.nn.Sequential(torch.nn.ReLU()))
    monkeypatch.setattr(_packed, "MAX_BYTES", 4 * 4 * 4)
    assert can_pack(torch.nn.Sequential(torch.nn.Linear(4, 4)))
    assert not can_pack(torch.nn.Sequential(torch.nn.Linear(4, 5)))


def test_the_model_is_left_as_it_was(loaded: Any) -> None:
    model = loaded.model
    before = model.config._attn_implementation
    prefix = ragged()[0][0]
    wanted = plain_logits(model, prefix, [])
    HFGenerator(loaded)
    assert model.config._attn_implementation == before
    assert torch.equal(plain_logits(model, prefix, []), wanted)


def test_embedded_model_shares_exactly(embedded_model: Any) -> None:
    model = embedded_model.model
    jobs, kept, tokens = ragged()
    shared = SharedPrefixDecoder(model)
    logits = shared.start(jobs, kept, 3)
    assert (logits[1, 2] - plain_logits(model, jobs[1][:5], [])).abs().max() <= TOLERANCE
    logits = shared.step(tokens[0])
    wanted = plain_logits(model, jobs[0][:11], [int(tokens[0, 1])])
    assert (logits[1] - wanted).abs().max() <= TOLERANCE


def reference_nucleus(logits: torch.Tensor, temperature: float, top_p: float) -> np.ndarray:
    """The sampled distribution, by sorting everything and adding up."""
    p = torch.softmax(logits.double() / temperature, dim=-1).numpy()
    kept, mass = np.zeros_like(p), 0.0
    for token in np.argsort(-p, kind="stable"):
        if mass >= top_p:
            break
        kept[token] = p[token]
        mass += p[token]
    return kept / kept.sum()


@pytest.mark.parametrize(
    ("spread", "vocabulary", "temperature", "top_p"),
    [(3.0, 50, 0.8, 0.7), (3.0, 50, 1.5, 0.95), (1.0, 50, 1.0, 1.0), (0.1, 2500, 1.0, 0.9)],
    ids=["paper", "warm", "whole", "wide"],
)
def test_draws_follow_the_sorted_reference(
    spread: float, vocabulary: int, temperature: float, top_p: float
) -> None:
    rng = torch.Generator().manual_seed(5)
    logits = spread * torch.randn(vocabulary, generator=rng)
    wanted = reference_nucleus(logits, temperature, top_p)
    if vocabulary == 2500:
        assert (wanted > 0).sum() > 1024  # wider than the windows, so everything is sorted
    # Evenly spaced draws turn the inverse distribution into the distribution itself.
    size = 20_000
    u = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    drawn = nucleus_sample(logits.repeat(size, 1), u.float(), temperature, top_p)
    found = np.bincount(drawn.numpy(), minlength=vocabulary) / size
    assert np.abs(found - wanted).max() <= 3 / size
    assert not found[wanted == 0].any()


def test_random_draws_pass_a_chi_square_test() -> None:
    logits = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])
    wanted = reference_nucleus(logits, 0.8, 0.95)
    size = 20_000
    u = torch.from_numpy(uniforms("item", 10, 0, 1, size)).float()
    drawn = nucleus_sample(logits.repeat(size, 1), u, 0.8, 0.95)
    found = np.bincount(drawn.numpy(), minlength=6)
    inside = wanted > 0
    statistic = ((found[inside] - size * wanted[inside]) ** 2 / (size * wanted[inside])).sum()
    assert statistic < 16.3  # 0.1 % of chi-square with three degrees of freedom
    assert inside.sum() == 4


def test_wide_and_narrow_rows_mix_in_one_batch() -> None:
    rng = torch.Generator().manual_seed(3)
    wide, narrow = 0.1 * torch.randn(900, generator=rng), 9 * torch.randn(900, generator=rng)
    u = torch.tensor([0.95, 0.95, 0.3, 0.3])
    both = torch.stack([wide, narrow, wide, narrow])
    together = nucleus_sample(both.clone(), u, 1.0, 0.95)
    alone = [
        int(nucleus_sample(both[i : i + 1].clone(), u[i : i + 1], 1.0, 0.95)) for i in range(4)
    ]
    assert together.tolist() == alone


def test_extreme_draws_stay_in_the_nucleus() -> None:
    logits = torch.tensor([[3.0, 2.0, -1.0, -2.0]]).repeat(2, 1)
    u = torch.tensor([0.0, 1.0 - 2**-24])
    assert nucleus_sample(logits, u, 1.0, 0.9).tolist() == [0, 1]


def test_temperature_zero_is_greedy() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.9], [1.0, 0.0, -1.0]])
    assert nucleus_sample(logits, torch.tensor([0.99, 0.99]), 0, 0.7).tolist() == [1, 0]


def test_draws_are_fixed_by_item_k_path_and_seed() -> None:
    base = uniforms("item", 10, 0, 0, 8)
    assert np.array_equal(base, uniforms("item", 10, 0, 0, 8))
    assert np.array_equal(base[:5], uniforms("item", 10, 0, 0, 5))  # more steps change no draw
    for other in (("other", 10, 0, 0), ("item", 20, 0, 0), ("item", 10, 1, 0), ("item", 10, 0, 1)):
        assert not np.array_equal(base, uniforms(*other, 8))
    assert (base >= 0).all()
    assert (base < 1).all()


SAMPLING = Sampling(paths=3, max_new_tokens=10, temperature=1.0, top_p=0.95)


def jobs_of(tokenizer: Any) -> list[Job]:
    out = []
    for i, sentence in enumerate(SENTENCES[:4]):
        ids = tuple(tokenizer(sentence, add_special_tokens=False)["input_ids"])
        lengths = ((-1, 3), (0, 5), (4, 9)) if i != 2 else ((0, 5), (4, 9))
        out.append(Job(f"item-{i}", ids, lengths))
    return out


def test_batch_mates_change_no_draw(loaded: Any) -> None:
    jobs = jobs_of(loaded.tokenizer)
    generator = HFGenerator(loaded)
    (together,) = generator.sample([jobs], SAMPLING)
    alone = [paths for (paths,) in generator.sample([[job] for job in jobs], SAMPLING)]
    (backwards,) = generator.sample([jobs[::-1]], SAMPLING)
    assert together == alone
    assert together == backwards[::-1]
    assert len({path.ids for paths in together for path in paths}) > 25


def test_paths_come_sorted_and_whole(loaded: Any) -> None:
    (found,) = HFGenerator(loaded).sample([jobs_of(loaded.tokenizer)], SAMPLING)
    assert [(p.k, p.index) for p in found[2]] == [(k, i) for k in (0, 4) for i in range(3)]
    assert all(len(p.ids) == 10 or p.finished for paths in found for p in paths)


def test_a_model_that_cannot_share_gives_the_same_texts(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(loaded.tokenizer)
    notices: list[str] = []
    (shared,) = HFGenerator(loaded, notice=notices.append).sample([jobs], SAMPLING)
    assert notices == []
    monkeypatch.setattr(hf, "_can_share", lambda model: False)

    def never(*_: Any) -> None:
        raise AssertionError("the shared way was taken")

    monkeypatch.setattr(hf, "SharedPrefixDecoder", never)
    generator = HFGenerator(loaded, notice=notices.append)
    (padded,) = generator.sample([jobs], SAMPLING)
    assert padded == shared
    assert len(notices) == 1
    assert "cannot share" in notices[0]


def test_an_attention_that_ignores_the_shared_prefix_is_found_out(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hf._can_share(loaded.model)
    step = SharedPrefixDecoder.step

    def shifted(self: Any, tokens: torch.Tensor) -> torch.Tensor:
        self.cache.hidden[..., 0] = True
        return step(self, tokens)

    monkeypatch.setattr(SharedPrefixDecoder, "step", shifted)
    assert not hf._can_share(loaded.model)


def test_banned_tokens_are_never_sampled(loaded: Any) -> None:
    jobs = jobs_of(loaded.tokenizer)
    (free,) = HFGenerator(loaded).sample([jobs], SAMPLING)
    firsts = frozenset(p.ids[0] for paths in free for p in paths if p.ids)
    (found,) = HFGenerator(loaded, banned=firsts).sample([jobs], SAMPLING)
    assert not firsts & {token for paths in found for p in paths for token in p.ids}


def test_an_end_token_ends_the_path_and_is_not_in_it(
    loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs_of(loaded.tokenizer)[0]
    generator = HFGenerator(loaded)
    ((whole,),) = generator.sample([[job]], SAMPLING)
    end = whole[0].ids[4]
    monkeypatch.setattr(generator, "end_ids", frozenset({end}))
    ((cut,),) = generator.sample([[job]], SAMPLING)
    stop = whole[0].ids.index(end)
    assert cut[0] == Path(whole[0].k, 0, whole[0].ids[:stop], True)
    unfinished = [p for p in whole if end not in p.ids and not p.finished]
    assert unfinished
    assert all(p in cut for p in unfinished)


def test_continuation_is_what_the_ids_add(tokenizer: Any) -> None:
    text = "Tea – 日本 🥖 and  two spaces,\n- a list"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    for cut in range(len(ids) + 1):
        head = tokenizer.decode(ids[:cut]).rstrip("\ufffd")
        added = continuation_text(tokenizer, ids[:cut], ids[cut:])
        assert head + added == text
        assert "\ufffd" not in added
    split = [c for c in range(len(ids)) if tokenizer.decode(ids[:c]).endswith("\ufffd")]
    assert len(split) > 5  # some characters were really cut in two
    assert continuation_text(tokenizer, ids, []) == ""


def test_unfinished_character_at_the_end_is_shown(tokenizer: Any) -> None:
    ids = tokenizer("ok 🥖", add_special_tokens=False)["input_ids"]
    assert continuation_text(tokenizer, ids[:1], ids[1:-1]).endswith("\ufffd")
