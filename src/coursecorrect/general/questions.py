"""Open questions of two turns in MT-Bench's format: asked, answered greedily, scored by a judge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coursecorrect import store
from coursecorrect.chat import ChatSettings, encode, render_messages
from coursecorrect.errors import DataError
from coursecorrect.judge.scores import Exchange, Score, ScoreJudge
from coursecorrect.models import LoadedModel
from coursecorrect.types import Record

TURNS: Final = 2


class Question(BaseModel):
    """A row of the user's file; fields beyond these are not looked at."""

    model_config = ConfigDict(frozen=True)

    question_id: int | str
    category: str = ""
    turns: tuple[str, str] = Field(min_length=TURNS)
    reference: tuple[str | None, ...] | None = None


class Answer(Record):
    """What a model said in one turn."""

    question: str
    turn: int
    answer: str
    finished: bool


def read_questions(path: Path, limit: int | None) -> list[Question]:
    """The questions of a file.

    Raises:
        DataError: a row has no two turns, or an id stands twice (names file:line).
    """
    found: dict[str, Question] = {}
    for number, row in store.read_jsonl(path):
        try:
            question = Question.model_validate(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{path}:{number}: field {field!r}: {first['msg']}") from error
        if str(question.question_id) in found:
            raise DataError(f"{path}:{number}: question_id {question.question_id!r} stands twice")
        found[str(question.question_id)] = question
    if not found:
        raise DataError(f"{path} holds no questions")
    return [*found.values()][:limit]


def answer_all(
    questions: Sequence[Question],
    model: Callable[[], LoadedModel],
    max_new_tokens: int,
    path: Path,
    notice: store.Notice,
) -> None:
    """Append the answers that ``path`` lacks, a question at a time; if none, no model is loaded."""
    log = store.BlockLog(path, "question", TURNS, notice)
    for question in questions:
        if str(question.question_id) not in log.done:
            rows = _answer(question, model(), max_new_tokens)
            log.append([row.model_dump(mode="json") for row in rows])


def _answer(question: Question, loaded: LoadedModel, max_new_tokens: int) -> Iterator[Answer]:
    said: list[dict[str, str]] = []
    for number, turn in enumerate(question.turns, 1):
        said.append({"role": "user", "content": turn})
        text, finished = _reply(loaded, said, max_new_tokens)
        said.append({"role": "assistant", "content": text})
        yield Answer(
            question=str(question.question_id), turn=number, answer=text, finished=finished
        )


def _reply(
    loaded: LoadedModel, said: Sequence[dict[str, str]], max_new_tokens: int
) -> tuple[str, bool]:
    """The greedy answer, and whether the model ended its turn."""
    import torch

    model, tokenizer = loaded.model, loaded.tokenizer
    ids, _ = encode(tokenizer, render_messages(tokenizer, said, ChatSettings(), new_turn=True))
    prompt = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=tokenizer.eos_token_id,
        )
    new = out[0, len(ids) :].tolist()
    ended = len(new) < max_new_tokens or new[-1] == tokenizer.eos_token_id
    return tokenizer.decode(new, skip_special_tokens=True).strip(), ended


def read_answers(path: Path) -> dict[str, tuple[str, ...]]:
    """The answers of each question, in the order of its turns."""
    found: dict[str, tuple[str, ...]] = {}
    for _, row in store.read_jsonl(path):
        answer = Answer.model_validate(row)
        found[answer.question] = (*found.get(answer.question, ()), answer.answer)
    return found


def exchanges(
    questions: Sequence[Question], answers: dict[str, tuple[str, ...]]
) -> Iterator[Exchange]:
    """What the judge sees, one a turn; it never learns whose answers they are."""
    for question in questions:
        name = str(question.question_id)
        for turn in range(1, TURNS + 1):
            references = question.reference or ()
            yield Exchange(
                id=f"{name}|{turn}",
                questions=question.turns[:turn],
                answers=answers[name][:turn],
                reference=(references[turn - 1] or None) if turn <= len(references) else None,
            )


def score_all(
    asked: Sequence[Exchange], judge: ScoreJudge, path: Path, notice: store.Notice
) -> dict[str, Score]:
    """A score for each exchange; what stands in ``path`` is not asked again."""
    log, lock = store.BlockLog(path, "id", 1, notice), threading.Lock()

    def keep(exchange: Exchange, score: Score) -> None:
        with lock:  # scores arrive in threads
            log.append([{"id": exchange.id, **score.model_dump(mode="json")}])

    judge.score([exchange for exchange in asked if exchange.id not in log.done], keep)
    rows = {row["id"]: row for _, row in store.read_jsonl(path)}
    ordered = [rows[exchange.id] for exchange in asked]
    store.write_jsonl(path, ordered)  # the order of arrival says nothing
    return {row["id"]: Score(score=row["score"], reason=row["reason"]) for row in ordered}


def means(
    questions: Sequence[Question], sides: Sequence[dict[str, Score]]
) -> tuple[list[str], list[list[float]], int]:
    """Ids, mean score of each question on both sides, and how many questions lack a score.

    A question that lacks a score on either side, in either turn, has none on both.
    """
    ids: list[str] = []
    found: list[list[float]] = [[] for _ in sides]
    for question in questions:
        name = str(question.question_id)
        turns = [f"{name}|{turn}" for turn in range(1, TURNS + 1)]
        scores = [[side[turn].score for turn in turns] for side in sides]
        whole = [[score for score in row if score is not None] for row in scores]
        if all(len(row) == TURNS for row in whole):
            ids.append(name)
            for column, row in zip(found, whole, strict=True):
                column.append(sum(row) / TURNS)
    return ids, found, len(questions) - len(ids)
