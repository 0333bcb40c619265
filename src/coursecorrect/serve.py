"""What every part that asks an OpenAI-compatible server shares: its address, its key, its order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar
from urllib.parse import urlsplit

from coursecorrect.errors import UserError

AHEAD: Final = 32
"""Requests taken on for each connection: one that has to be tried again holds up no others."""

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


def checked_url(url: str | None, who: str, flag: str) -> str:
    """The address as given; a message never repeats what may hold a secret.

    Raises:
        UserError: there is none, it is no address, or it holds a key.
    """
    if url is None:
        raise UserError(f"{who} needs {flag}, such as http://localhost:8000/v1")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"{flag} is no address such as http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError(
            f"{flag} holds more than an address; a key belongs in the environment variable "
            "OPENAI_API_KEY"
        )
    return url.rstrip("/")


def checked_key(key: str | None) -> str | None:
    """The key without white space around it; None where there is none.

    Raises:
        UserError: it holds what no header can.
    """
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UserError("OPENAI_API_KEY holds characters that no key has; set it again")
    return key or None


def in_order(
    answer: Callable[[Asked], Answered],
    requests: Iterable[Asked],
    concurrency: int,
    halt: Callable[[], None],
) -> Generator[Answered]:
    """The answers in the order of the requests, of which ``concurrency`` are under way at once.

    ``answer`` runs in threads. ``halt`` is called at the end, or when the reader gives up: what is
    under way then comes to its end, and nothing new begins.
    """
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="server")
    waiting: deque[Future[Answered]] = deque()
    try:
        for request in requests:
            waiting.append(pool.submit(answer, request))
            if len(waiting) >= AHEAD * concurrency:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # What is under way has to be paid, so it is waited for and kept.
        halt()
        pool.shutdown(wait=True, cancel_futures=True)
