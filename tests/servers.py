"""Small OpenAI-compatible servers on a real socket, for the parts that ask one."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from coursecorrect.types import settings_hash

KEY = "sk-test-0123456789"

Running = TypeVar("Running", bound=ThreadingHTTPServer)
Schedule = Callable[[str, int], str | None]


def never(_request: str, _attempt: int) -> str | None:
    return None


class Local(ThreadingHTTPServer):
    daemon_threads = True

    @property
    def url(self) -> str:
        """What a client is given as base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class Server(Local):
    """Answers completions; ``schedule`` names the fault of a request's n-th attempt, if any."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.schedule: Schedule = never
        self.model: Callable[[dict[str, Any]], tuple[str, str]] | None = None
        """Text and finish reason of a greedy request, where a model is served."""
        self.attempts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.ledger: Counter[str] = Counter()
        """Whole answers given, by request: what has to be paid."""
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.extra_prompt_tokens = 0
        self.finish_reason = "length"
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def shutdown(self) -> None:
        self.closing.set()
        super().shutdown()

    def fault_of(self, request: str, body: dict[str, Any]) -> str | None:
        with self.lock:
            self.attempts[request] += 1
            fault = self.schedule(request, self.attempts[request])
            self.faults[fault or "none"] += 1
            self.bodies.append(body)
        return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = settings_hash(body)
        fault = self.server.fault_of(request, body)
        self.server.keys.add(self.headers.get("Authorization"))
        whole = json.dumps(answer_to(body, self.server)).encode()
        if self.path != "/v1/completions":
            self.reply(404, b'{"error": {"message": "no such path"}}')
        elif fault is None:
            with self.server.lock:
                self.server.ledger[request] += 1
            self.reply(200, whole)
        elif fault == "drip":
            self.drip()
        elif fault == "429":
            self.reply(429, b"{}", {"Retry-After": "0"})
        elif fault.isdigit():
            said = f"status {fault}, your key {KEY} was seen"
            self.reply(int(fault), json.dumps({"error": {"message": said}}).encode())
        elif fault == "truncated":
            self.reply(200, whole[: len(whole) // 2])
        elif fault == "torn":
            self.reply(200, whole[:20], {"Content-Length": str(len(whole))})
            self.close_connection = True
        elif fault == "type":
            self.reply(200, whole, {"Content-Type": "text/html"})
        else:
            choices = {"empty": 0, "short": body["n"] - 1}[fault]
            kept = json.loads(whole) | {"choices": json.loads(whole)["choices"][:choices]}
            self.reply(200, json.dumps(kept).encode())

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        usual = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        self.send_response(status)
        for name, value in (usual | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def drip(self) -> None:
        """A space now and then, which never breaks the silence limit of a single read."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            while not self.server.closing.wait(0.02):
                self.wfile.write(b" ")


def answer_to(body: dict[str, Any], server: Server) -> dict[str, Any]:
    if server.model:
        text, reason = server.model(body)
        return {"choices": [{"index": 0, "text": text, "finish_reason": reason}]}
    return {
        "choices": [
            {
                "index": i,
                "text": text_of(body["seed"], i),
                "finish_reason": "stop" if i == 0 else server.finish_reason,
            }
            for i in reversed(range(body["n"]))
        ],
        "usage": {
            "prompt_tokens": len(body["prompt"]) + server.extra_prompt_tokens,
            "completion_tokens": 8 * body["n"],
        },
    }


def text_of(seed: int, index: int) -> str:
    return f" and then {seed} loaves, path {index}."


Mutate = Callable[[dict[str, Any], dict[str, Any]], tuple[int, dict[str, Any]]]


class ChatServer(Local):
    """Renders with the model's template; ``mutate`` may spoil the answer to a body."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(("127.0.0.1", 0), _ChatHandler)
        self.tokenizer = tokenizer
        self.mutate: Mutate = lambda _, answer: (200, answer)
        self.rendered: list[tuple[dict[str, Any], str]] = []

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        text = self.tokenizer.apply_chat_template(
            body["messages"],
            tokenize=False,
            add_generation_prompt=body.get("add_generation_prompt", True),
            continue_final_message=body.get("continue_final_message", False),
        )
        self.rendered.append((body, text))
        count = len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        message = {"role": "assistant", "content": " and then leave. But no, I won't."}
        return {
            "choices": [
                {"index": i, "message": message, "finish_reason": "stop"}
                for i in range(body.get("n", 1))
            ],
            "usage": {"prompt_tokens": count, "completion_tokens": 9},
        }


class _ChatHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ChatServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/chat/completions"
        status, answer = self.server.mutate(body, self.server.answer(body))
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def running(server: Running) -> Iterator[Running]:
    """The server answers while the block runs."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
