"""c2 synth inspect, export and push, on data that c2 synth made."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from conftest import made_up_items, started, tree_bytes, write_rows
from coursecorrect.errors import RunError
from coursecorrect.report.groups import groups_view, parts_of
from coursecorrect.shortcuts import shortcuts
from coursecorrect.synth import SynthSettings
from coursecorrect.synth.browse import (
    Wanted,
    draw_groups,
    draw_rejected,
    lengths,
    open_data_set,
)
from coursecorrect.synth.card import command
from coursecorrect.synth.export import export_pairs
from coursecorrect.synth.filters import SeedSettings
from coursecorrect.synth.push import push_data_set
from coursecorrect.synth.run import read_groups
from coursecorrect.types import RankedGroup
from coursecorrect.workflow import inspect_groups
from servers import running

C2 = Path(sys.executable).with_name("c2")
HOSTILE = "<script>window.pwned=1</script> [red]x[/red] \x1b[31mred\x07 \u202e and {{7*7}}"
TOKEN = "hf_made_up_for_tests"


def c2(*arguments: Any, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(C2), "synth", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def done(*arguments: Any, cwd: Path, **environment: str) -> str:
    found = c2(*arguments, cwd=cwd, **environment)
    assert found.returncode == 0, found.stderr
    return found.stdout


def fault(*arguments: Any, cwd: Path, **environment: str) -> str:
    """The one line on stderr."""
    found = c2(*arguments, cwd=cwd, **environment)
    assert found.returncode == 2, found.stderr
    (line,) = found.stderr.splitlines()
    assert line.startswith("c2: ")
    return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards; one request is hostile, one seed is too short, one is broken."""
    work = tmp_path_factory.mktemp("synth")
    rows = made_up_items(14, "teach")
    rows[0]["request"] += HOSTILE
    rows[3]["response"] = "Take it and run."
    data = write_rows(work / "items.jsonl", rows)
    data.write_text(data.read_text() + '{"request": <script>\n')
    options = ("--near-duplicates", 1, "--shard-size", 12, "--workers", 1, "--validation", 0.3)
    done("--data", data, *options, "--out", "run", cwd=work)
    return work / "run"


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("audit")
    data = write_rows(work / "items.jsonl", made_up_items(2, "teach"))
    done("--data", data, "--near-duplicates", 1, "--audit", "--out", "run", cwd=work)
    return work / "run"


def hostile_group(folder: Path) -> RankedGroup:
    (found,) = draw_groups(open_data_set(folder), 9, 0, Wanted(search="WINDOW.PWNED"))
    return found


def test_the_draw_is_that_of_the_shortcuts_and_the_seed_decides_it(folder: Path) -> None:
    data, groups = open_data_set(folder), read_groups(folder)
    assert shortcuts(draw_groups(data, 9, 5), 5).rows == shortcuts(groups, 5, most=9).rows
    assert draw_groups(data, 5, 0) == draw_groups(data, 9, 0)[:5]
    assert draw_groups(data, 5, 0) != draw_groups(data, 5, 1)
    drawn = draw_groups(data, 1000, 0)
    assert sorted(g.id for g in drawn) == sorted(g.id for g in groups)


def test_groups_are_found_by_kind_text_and_id(folder: Path) -> None:
    data, groups = open_data_set(folder), read_groups(folder)

    def ids(**wanted: Any) -> set[str]:
        return {group.id for group in draw_groups(data, 1000, 0, Wanted(**wanted))}

    assert ids(kind="harmful") == {g.id for g in groups if g.harmful}
    assert ids(kind="benign") == {g.id for g in groups if not g.harmful}
    assert ids(id=groups[3].id) == {groups[3].id}
    text = groups[0].responses[1].text[-30:].upper()
    holding = {g.id for g in groups if any(text in r.text.upper() for r in g.responses)}
    assert ids(search=text) == holding
    assert ids(search="no such words") == set()


def test_lengths_are_those_of_all_groups(folder: Path) -> None:
    groups = read_groups(folder)
    found = {(row.harmful, row.rank): row for row in lengths(open_data_set(folder))}
    assert len(found) == 6 + 3
    for (harmful, rank), row in found.items():
        texts = [r for g in groups if g.harmful == harmful for r in g.responses if r.rank == rank]
        sizes = [len(r.text) for r in texts]
        assert (row.groups, row.least, row.most) == (len(sizes), min(sizes), max(sizes))
        assert row.mean == pytest.approx(sum(sizes) / len(sizes))
        assert row.before_the_cut == pytest.approx(sum(r.cut for r in texts) / len(texts))


