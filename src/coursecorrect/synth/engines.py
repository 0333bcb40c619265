"""Who makes the shards: this process, a pool of processes, or Ray. All give the same files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from coursecorrect.errors import RunError

Work = Callable[[int], dict[str, Any]]
Engine = Callable[[Work, Iterator[int]], Iterator[dict[str, Any]]]
"""Makes each shard of those that come, as they come; yields what was made, in any order."""

MOST_DEATHS: Final = 3
"""Pools that may break one after the other without one finished shard."""


def here(work: Work, shards: Iterator[int]) -> Iterator[dict[str, Any]]:
    """One shard after the other, in this process."""
    for shard in shards:
        yield work(shard)


def pool(workers: int) -> Engine:
    """The engine of ``workers`` processes; what a killed one was making is made again."""

    def run(work: Work, shards: Iterator[int]) -> Iterator[dict[str, Any]]:
        waiting = _Waiting(work, workers)
        try:
            for shard in shards:
                waiting.add(shard)
                yield from waiting.finished(block=False)
            while waiting.left:
                yield from waiting.finished(block=True)
        finally:
            waiting.close()

    return run


class _Waiting:
    """Shards that were handed to a pool, across the deaths of its processes."""

    def __init__(self, work: Work, workers: int) -> None:
        self._work, self._workers = work, workers
        self._pool = self._new_pool()
        self._shards: dict[Future[dict[str, Any]], int] = {}
        self._deaths = 0

    @property
    def left(self) -> bool:
        return bool(self._shards)

    def add(self, shard: int) -> None:
        try:
            self._shards[self._pool.submit(self._work, shard)] = shard
        except BrokenProcessPool:
            self._again([shard])

    def finished(self, *, block: bool) -> list[dict[str, Any]]:
        done, _ = wait(self._shards, None if block else 0, FIRST_COMPLETED)
        found, lost = [], []
        for future in done:
            shard = self._shards.pop(future)
            try:
                found.append(future.result())
            except BrokenProcessPool:
                lost.append(shard)
        if found:
            self._deaths = 0
        if lost:
            self._again(lost)
        return found

    def _again(self, lost: list[int]) -> None:
        """A dead process breaks its whole pool: all that it held goes to a new one."""
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise RunError(
                "the worker processes die again and again (out of memory?): finished shards are "
                "kept; run the same command with fewer --workers"
            )
        lost += self._shards.values()
        self._shards = {}
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._new_pool()
        for shard in sorted(lost):
            self.add(shard)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned, not forked: the driver may hold threads of Arrow or torch.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin_worker)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver tells when to stop
    threading.Thread(target=_die_with_the_driver, daemon=True).start()


def _die_with_the_driver() -> None:
    """A worker whose driver was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
