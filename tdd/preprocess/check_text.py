"""A check of the data sets as people read it: a table for each, and what is wrong in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tdd.names import SPLITS
from tdd.preprocess.check import DatasetCheck, RootCheck, Trouble, Verdict

SHOWN = 5
"""Lines of each kind that are shown; the JSON holds all."""

VERDICTS = {
    Verdict.COMPLETE: "complete",
    Verdict.INCOMPLETE: "incomplete, but usable",
    Verdict.UNUSABLE: "cannot be used",
}
COLOURS = {Verdict.COMPLETE: "green", Verdict.INCOMPLETE: "yellow", Verdict.UNUSABLE: "red"}


def print_check(check: RootCheck, console: Console) -> None:
    """Print a report: in colour on a terminal, plain elsewhere."""
    if check.synthetic:
        _line(console, f"{check.root} is a synthetic benchmark; it is held against its own synth.json.")
    for dataset in check.datasets:
        _line(console, f"{dataset.dataset}: {VERDICTS[dataset.verdict]}", COLOURS[dataset.verdict])
        if dataset.problem:
            _line(console, f"  {dataset.problem}")
        if dataset.counts:
            console.print(_count_table(dataset, console.is_terminal))
        _troubles(console, "missing", dataset.missing)
        _troubles(console, "unreadable", dataset.unreadable)
        _troubles(console, "unexpected", dataset.unexpected)
        _troubles(console, "not read", dataset.unread)
        _troubles(console, "people in several splits", dataset.overlap)
        for note in dataset.notes:
            _line(console, f"  {note}")
    _troubles(console, "not read", check.unread)
    _line(console, f"{check.root}: {VERDICTS[check.verdict]}", COLOURS[check.verdict])


def _line(console: Console, text: str, style: str = "") -> None:
    # Names of files and methods may hold brackets, which rich would read as markup.
    console.print(text, style=style or None, highlight=False, markup=False)


def _count_table(dataset: DatasetCheck, terminal: bool) -> Table:
    """Methods by splits; a cell is what was found of what is expected."""
    table = Table(box=box.SIMPLE_HEAD if terminal else None, padding=(0, 2))
    splits = [split for split in SPLITS if any(count.split == split for count in dataset.counts)]
    table.add_column("found of expected", no_wrap=True)
    for split in splits:
        table.add_column(split, justify="right", no_wrap=True)
    for method in dict.fromkeys(count.method for count in dataset.counts):
        cells = {c.split: f"{c.found:,} of {c.expected:,}" for c in dataset.counts if c.method == method}
        table.add_row(Text(method), *(cells.get(split, "") for split in splits))
    return table


def _troubles(console: Console, kind: str, troubles: Sequence[Trouble]) -> None:
    if not troubles:
        return
    _line(console, f"  {kind}: {len(troubles):,}")
    for name, reason in troubles[:SHOWN]:
        _line(console, f"    {name}: {reason}")
    if len(troubles) > SHOWN:
        _line(console, f"    and {len(troubles) - SHOWN:,} more (--json FILE lists all)")