def test_rejected_rows_are_drawn_of_each_reason(folder: Path) -> None:
    rows = draw_rejected(open_data_set(folder), 3, 0, None)
    assert [row["why"].split(":")[0] for row in rows] == ["json", "length"]
    assert all(row["where"].startswith(str(folder.parent)) for row in rows)
    assert draw_rejected(open_data_set(folder), 3, 0, "no such words") == []


def test_a_response_is_told_apart_in_what_was_kept_and_the_turn(folder: Path) -> None:
    for group in read_groups(folder):
        kinds = [[part.kind for part in parts_of(group, r)] for r in group.responses]
        begun = ["kept"] if group.opener else []
        if group.harmful:
            assert kinds[0] == [*begun, "turn"]
            assert kinds[1:5] == [["kept", "turn"]] * 4
            assert kinds[5] == [*begun, "harm"]
        else:
            assert kinds == [[*begun, "good"], ["kept", "false"], [*begun, "false"]]
        for response in group.responses:
            assert "".join(p.text for p in parts_of(group, response)) == response.text


def test_inspect_shows_counts_tables_and_groups(folder: Path) -> None:
    shown = done("inspect", folder, "--n", 2, "--rejected", cwd=folder.parent)
    assert "harmful groups" in shown
    assert "rejected: length" in shown
    assert "Characters of the responses" in shown
    assert "1 correction over none" in shown
    assert "not 20 to 600" in " ".join(shown.split())
    assert shown.count("request: ") == 2
    assert shown == done("inspect", folder, "--n", 2, "--rejected", cwd=folder.parent)


def test_one_group_is_shown_alone(folder: Path) -> None:
    group = hostile_group(folder)
    shown = done("inspect", folder, "--group", group.id, cwd=folder.parent)
    assert shown.count("request: ") == 1
    assert "3 SCR, after" in shown
    assert "Characters of" not in shown
    assert "no group as wanted" in fault("inspect", folder, "--group", "none", cwd=folder.parent)


def test_a_terminal_obeys_nothing_in_a_text(folder: Path) -> None:
    screen = StringIO()
    Console(file=screen, width=400, force_terminal=True, color_system=None).print(
        groups_view([hostile_group(folder)])
    )
    shown = screen.getvalue()
    assert "[red]x[/red] ⟨U+001B⟩[31mred⟨U+0007⟩ ⟨U+202E⟩" in shown
    assert "\x1b[31m" not in shown


def test_the_page_escapes_everything_and_runs_its_own_script_alone(
    folder: Path, tmp_path: Path
) -> None:
    done("inspect", folder, "--html", tmp_path / "groups.html", "--rejected", cwd=tmp_path)
    page = (tmp_path / "groups.html").read_text(encoding="utf-8")
    assert page.count("<details") == len(read_groups(folder))
    assert page.count("<script>") == 1
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt; [red]x[/red] ⟨U+001B⟩" in page
    assert "{{7*7}}" in page
    assert "{&#34;request&#34;: &lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|https?:", page)
    assert "default-src 'none'" in page
    # The first group stands open, the filter is there, and the tables of the screen.
    assert (
        page.count('<details class="group harmful" open>')
        + page.count('<details class="group harmless" open>')
        == 1
    )
    assert '<input id="query"' in page
    assert "correction over none" in page


def test_an_audit_says_so(audit: Path, tmp_path: Path) -> None:
    shown = done("inspect", audit, "--no-shortcuts", "--html", tmp_path / "a.html", cwd=tmp_path)
    assert "(an audit)" in " ".join(shown.split())
    assert "<strong>An audit:</strong>" in (tmp_path / "a.html").read_text()


def test_a_folder_that_is_not_finished_is_refused(folder: Path, tmp_path: Path) -> None:
    calls = (
        lambda: inspect_groups(tmp_path),
        lambda: export_pairs(tmp_path, "plain", tmp_path / "o", None),
        lambda: push_data_set(tmp_path, "a/b", private=True),
    )
    run = (folder / "run.json").read_text()
    for recorded, says in (
        (None, "is not a run folder"),
        (run, "is not finished"),
        ('{"kind": "eval"}', "c2 eval"),
    ):
        if recorded is not None:
            (tmp_path / "run.json").write_text(recorded)
        for call in calls:
            with pytest.raises(RunError, match=says):
                call()


def exported(folder: Path, columns: str, out: Path) -> dict[str, list[dict[str, Any]]]:
    done("export", folder, "--columns", columns, "--out", out, cwd=folder.parent)
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in out.glob("*.jsonl")
    }


