"""Tokens a second: shared-prefix sampling against transformers' ``generate``, in one run.

Both sample the same prefixes (4 items, every k of the paper with the anchors, b paths of m new
tokens) from the same weights in float32. ``generate`` gets its rows left-padded, 20 to a call, and
its own key-value cache. The two take turns, and the medians are compared.

    python benchmarks/sampling_speed.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch

from coursecorrect.evaluate import EvalSettings, jobs_of, prepare, select_items
from coursecorrect.generate.base import Job, Sampling
from coursecorrect.generate.hf import HFGenerator
from coursecorrect.judge import get_judge
from coursecorrect.models import LoadedModel, ModelSettings, load


def ours(loaded: LoadedModel, jobs: list[Job], sampling: Sampling) -> int:
    generator = HFGenerator(loaded)
    found = next(generator.sample([jobs], sampling))
    return sum(len(path.ids) for paths in found for path in paths)


@torch.inference_mode()
def generate(loaded: LoadedModel, jobs: list[Job], sampling: Sampling) -> int:
    rows = [job.ids[:n] for job in jobs for _, n in job.lengths for _ in range(sampling.paths)]
    pad = loaded.tokenizer.pad_token_id
    tokens = 0
    for start in range(0, len(rows), 20):
        part = rows[start : start + 20]
        longest = max(map(len, part))
        ids = torch.tensor([[pad] * (longest - len(r)) + list(r) for r in part])
        mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in part])
        out = loaded.model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=0,
            max_new_tokens=sampling.max_new_tokens,
            pad_token_id=pad,
        )
        tokens += int((out[:, longest:] != pad).sum())
    return tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer paths, one turn each")
    arguments = parser.parse_args()
    settings = EvalSettings(split="dev", limit=2, sampling=Sampling(paths=4))
    loaded = load(ModelSettings())
    points, _ = prepare(settings, select_items(settings), loaded.tokenizer, get_judge("rules"))
    jobs = [job for point in points[:4] for job in jobs_of(point)]
    speeds: dict[str, list[float]] = {"shared": [], "generate": []}
    for _ in range(1 if arguments.quick else 3):
        for name, run in (("shared", ours), ("generate", generate)):
            began = time.perf_counter()
            tokens = run(loaded, jobs, settings.sampling)
            speeds[name].append(tokens / (time.perf_counter() - began))
            print(f"{name}: {speeds[name][-1]:.0f} tokens/s", flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    figures = {
        "shared_tokens_per_second": round(medians["shared"], 1),
        "generate_tokens_per_second": round(medians["generate"], 1),
        "ratio": round(medians["shared"] / medians["generate"], 2),
        "turns": len(speeds["shared"]),
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
