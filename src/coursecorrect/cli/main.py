"""The command ``c2``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from coursecorrect import store
from coursecorrect.cli import general, people
from coursecorrect.cli import prove as prove_cli
from coursecorrect.cli import synth as synth_cli
from coursecorrect.cli import train as train_cli
from coursecorrect.cli.options import with_settings
from coursecorrect.cli.progress import bar, counting, eval_line, measuring, train_line
from coursecorrect.cli.screen import Out, console, default_folder, errors, notice
from coursecorrect.errors import UserError
from coursecorrect.evaluate import EvalSettings
from coursecorrect.judge import JudgeSettings
from coursecorrect.probe import ProbeSettings

app = typer.Typer(
    help="Measure, teach and prove course-correction of chat models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
judge_app = typer.Typer(help="Judge texts, and see how well a judge agrees with labels.")
app.add_typer(judge_app, name="judge", no_args_is_help=True)
app.add_typer(synth_cli.app, name="synth")


@app.command()
def fetch(
    model: Annotated[str, typer.Argument(help="The embedded model's name.")] = "smollm2",
) -> None:
    """Download the embedded model (90 MB) and convert it, once.

    Example: c2 fetch smollm2
    """
    from coursecorrect import embedded

    if model != embedded.NAME:
        raise UserError(
            f"only {embedded.NAME!r} can be fetched; other models load by folder or Hub id"
        )
    with console.status("fetching and converting (about half a minute)"):
        folder = embedded.fetch()
    console.print(f"{model} is in {folder}", markup=False, soft_wrap=True)


@app.command(name="eval")
@with_settings(EvalSettings)
def eval_command(settings: EvalSettings, out: Out = None) -> None:
    """Measure course-correction (C2-Eval): Corr@k, Corr_mean, false corrections and J.

    Example: c2 eval --model smollm2 --limit 10 --paths 4
    """
    from coursecorrect.report.tables import run_table
    from coursecorrect.workflow import measure

    if settings.protocol == "both":
        _eval_protocols(settings, out)
        return
    folder = out or default_folder("eval", settings.measured, settings)
    with measuring("measuring") as show:
        results = measure(settings, folder, notice=notice, progress=show)
    console.print(run_table(results))
    console.print(f"run folder: {folder}", markup=False, soft_wrap=True)


def _eval_protocols(settings: EvalSettings, out: Path | None) -> None:
    from coursecorrect.report.protocols import protocol_table
    from coursecorrect.workflow import measure_protocols

    folder = out or default_folder("protocols", settings.measured, settings)
    with bar("measuring") as show:
        results = measure_protocols(
            settings,
            folder,
            notice=notice,
            progress=lambda name, p: show(p.done, p.total, f"{name}  {eval_line(p)}"),
        )
    console.print(protocol_table(results))
    console.print(f"run folder: {folder}", markup=False, soft_wrap=True)


@app.command()
@with_settings(JudgeSettings)
def rejudge(
    settings: JudgeSettings,
    run: Annotated[Path, typer.Argument(help="Run folder of 'c2 eval', finished.")],
    judge: Annotated[str, typer.Option(help="Which judge; names joined by + vote.")],
    out: Annotated[
        Path | None, typer.Option(help="Run folder; RUN-JUDGE beside RUN if it is not given.")
    ] = None,
) -> None:
    """Measure the stored paths of a run by another judge; nothing is sampled.

    Example: c2 rejudge runs/mine --judge lexical

    Example: c2 rejudge runs/mine --judge llm --judge-url http://localhost:8000/v1
    --judge-model Qwen/Qwen3-8B
    """
    from coursecorrect.report.tables import run_table
    from coursecorrect.workflow import measure_again

    whole = run.resolve()  # RUN may be a dot
    folder = out or whole.parent / f"{whole.name}-{judge}"
    with measuring("judging") as show:
        results = measure_again(run, folder, judge, settings, progress=show)
    console.print(run_table(results))
    console.print(f"run folder: {folder}", markup=False, soft_wrap=True)


@app.command()
@with_settings(JudgeSettings)
def prefixes(
    settings: JudgeSettings,
    run: Annotated[Path, typer.Argument(help="Run folder of 'c2 eval' with long continuations.")],
    out: Annotated[Path, typer.Option(help="JSONL items out, for --data of 'c2 eval'.")],
    harm_judge: Annotated[
        str, typer.Option(help="Who says that an answer gives the harm: rules, llm or judgezoo.")
    ] = "rules",
) -> None:
    """Take the harmful answers that a model wrote itself as items to measure it on.

    Example: c2 eval --ks 1 --max-new-tokens 160 --out runs/begun

    Example: c2 prefixes runs/begun --out own.jsonl
    """
    from coursecorrect.workflow import write_own_prefixes

    counts = write_own_prefixes(run, out, harm_judge, settings)
    for name, value in counts.items():
        console.print(f"{name}: {value}", markup=False)


@app.command()
def leaderboard(
    models: Annotated[
        str, typer.Argument(help="A YAML file of models, or 'paper' for the paper's ten.")
    ],
    out: Annotated[Path, typer.Option(help="Where the run folders and the table go.")] = Path(
        "runs/leaderboard"
    ),
) -> None:
    """Measure many models on the same text; the same command goes on where it stopped.

    Example: c2 leaderboard models.yaml --out runs/leaderboard
    """
    from coursecorrect.leaderboard import read_entries, run_leaderboard
    from coursecorrect.report.leaderboard import leaderboard_table, write_leaderboard

    entries = read_entries(models)
    table = run_leaderboard(entries, out, measuring=measuring, notice=notice)
    write_leaderboard(table, out)
    console.print(leaderboard_table(table))
    console.print(f"table and plot: {out / 'leaderboard.md'}", markup=False, soft_wrap=True)


@app.command(name="probe")
@with_settings(ProbeSettings)
def probe_command(settings: ProbeSettings, out: Out = None) -> None:
    """Look at the next token along written answers, without sampling: token dynamics.

    Example: c2 probe --model runs/trained/model --against smollm2
    """
    from coursecorrect.report.dynamics import dynamics_table
    from coursecorrect.workflow import look_along

    folder = out or default_folder("probe", settings.model.model, settings)
    with counting("probing") as count:
        results = look_along(settings, folder, notice=notice, progress=count)
    console.print(dynamics_table(results, settings.names))
    console.print(f"plot: {folder / 'probe.png'}", markup=False, soft_wrap=True)


@app.command()
def report(
    before: Annotated[Path, typer.Argument(help="Run folder of 'c2 eval'.")],
    after: Annotated[Path | None, typer.Argument(help="Run folder after training.")] = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML file on one run, or on two side by side.

    Example: c2 report runs/before runs/after --out report.html
    """
    from coursecorrect.report.tables import comparison_table
    from coursecorrect.workflow import compare

    path, comparison = compare(before, after, out)
    if comparison is not None:
        console.print(comparison_table(*comparison))
    console.print(f"report: {path}", markup=False, soft_wrap=True)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the runs and the report go.")] = Path(
        "runs/demo"
    ),
) -> None:
    """The whole loop on the embedded model: measure, synthesise, train, measure again, report.

    It takes a part of the built-in items, so that it ends in less than half an hour on two cores.

    Example: c2 demo
    """
    from coursecorrect.demo import Screen, run_demo
    from coursecorrect.report.tables import run_table

    def show_results(title: str, results: dict[str, Any]) -> None:
        console.print(f"\n[bold]{title}[/bold]")
        console.print(run_table(results))

    @contextmanager
    def training(title: str) -> Iterator[Callable[..., None]]:
        with bar(title) as show:
            yield lambda stage, done, total, log: show(done, total, train_line(stage, log))

    path = run_demo(out, Screen(measuring, counting, training, show_results, notice))
    console.print(f"report: {path}", markup=False, soft_wrap=True)