def written(folder: Path, split: str) -> list[dict[str, Any]]:
    files = sorted(folder.glob(f"data/{split}-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_plain_columns_are_strings_and_all_other_fields(folder: Path, tmp_path: Path) -> None:
    found = exported(folder, "plain", tmp_path / "out")
    assert found.keys() == {"train", "validation"}
    for split, rows in found.items():
        pairs = written(folder, split)
        assert len(rows) == len(pairs) > 0
        for row, pair in zip(rows, pairs, strict=True):
            texts = {name: pair[name][0]["content"] for name in ("prompt", "chosen", "rejected")}
            assert row == pair | texts


def test_llama_factory_columns_are_as_documented(folder: Path, tmp_path: Path) -> None:
    """Its data/README.md, 'Sharegpt Format', 'Preference Dataset'."""
    found = exported(folder, "llama-factory", tmp_path / "out")
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert info["coursecorrect_train"] == {
        "file_name": "train.jsonl",
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
    }
    assert {entry["file_name"] for entry in info.values()} == {"train.jsonl", "validation.jsonl"}
    for row, pair in zip(found["train"], written(folder, "train"), strict=True):
        assert row == {
            "conversations": [{"from": "human", "value": pair["prompt"][0]["content"]}],
            "chosen": {"from": "gpt", "value": pair["chosen"][0]["content"]},
            "rejected": {"from": "gpt", "value": pair["rejected"][0]["content"]},
        }


def test_axolotl_columns_are_as_documented(folder: Path, tmp_path: Path) -> None:
    """Its docs/rlhf.qmd, 'DPO', 'chat_template.default'."""
    found = exported(folder, "axolotl", tmp_path / "out")
    for row, pair in zip(found["train"], written(folder, "train"), strict=True):
        assert row == {
            "messages": [{"role": "user", "content": pair["prompt"][0]["content"]}],
            "chosen": {"role": "assistant", "content": pair["chosen"][0]["content"]},
            "rejected": {"role": "assistant", "content": pair["rejected"][0]["content"]},
        }
    readme = (tmp_path / "out" / "README.md").read_text()
    (snippet,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    config = yaml.safe_load(snippet)
    assert config["rl"] == "dpo"
    for key, split in (("datasets", "train"), ("test_datasets", "validation")):
        assert config[key] == [
            {
                "path": str(tmp_path / "out" / f"{split}.jsonl"),
                "ds_type": "json",
                "split": "train",
                "type": "chat_template.default",
                "field_messages": "messages",
                "field_chosen": "chosen",
                "field_rejected": "rejected",
                "message_property_mappings": {"role": "role", "content": "content"},
                "roles": {"user": ["user"], "assistant": ["assistant"]},
            }
        ]


def test_an_export_is_of_one_split_and_names_its_canary(folder: Path, tmp_path: Path) -> None:
    arguments = ("export", folder, "--columns", "plain", "--split", "validation", "--out", "o")
    pairs = len(written(folder, "validation"))
    assert f"validation: {pairs} pairs" in done(*arguments, cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "README.md",
        "validation.jsonl",
    ]
    recorded = json.loads((folder / "run.json").read_text())
    readme = (tmp_path / "o" / "README.md").read_text()
    assert recorded["canary"] in readme
    assert recorded["benchmark_hash"] in readme


def test_a_data_set_of_one_split_lacks_the_other(audit: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    for name, content in tree_bytes(audit).items():
        if not name.startswith("data/validation"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(content)
    assert "is an audit" in fault("export", copy, "--columns", "plain", "--out", "o", cwd=tmp_path)
    assert not (tmp_path / "o").exists()
    # What the files say counts, if run.json was changed.
    run = copy / "run.json"
    run.write_text(run.read_text().replace('"audit": true', '"audit": false'))
    assert "is an audit" in fault("push", copy, "--to", "me/it", cwd=tmp_path)


class Hub(ThreadingHTTPServer):
    """The few endpoints of the Hub that an upload needs; it takes all files as regular ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.private: bool | None = None
        self.files: dict[str, bytes] = {}
        self.status = 0
        """Given to every request, where it is set."""
        self.commits: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if "/tree/" in self.path:
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                for name, data in self.server.files.items()
            ]
            self.answer(rows)
        else:
            siblings = [{"rfilename": name} for name in self.server.files]
            self.answer(
                {"id": "me/it", "private": self.server.private, "sha": "1" * 40,
                 "siblings": siblings, "tags": [], "downloads": 0, "likes": 0}
            )  # fmt: skip

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if path == "/api/repos/create":
            made = self.server.private is None
            if made:
                asked = json.loads(body)
                self.server.private = asked.get("private", asked.get("visibility") == "private")
            url = f"{self.server.url}/datasets/me/it"
            self.answer({"url": url}, 200 if made else 409)
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self.answer(
                {"files": [
                    {"path": name, "uploadMode": "regular", "shouldIgnore": False}
                    for name in names
                ]}
            )  # fmt: skip
        elif "/commit/" in path:
            self.commit([json.loads(line) for line in body.splitlines()])
        else:
            self.answer({"error": f"no such path: {path}"}, 404)

    def commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del self.server.files[value["path"]]
            else:
                self.server.commits.append(value["summary"])
        url = f"{self.server.url}/datasets/me/it/commit/{'2' * 40}"
        self.answer({"success": True, "commitOid": "2" * 40, "commitUrl": url})

    def answer(self, value: Any, status: int = 200) -> None:
        if self.server.status:
            status, value = self.server.status, {"error": "the Hub's own words"}
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, value = 401, {"error": "Invalid username or password."}
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub()) as found:
        yield found


def online(endpoint: str, tmp_path: Path, token: str = TOKEN) -> dict[str, str]:
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_TOKEN": token,
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
    }


def test_push_uploads_card_pairs_and_groups_alone(folder: Path, hub: Hub, tmp_path: Path) -> None:
    where = online(hub.url, tmp_path)
    before = tree_bytes(folder)
    shown = done("push", folder, "--to", "me/it", cwd=tmp_path, **where)
    assert f"{hub.url}/datasets/me/it" in shown
    assert hub.private is True
    whole = {
        name: content
        for name, content in before.items()
        if name == "README.md"
        or (name.startswith(("data/", "groups/")) and name.endswith(".parquet"))
    }
    assert hub.files == whole
    assert any("pairs by c2 synth" in title for title in hub.commits)
    # Again: shards of an earlier, larger data set go, what is not ours stays.
    hub.files |= {"data/train-00099.parquet": b"old", "LICENSE": b"theirs"}
    done("push", folder, "--to", "me/it", cwd=tmp_path, **where)
    assert hub.files == whole | {"LICENSE": b"theirs"}
    assert tree_bytes(folder) == before


def test_push_does_not_make_public_what_was_to_be_private(
    folder: Path, hub: Hub, tmp_path: Path
) -> None:
    where = online(hub.url, tmp_path)
    hub.private = False
    line = fault("push", folder, "--to", "me/it", cwd=tmp_path, **where)
    assert "me/it is public: give --public" in line
    assert not hub.files
    done("push", folder, "--to", "me/it", "--public", cwd=tmp_path, **where)
    assert "README.md" in hub.files
    hub.private = True
    line = fault("push", folder, "--to", "me/it", "--public", cwd=tmp_path, **where)
    assert "me/it is private" in line


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (0, "no valid login at the Hub: run 'hf auth login', or set HF_TOKEN"),
        (403, "your login may not write to me/it: the Hub's own words"),
        (418, "the Hub refuses me/it with status 418: the Hub's own words"),
    ],
)
def test_push_says_what_the_hub_refuses(
    status: int, says: str, folder: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.status = status
    token = TOKEN if status else "hf_another"
    line = fault("push", folder, "--to", "me/it", cwd=tmp_path, **online(hub.url, tmp_path, token))
    assert says in line
    assert token not in line


def test_push_without_a_network(folder: Path, tmp_path: Path) -> None:
    where = online("http://127.0.0.1:9", tmp_path)
    line = fault("push", folder, "--to", "me/it", cwd=tmp_path, **where)
    assert "cannot reach the Hub at http://127.0.0.1:9: " in line
    line = fault("push", folder, "--to", "a/b/c", cwd=tmp_path, **where)
    assert "--to: " in line
    line = fault("push", folder, "--to", "me/it", cwd=tmp_path, **(where | {"HF_HUB_OFFLINE": "1"}))
    assert "HF_HUB_OFFLINE" in line


def test_the_card_names_a_command_that_a_shell_reads_back() -> None:
    seeds = SeedSettings(columns={"request": "the question", "response": "1"})
    settings = SynthSettings(data="my seeds.jsonl", jsonl=False, seeds=seeds)
    assert shlex.split(command(settings)) == [
        "c2", "synth", "--data", "my seeds.jsonl", "--column", "request=the question",
        "--column", "response=1", "--no-jsonl",
    ]  # fmt: skip


def test_a_column_may_be_called_by_a_number(tmp_path: Path) -> None:
    item = made_up_items(1, "teach")[0]
    write_rows(tmp_path / "seeds.jsonl", [{"q": item["request"], "1": item["response"]}])
    options = ["--column", "request=q", "--column", "response=1", "--no-benign", "--out", "run"]
    arguments = ["synth", "--data", "seeds.jsonl", *options]
    with started(arguments, tmp_path) as process:
        assert process.wait(240) == 0, (tmp_path / "stderr.txt").read_text()
    assert [group.request for group in read_groups(tmp_path / "run")] == [item["request"]]
