"""Judges and correctors are found by name, built in or as entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from coursecorrect import registry
from coursecorrect.correct import get_corrector
from coursecorrect.errors import UserError
from coursecorrect.judge import get_judge


def announce(monkeypatch: pytest.MonkeyPatch, kind: str, name: str, value: str) -> None:
    point = EntryPoint(name=name, value=value, group=f"coursecorrect.{kind}s")
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [point] if group == point.group else []
    )


@pytest.mark.parametrize("name", ["rules", "lexical"])
def test_judges_are_found_by_name(name: str) -> None:
    judge = get_judge(name)
    assert judge.name == name
    assert judge.digest == get_judge(name).digest


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(UserError, match="no judge is called 'rule'; did you mean 'rules'"):
        get_judge("rule")
    with pytest.raises(UserError, match="known: hf, openai, template, vllm"):
        get_corrector("zzz")


def test_options_that_do_not_fit_are_named() -> None:
    with pytest.raises(UserError, match="does not take these options"):
        get_corrector("template", colour="red")


def test_an_entry_point_adds_a_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "judge", "mine", "coursecorrect.judge.rules:RulesJudge")
    assert get_judge("mine").judge([]) == []


def test_a_name_taken_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "corrector", "template", "elsewhere:Other")
    with pytest.raises(UserError, match="two correctors are called 'template'"):
        get_corrector("template")


def test_the_import_error_of_a_plug_in_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    announce(monkeypatch, "judge", "broken", "package_that_is_not_there:Judge")
    with pytest.raises(ModuleNotFoundError, match="package_that_is_not_there"):
        get_judge("broken")
