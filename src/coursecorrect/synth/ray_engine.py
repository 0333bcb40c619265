"""Shards on Ray Data: the same work as in a pool of processes, on one machine or on a cluster.

Every worker writes its shards itself, so the folder must lie where all machines see it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coursecorrect import errors
from coursecorrect.errors import RunError, UserError
from coursecorrect.synth.engines import Engine, Work


def on_ray(workers: int, address: str | None = None, gpus_per_worker: float = 0) -> Engine:
    """The engine of ``workers`` Ray actors.

    Args:
        workers: actors at the same time; each builds corrector and judge once.
        address: of a running cluster (ray://host:10001, or auto); None starts Ray here.
        gpus_per_worker: what an actor reserves, for a corrector that runs on a GPU.

    Raises:
        UserError: Ray is not installed.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise UserError("the ray engine needs Ray: pip install 'coursecorrect[ray]'") from error

    def run(work: Work, shards: Iterator[int]) -> Iterator[dict[str, Any]]:
        numbers = list(shards)
        if not numbers:
            return
        with _connected(address, workers):
            yield from _made(work, numbers, workers, gpus_per_worker)

    return run


class _Worker:
    """A Ray Data actor; a batch is one row, a row is one shard.

    A fault of the user is handed over as a row: of what an actor raises, only the text arrives.
    """

    def __init__(self, work: Work) -> None:
        self._work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        (shard,) = batch["shard"]
        try:
            return {"made": [json.dumps(self._work(int(shard)))], "fault": [""], "said": [""]}
        except UserError as error:
            return {"made": [""], "fault": [type(error).__name__], "said": [str(error)]}


def _made(
    work: Work, numbers: list[int], workers: int, gpus_per_worker: float
) -> Iterator[dict[str, Any]]:
    import ray.data
    from ray.exceptions import RayError, RayTaskError

    # One bar, ours, is enough, and what goes wrong is raised.
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # One shard a block: what Ray makes again when a worker dies, and hands out when done.
    shards = ray.data.from_items([{"shard": n} for n in numbers], override_num_blocks=len(numbers))
    made = shards.map_batches(
        _Worker,
        fn_constructor_args=(work,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(numbers))),
        num_cpus=1,
        num_gpus=gpus_per_worker or None,
    )
    try:
        for row in made.iter_rows():
            if row["fault"]:
                raise getattr(errors, row["fault"])(row["said"])
            yield json.loads(row["made"])
    except RayTaskError:
        raise  # an error of ours: its traceback tells more than a line
    except RayError as error:
        line = next((part for part in str(error).splitlines() if part.strip()), repr(error))
        raise RunError(
            f"Ray stopped: {line[:300]}; finished shards are kept, run again to go on"
        ) from error


@contextmanager
def _connected(address: str | None, workers: int) -> Iterator[None]:
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    try:
        ray.init(
            address=address or "local",
            # With fewer than workers, some would wait for ever.
            num_cpus=None if address else workers,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise RunError(f"cannot reach Ray at {address!r}: {str(error)[:200]}") from error
    try:
        yield
    finally:
        ray.shutdown()
