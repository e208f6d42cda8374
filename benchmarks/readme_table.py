"""The numbers of the READMEs' table, written from the table of a recorded study.

    python -m benchmarks.readme_table benchmarks/results/2026-11-26-table

A row of a README's table names its run by its links; the label, in the README's language, stays as it is.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.recorded import read_table
from tdd.errors import TddError
from tdd.records.paper import TEST_SETS
from tdd.report.table import SEEN

ROOT = Path(__file__).resolve().parents[1]
READMES = tuple(ROOT / name for name in ("README.md", "README.ko.md"))
ROW = re.compile(
    r"^\| (?P<label>[^|]+) \|.*\((?P<study>[^()]+)/stage2/(?P<row>[^/()]+)-seed\d+/record\.json\) \|$", re.MULTILINE
)


def table_row(label: str, row: str, study: Path, cells: Mapping[tuple[str, str], Mapping[str, str]]) -> str:
    """One line of a README's table: the paper's two areas, ours with interval, the mean on seen methods, links."""
    printed = [f"{float(area):.2f}" if (area := cells[row, name]["paper_percent"]) else "–" for name in TEST_SETS]
    found = [_area(cells[row, name]) + _limits(cells[row, name]) for name in TEST_SETS]
    runs = [Path(record).name for record in cells[row, TEST_SETS[0]]["records"].split()]
    place = study.resolve().relative_to(ROOT).as_posix()
    links = " ".join(f"[{run.rpartition('-seed')[2]}]({place}/stage2/{run}/record.json)" for run in runs)
    return "| " + " | ".join([label, *printed, *found, _area(cells[row, SEEN]), links]) + " |"


def rewritten(text: str, study: Path) -> str:
    """A README's text with the numbers of ``study`` in its table.

    Raises:
        TddError: the study has no report, or a row of the README lacks a number, its spread or its limits there.
    """
    cells = {(line["row"], line["test_set"]): line for line in read_table(study / "table")}
    for found in ROW.finditer(text):
        for name in (*TEST_SETS, SEEN):
            line = cells.get((found["row"], name), {})
            wanted = ("auc_percent", "sd_percent") if name == SEEN else ("auc_percent", "sd_percent", "low_percent")
            if absent := [column for column in wanted if not line.get(column)]:
                raise TddError(
                    f"{study} has no {', '.join(absent)} of {found['row']} on {name}; a README shows means of several "
                    "seeds: finish the study, and report it again."
                )
    return ROW.sub(lambda found: table_row(found["label"], found["row"], study, cells), text)


def _area(cell: Mapping[str, str]) -> str:
    return f"{float(cell['auc_percent']):.1f} ± {float(cell['sd_percent']):.1f}"


def _limits(cell: Mapping[str, str]) -> str:
    return f" [{float(cell['low_percent']):.1f}, {float(cell['high_percent']):.1f}]"


def main() -> None:
    """Rewrite both READMEs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a summary of the study table")
    study = parser.parse_args().study
    try:
        texts = {path: rewritten(path.read_text(encoding="utf-8"), study) for path in READMES}
    except TddError as error:
        sys.exit(str(error))
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
