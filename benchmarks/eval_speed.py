"""Tokens a second of C2-Eval's sampling against transformers' ``generate``, in one run.

All sides sample the same prefixes (items × every k of the paper with the anchors × paths) from the
same weights in float32; no text may end early, so that all write equally many tokens. The peers:

- ``batched``: ``generate`` on whole prefixes, left-padded, 20 to 160 rows a call; the best counts;
- ``encode once``: ``generate`` from a cache that holds the item's prefix, copied for its rows.

The sides take turns, and medians are compared. ``matmul_share`` is the share of the tokens a second
that the model's matrix products alone would allow, at the faster of plain and prepacked. Without
``--quick`` two more things are measured: models of two other families with random weights, of about
the same size; and how the time grows with paths, number of k and prompt length.

    python benchmarks/eval_speed.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache, GPTNeoXConfig, Qwen2Config

from coursecorrect.evaluate import EvalSettings, jobs_of, prepare, select_items
from coursecorrect.generate.base import Job, Sampling
from coursecorrect.generate.hf import HFGenerator, end_ids
from coursecorrect.judge import get_judge
from coursecorrect.models import LoadedModel, ModelSettings, load

BATCHES = (20, 40, 80, 160)


def make_jobs(loaded: LoadedModel, items: int, sampling: Sampling) -> list[Job]:
    settings = EvalSettings(split="dev", limit=items, sampling=sampling)
    chosen = select_items(settings)
    points, _ = prepare(settings, chosen, loaded.tokenizer, get_judge("rules"))
    return [job for point in points[:items] for job in jobs_of(point)]


class Sides:
    """The ways to sample; each returns how many tokens it wrote."""

    def __init__(self, loaded: LoadedModel, jobs: list[Job], sampling: Sampling) -> None:
        self.loaded, self.jobs, self.sampling = loaded, jobs, sampling
        self.shared_generator = HFGenerator(loaded, banned=end_ids(loaded))
        self.options = {
            "do_sample": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": 0,
            "max_new_tokens": sampling.max_new_tokens,
            "min_new_tokens": sampling.max_new_tokens,
            "pad_token_id": loaded.tokenizer.pad_token_id,
        }

    def shared(self) -> int:
        found = next(self.shared_generator.sample([self.jobs], self.sampling))
        return sum(len(path.ids) for paths in found for path in paths)

    def batched(self, rows_a_call: int, limit: int | None = None) -> int:
        paths = self.sampling.paths
        rows = [job.ids[:n] for job in self.jobs for _, n in job.lengths for _ in range(paths)]
        pad, tokens = self.options["pad_token_id"], 0
        for start in range(0, len(rows[:limit]), rows_a_call):
            part = rows[start : start + rows_a_call]
            longest = max(map(len, part))
            ids = torch.tensor([[pad] * (longest - len(r)) + list(r) for r in part])
            mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in part])
            out = self.loaded.model.generate(ids, attention_mask=mask, **self.options)
            tokens += out.shape[0] * (out.shape[1] - longest)
        return tokens

    def encode_once(self) -> int:
        tokens, model = 0, self.loaded.model
        for job in self.jobs:
            whole = DynamicCache(config=model.config)
            model(torch.tensor([job.ids]), past_key_values=whole, use_cache=True)
            for _, n in job.lengths:
                cache = copy_of(whole, n - 1, self.sampling.paths, model.config)
                ids = torch.tensor([job.ids[:n]] * self.sampling.paths)
                out = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    past_key_values=cache,
                    **self.options,
                )
                tokens += out.shape[0] * (out.shape[1] - n)
        return tokens


def copy_of(whole: DynamicCache, length: int, rows: int, config: object) -> DynamicCache:
    cache = DynamicCache(config=config)
    for i, layer in enumerate(whole.layers):
        keys, values = (t[:, :, :length].repeat(rows, 1, 1, 1) for t in (layer.keys, layer.values))
        cache.update(keys, values, i)
    return cache


def products_bound(loaded: LoadedModel, rows: int) -> float:
    """Tokens a second if a step were the matrix products of the linear layers and nothing else."""
    layers = [m for m in loaded.model.modules() if type(m) is torch.nn.Linear]
    shapes: dict[tuple[int, ...], int] = {}
    for layer in layers:
        shapes[tuple(layer.weight.shape)] = shapes.get(tuple(layer.weight.shape), 0) + 1
    seconds = 0.0
    for (out, wide), count in shapes.items():
        x, weight = torch.randn(rows, wide), torch.randn(out, wide)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        plain = best_time(lambda x=x, w=weight: torch.nn.functional.linear(x, w))
        ready = best_time(
            lambda x=x, p=packed: torch.ops.mkldnn._linear_pointwise(x, p, None, "none", [], "")
        )
        seconds += count * min(plain, ready)
    return rows / seconds


def best_time(call: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def peak_memory(paths: int) -> int:
    """Peak resident bytes of a process that samples one item with so many paths."""
    command = [sys.executable, __file__, "--peak-of", str(paths)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def sample_once(paths: int) -> None:
    loaded = load(ModelSettings())
    sampling = Sampling(paths=paths)
    Sides(loaded, make_jobs(loaded, 1, sampling), sampling).shared()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def other_families(loaded: LoadedModel) -> dict[str, LoadedModel]:
    """Random weights of about the embedded model's size; what is sampled doesn't matter here."""
    common: dict[str, Any] = {"vocab_size": 49152, "max_position_embeddings": 2048}
    configs = {
        "qwen2": Qwen2Config(
            hidden_size=768,
            intermediate_size=2048,
            num_hidden_layers=16,
            num_attention_heads=12,
            num_key_value_heads=4,
            **common,
        ),
        "gpt_neox": GPTNeoXConfig(
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            **common,
        ),
    }
    return {
        name: LoadedModel(
            AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval(),
            loaded.tokenizer,
            name,
            "random weights",
        )
        for name, config in configs.items()
    }


def timed(run: Callable[[], int]) -> float:
    """Tokens a second."""
    began = time.perf_counter()
    return run() / (time.perf_counter() - began)


def family_ratios(loaded: LoadedModel, jobs: list[Job], sampling: Sampling) -> dict[str, float]:
    """Shared against batched at its better of 80 and 160 rows, on other families."""
    found = {}
    for name, other in other_families(loaded).items():
        sides = Sides(other, jobs, sampling)
        shared = [timed(sides.shared) for _ in range(3)]
        batched = [timed(partial(sides.batched, rows)) for rows in (80, 160)]
        found[f"ratio_batched_{name}"] = round(statistics.median(shared) / max(batched), 2)
        print(f"{name}: {found[f'ratio_batched_{name}']} times", flush=True)
    return found


def growth(loaded: LoadedModel) -> dict[str, float]:
    """Seconds of one item with more paths, more k or a longer prompt, over those without."""

    def seconds(paths: int, ks: int, prompt: int) -> float:
        sampling = Sampling(paths=paths)
        (job,) = make_jobs(loaded, 1, sampling)
        ids = job.ids[:1] * prompt + job.ids
        job = Job(job.key, ids, tuple((k, n + prompt) for k, n in job.lengths[:ks]))
        sides = Sides(loaded, [job], sampling)
        return min(time_of(sides.shared) for _ in range(3))

    base = seconds(10, 4, 0)
    return {
        "time_paths_x2": round(seconds(20, 4, 0) / base, 2),
        "time_ks_x2": round(seconds(10, 8, 0) / base, 2),
        "time_prompt_plus_400": round(seconds(10, 4, 400) / base, 2),
    }


def time_of(run: Callable[[], int]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def measure(sides: Sides, turns: int, best_batch: int) -> dict[str, float]:
    ways = {
        "shared": sides.shared,
        "batched": lambda: sides.batched(best_batch),
        "encode_once": sides.encode_once,
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, run in ways.items():
            speeds[name].append(timed(run))
            print(f"{name}: {speeds[name][-1]:.0f} tokens/s", flush=True)
    return {name: statistics.median(values) for name, values in speeds.items()}


def fastest_batch(sides: Sides) -> int:
    speeds = {}
    for rows in BATCHES:
        began = time.perf_counter()
        tokens = sides.batched(rows, limit=max(rows, 80))
        speeds[rows] = tokens / (time.perf_counter() - began)
        print(f"batched, {rows} rows a call: {speeds[rows]:.0f} tokens/s", flush=True)
    return max(speeds, key=lambda rows: speeds[rows])


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer paths, one turn each")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        sample_once(arguments.peak_of)
        return
    sampling = Sampling(paths=5 if arguments.quick else 20)
    loaded = load(ModelSettings())
    sides = Sides(loaded, make_jobs(loaded, 4, sampling), sampling)
    batch = fastest_batch(sides)
    medians = measure(sides, 1 if arguments.quick else 3, batch)
    bound = products_bound(loaded, sum(len(job.lengths) for job in sides.jobs) * sampling.paths)
    figures = {
        "ratio_batched": round(medians["shared"] / medians["batched"], 2),
        "ratio_encode_once": round(medians["shared"] / medians["encode_once"], 2),
        "matmul_share": round(medians["shared"] / bound, 3),
        "memory_ratio": round(peak_memory(20) / peak_memory(5), 3),
        "batched_rows": batch,
        **{f"{name}_tokens_per_second": round(speed, 1) for name, speed in medians.items()},
        "bound_tokens_per_second": round(bound, 1),
        "threads": torch.get_num_threads(),
    }
    if not arguments.quick:
        figures["row_by_row_tokens_per_second"] = round(
            timed(lambda: sides.batched(1, limit=16)), 1
        )
        few = Sampling(paths=5)
        figures |= family_ratios(loaded, make_jobs(loaded, 2, few), few)
        figures |= growth(loaded)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