@judge_app.command("run")
@with_settings(JudgeSettings)
def judge_run(
    settings: JudgeSettings,
    texts: Annotated[Path, typer.Argument(help="JSONL rows: id, request, prefill, continuation.")],
    out: Annotated[Path, typer.Option(help="JSONL rows out: id, verdict, reason.")],
    judge: Annotated[str, typer.Option(help="Which judge; names joined by + vote.")] = "rules",
) -> None:
    """Judge any texts.

    Example: c2 judge run texts.jsonl --judge rules --out verdicts.jsonl

    Example: c2 judge run texts.jsonl --judge llm --judge-url http://localhost:8000/v1
    --judge-model Qwen/Qwen3-8B --out verdicts.jsonl
    """
    from coursecorrect.workflow import judge_file

    counts = judge_file(texts, judge, out, settings)
    console.print(" · ".join(f"{k}: {v}" for k, v in counts.items()), markup=False)


@judge_app.command("harm")
@with_settings(JudgeSettings)
def judge_harm(
    settings: JudgeSettings,
    answers: Annotated[Path, typer.Argument(help="JSONL rows: id, request (harmful), answer.")],
    out: Annotated[Path, typer.Option(help="JSONL rows out: id, harmful, reason.")],
    judge: Annotated[str, typer.Option(help="Which harm judge: rules, llm, judgezoo.")] = "rules",
) -> None:
    """Does an answer give the harm that was asked for?

    Example: c2 judge harm answers.jsonl --out harm.jsonl
    """
    from coursecorrect.workflow import judge_harm_file

    counts = judge_harm_file(answers, judge, out, settings)
    console.print(" · ".join(f"{k}: {v}" for k, v in counts.items()), markup=False)


