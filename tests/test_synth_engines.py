"""Whoever makes the shards, and whatever dies meanwhile, the data set is the same byte for byte."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import ALIKE, quiet, started, tree_bytes
from coursecorrect.errors import RunError
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.engines import Engine, here, pool
from coursecorrect.synth.run import synthesize
from coursecorrect.synth.tools import build_tools

ItemsFile = Callable[..., Path]
DEADLINE = 240.0
LIMIT = 60
"""Seeds of each kind, in shards of three."""


def on_ray() -> Engine:
    from coursecorrect.synth.ray_engine import on_ray

    return on_ray(2)


ENGINES = [
    pytest.param(lambda: here, id="here"),
    pytest.param(lambda: pool(2), id="pool"),
    pytest.param(on_ray, id="ray", marks=pytest.mark.slow),
]
OTHERS = ENGINES[1:]


def make(data: Path, folder: Path, engine: Engine) -> dict[str, Any]:
    settings = SynthSettings(data=str(data), shard_size=3, seeds=ALIKE)
    tools = partial(build_tools, settings)
    return synthesize(settings, folder, tools, engine=engine, notice=quiet, progress=quiet)


@pytest.mark.parametrize("engine", OTHERS)
def test_every_engine_writes_the_same_bytes(
    engine: Callable[[], Engine], items_file: ItemsFile, tmp_path: Path
) -> None:
    data = items_file(4, "teach")
    counts = make(data, tmp_path / "here", here)
    assert make(data, tmp_path / "other", engine()) == counts
    whole = tree_bytes(tmp_path / "here")
    assert tree_bytes(tmp_path / "other") == whole
    assert sum(name.startswith("shards/") for name in whole) == 4
    assert {"groups/00003.parquet", "data/train-00000.jsonl", "README.md"} <= whole.keys()


@pytest.mark.parametrize("engine", OTHERS)
def test_finished_shards_are_not_made_again(
    engine: Callable[[], Engine], items_file: ItemsFile, tmp_path: Path
) -> None:
    data = items_file(4, "teach")
    make(data, tmp_path / "run", here)
    groups = tmp_path / "run" / "groups"
    before = {path: path.stat().st_mtime_ns for path in groups.iterdir()}
    (tmp_path / "run" / "shards" / "00002.json").unlink()
    make(data, tmp_path / "run", engine())
    made = [p.name for p, written in before.items() if p.stat().st_mtime_ns != written]
    assert made == ["00002.parquet"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fault_of_the_user_in_a_worker_arrives_as_it_is(
    engine: Callable[[], Engine], items_file: ItemsFile, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "groups").write_text("a file where a folder must be")
    with pytest.raises(RunError, match=r"^cannot write .*groups/0000\d\.parquet: "):
        make(items_file(4, "teach"), folder, engine())


def test_what_a_killed_process_was_writing_goes(items_file: ItemsFile, tmp_path: Path) -> None:
    data = items_file(2, "teach")
    make(data, tmp_path / "run", here)
    whole = tree_bytes(tmp_path / "run")
    (tmp_path / "run" / "groups" / "00001.parquet.4711.tmp").write_bytes(b"half")
    make(data, tmp_path / "run", here)
    assert tree_bytes(tmp_path / "run") == whole


def synthesis(cwd: Path, *options: Any) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A synthesis on its way into ``run``."""
    command = ["synth", "--limit", LIMIT, "--shard-size", 3, *options, "--out", "run"]
    return started(command, cwd)


def finish(process: subprocess.Popen[bytes], cwd: Path) -> dict[str, bytes]:
    assert process.wait(DEADLINE) == 0, (cwd / "stderr.txt").read_text()
    return tree_bytes(cwd / "run")


def wait_for(process: subprocess.Popen[bytes], folder: Path, shards: int) -> None:
    """Until so many shards are finished; the run must still be on its way then."""
    end = time.monotonic() + DEADLINE
    while len(list(folder.glob("shards/*[0-9].json"))) < shards:
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < end, "the run did not come so far"
        time.sleep(0.005)


def workers(process: subprocess.Popen[bytes], name: str) -> list[psutil.Process]:
    """The processes below that make shards, by a word of their command line."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if name in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue  # it ended meanwhile
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    cwd = tmp_path_factory.mktemp("undisturbed")
    with synthesis(cwd, "--workers", 1) as process:
        return finish(process, cwd)


KILLED = [
    pytest.param(("--workers", 2), "spawn_main", id="pool"),
    pytest.param(
        ("--engine", "ray", "--workers", 2),
        "ray::MapWorker",
        id="ray",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("options", "name"), KILLED)
def test_a_killed_worker_changes_nothing(
    options: tuple[Any, ...], name: str, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    with synthesis(tmp_path, *options) as process:
        for shards in (3, 20):
            wait_for(process, tmp_path / "run", shards)
            workers(process, name)[0].kill()
        assert finish(process, tmp_path) == undisturbed


@pytest.mark.parametrize(("options", "name"), KILLED)
def test_a_killed_driver_goes_on_to_the_same_bytes(
    options: tuple[Any, ...], name: str, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    for shards in (3, 20):
        with synthesis(tmp_path, *options) as process:
            wait_for(process, tmp_path / "run", shards)
            left = workers(process, name)
            assert left
        _, alive = psutil.wait_procs(left, timeout=30)
        assert not alive, "workers outlive their driver"
    assert not (tmp_path / "run" / "counts.json").exists()
    with synthesis(tmp_path, *options) as process:
        assert finish(process, tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(("options", "name"), KILLED)
def test_twenty_kills_at_random_moments_change_nothing(
    options: tuple[Any, ...], name: str, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    rng = random.Random(0)
    moments = [(mark, rng.random() < 0.5) for mark in sorted(rng.sample(range(1, 58), 20))]
    assert {driver for _, driver in moments} == {True, False}
    while moments:
        with synthesis(tmp_path, *options) as process:
            while moments:
                shards, driver = moments.pop(0)
                wait_for(process, tmp_path / "run", shards)
                time.sleep(rng.uniform(0, 0.2))  # somewhere within the next shards
                found = workers(process, name)
                if driver or not found:
                    break  # the driver is killed on the way out
                rng.choice(found).kill()
    with synthesis(tmp_path, *options) as process:
        assert finish(process, tmp_path) == undisturbed
