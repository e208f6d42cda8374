"""The areas that `make demo` shows beside its own, written from the recorded study.

python -m benchmarks.recorded benchmarks/results/2026-11-27-study/table
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

from tdd.records import recorded

NAMES = ("row", "test_set", "auc_percent", "low_percent", "high_percent", "seeds")
TARGET = Path(recorded.__file__).with_name(recorded.FILE)


def recorded_csv(study: Path) -> str:
    """The columns of a study's ``report/table.csv`` that are kept, for every cell with a number."""
    with (study / "report" / "table.csv").open(encoding="utf-8", newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["auc_percent"]]
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def main() -> None:
    """Write the file into the package."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of the study table, with its report")
    TARGET.write_text(recorded_csv(parser.parse_args().study), encoding="utf-8")


if __name__ == "__main__":
    main()