@judge_app.command("check")
@with_settings(JudgeSettings)
def judge_check(
    settings: JudgeSettings,
    judge: Annotated[str, typer.Option(help="Which judge; names joined by + vote.")] = "rules",
    part: Annotated[str, typer.Option(help="Which built-in labels: dev or locked.")] = "dev",
    labels: Annotated[
        Path | None, typer.Option(help="Your own labels instead: a CSV or JSONL file.")
    ] = None,
) -> None:
    """Agreement of a judge with labels: kappa, precision and recall, by class and by source.

    Example: c2 judge check --judge rules --part dev
    """
    from coursecorrect.annotate import check_built_in, check_labels
    from coursecorrect.report.statistics import check_table

    if labels is None:
        console.print(check_table(judge, part, check_built_in(judge, part, settings)))
    else:
        console.print(check_table(judge, labels.name, check_labels(judge, labels, settings)))


judge_app.command("sample")(people.sample)
judge_app.command("label")(people.label)
judge_app.command("agree")(people.agree)
app.command("train")(train_cli.train)
app.command("recipes")(train_cli.recipes)
app.command("prove")(prove_cli.prove)
app.command("calibrate")(people.calibrate)
app.command("plan")(people.plan)
app.command("general")(general.general)


def main() -> None:
    """Entry point: a foreseeable fault is one line on stderr and exit status 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _quiet_libraries()
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        fail(str(error))
    except TyperException as error:
        if message := error.format_message():
            fail(f"{message} (see --help)")
        sys.exit(2)  # the help stands on the screen already
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        fail(str(store.disk_error(Path(error.filename or "a file"), error)))
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted; the same command goes on", status=130)


def fail(message: str, status: int = 2) -> None:
    """Print one line and leave."""
    errors.print(
        f"c2: {' '.join(message.split())}",
        style="red",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    sys.exit(status)


def _quiet_libraries() -> None:
    """Keep the progress bars and advice of libraries off the screen; our own bar is there."""
    import logging
    import warnings

    quiet: dict[str, Any] = {
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TQDM_DISABLE": "1",
        "DATASETS_VERBOSITY": "error",
    }
    for key, value in quiet.items():
        os.environ.setdefault(key, value)
    for name in ("transformers", "trl", "peft", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings(
        "ignore", category=UserWarning, module=r"(torch|transformers|trl|peft)\b"
    )
