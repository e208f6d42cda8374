"""The command line: ``tdd COMMAND``. Each command is one call of the function that the notebooks call."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import tdd
from tdd.errors import TddError

USER_ERROR = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="tdd", description=tdd.__doc__)
    parser.add_argument("--version", action="version", version=f"tdd {tdd.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="synthetic videos to the paper's seven-row table, end to end")
    demo.add_argument("--size", default="demo", help="tiny (a minute), demo (minutes, default) or full (needs a GPU)")
    demo.add_argument("--out", type=Path, help="folder for everything (default: runs/SIZE)")
    demo.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table, by id (default: all)")
    demo.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one set of runs for each")
    _add_workers(demo)
    demo.set_defaults(run=_demo)

    synth = commands.add_parser("synth", help="write the synthetic benchmark as the data sets' owners ship theirs")
    synth.add_argument("--size", default="demo", help="tiny, demo or full")
    synth.add_argument("--out", type=Path, required=True, help="folder that gets the trees")
    synth.add_argument("--seed", type=int, default=0, help="of everything that is drawn")
    synth.add_argument("--strength", type=float, default=1.0, help="of the forgeries' artefacts; 0 leaves none")
    synth.add_argument("--language", default="en", help="en or ko")
    _add_workers(synth)
    synth.set_defaults(run=_synth)

    prepare = commands.add_parser("prepare", help="data sets in their owners' layouts to a store of aligned clips")
    prepare.add_argument("--root", type=Path, required=True, help="data root (data/README.md)")
    prepare.add_argument("--out", type=Path, required=True, help="folder of the clip store")
    prepare.add_argument("--recipe", default="paper", help="a recipe's name or file; gives the crops' size")
    _add_workers(prepare)
    prepare.set_defaults(run=_prepare)

    train = commands.add_parser("train", help="stage 1, stage 2 and scoring of table rows on a clip store")
    train.add_argument("--store", type=Path, required=True, help="folder of the clip store")
    train.add_argument("--out", type=Path, required=True, help="folder of the study")
    train.add_argument("--recipe", default="paper", help="a recipe's name or file")
    train.add_argument("--rows", nargs="+", metavar="ROW", help="rows of the table, by id (default: all)")
    train.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED", help="one set of runs for each")
    _add_workers(train)
    train.set_defaults(run=_train)

    report = commands.add_parser("report", help="table and figures of a study, from its run records alone")
    report.add_argument("--study", type=Path, required=True, help="folder of the study")
    report.set_defaults(run=_report)
    return parser


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")


def _demo(args: argparse.Namespace, console: Console) -> None:
    from tdd.demo import run_demo

    report = run_demo(args.size, args.out or Path("runs") / args.size, console, args.rows, args.seeds, args.workers)
    console.print(report.to_text(), highlight=False, markup=False)


def _synth(args: argparse.Namespace, console: Console) -> None:
    from tdd.progress import step
    from tdd.synth.trees import write_benchmark

    with step("Synthetic videos", console) as progress:
        write_benchmark(
            args.out, args.size, args.seed,
            strength=args.strength, language=args.language, workers=args.workers, progress=progress,
        )  # fmt: skip


def _prepare(args: argparse.Namespace, console: Console) -> None:
    from tdd.config import load_recipe
    from tdd.preprocess.catalog import count_table
    from tdd.preprocess.prepare import prepare
    from tdd.progress import step

    with step("Aligned faces", console) as progress:
        done = prepare(args.root, args.out, load_recipe(args.recipe).clip, args.workers, progress)
    console.print(count_table(done.store.index).to_string(), highlight=False)
    console.print(
        f"{len(done.store.index)} videos in {args.out}, {done.made} of them made now, {len(done.failed)} left out."
    )
    for row in done.failed.head(5).itertuples():
        console.print(f"  left out: {row.video_id}: {row.reason}", highlight=False, markup=False)


def _train(args: argparse.Namespace, console: Console) -> None:
    from tdd.config import load_recipe
    from tdd.progress import step
    from tdd.study import run_study, select_rows

    rows = select_rows(args.rows)
    with step(f"Training and scoring, {len(rows)} rows", console):
        failures = run_study(args.store, args.out, load_recipe(args.recipe), rows, args.seeds, args.workers)
    if failures:
        raise TddError(" ".join(failures))


def _report(args: argparse.Namespace, console: Console) -> None:
    from tdd.plots import draw_figures
    from tdd.report import write_report

    console.print(write_report(args.study).to_text(), highlight=False, markup=False)
    for path in draw_figures(args.study):
        console.print(path, highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a user's error is one sentence and exit code 2."""
    args = build_parser().parse_args(arguments)
    console = Console(soft_wrap=True)
    try:
        args.run(args, console)
    except TddError as error:
        Console(stderr=True, soft_wrap=True).print(f"tdd: {error}", highlight=False, markup=False, style="red")
        return USER_ERROR
    except KeyboardInterrupt:
        Console(stderr=True).print("Interrupted; the same command goes on from here.")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
