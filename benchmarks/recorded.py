"""The areas that `make demo` shows beside its own, written from the recorded study.

python -m benchmarks.recorded benchmarks/results/2026-11-27-study/table
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path

from tdd.errors import TddError
from tdd.records import recorded

NAMES = ("row", "test_set", "auc_percent", "low_percent", "high_percent", "seeds")
TARGET = Path(recorded.__file__).with_name(recorded.FILE)


def read_table(study: Path) -> list[dict[str, str]]:
    """The lines of a study's ``report/table.csv``.

    Raises:
        TddError: there is none, or it lacks a column that is kept.
    """
    path = study / "report" / "table.csv"
    if not path.is_file():
        raise TddError(f"{path} is not there; make it with `tdd report {study.parent}`.")
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    if absent := [name for name in NAMES if not lines or name not in lines[0]]:
        raise TddError(f"{path} lacks {', '.join(absent)}; make it again with `tdd report {study.parent}`.")
    return lines


def recorded_csv(study: Path) -> str:
    """The columns of a study's ``report/table.csv`` that are kept, for every cell with a number.

    Raises:
        TddError: as :func:`read_table`.
    """
    lines = [line for line in read_table(study) if line["auc_percent"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def main() -> None:
    """Write the file into the package."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of the study table, with its report")
    try:
        TARGET.write_text(recorded_csv(parser.parse_args().study), encoding="utf-8")
    except TddError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
