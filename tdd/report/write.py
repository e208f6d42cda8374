"""From a study's folder to its report: the table computed, and written as markdown, CSV and LaTeX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tdd.machine.files import check_writable, write_atomically
from tdd.records.results import (
    TEST_SETS,
    Study,
    compared_with,
    listed_in,
    load_study,
    made_with,
    other_sets,
    seen_methods,
)
from tdd.report.formats import contrasts_frame, to_frame, to_latex, to_markdown
from tdd.report.report import Report
from tdd.report.table import SEEN, class_counts, contrasts, result_rows


def make_report(study: Study) -> Report:
    """Compute the table of a loaded study."""
    columns = (*TEST_SETS, *other_sets(study), SEEN)
    counts = {name: counts for name in columns if (counts := class_counts(study, name))}
    return Report(study, result_rows(study), counts, contrasts(study), _listed(study), others=other_sets(study))


def _listed(study: Study) -> dict[str, tuple[int, int]]:
    """Real and fake test videos on the data sets' lists, by column, as the first run that knows them has it."""
    known = [run for run in study.runs if run.record.get("listed") and not run.problem]
    names = (*TEST_SETS, *other_sets(study))
    found = {name: counts for name in names for run in reversed(known) if (counts := listed_in(run, name))}
    seen = [found[name] for name in (seen_methods(known[0]) if known else ()) if name in found]
    return found | ({SEEN: (seen[0][0], sum(fakes for _, fakes in seen))} if seen else {})


def write_report(study_dir: Path, out: Path | None = None, reference: str | None = None) -> Report:
    """Write ``table.md``, ``table.csv``, ``table.tex`` and ``contrasts.csv`` of a study.

    Reads ``study.json``, the records and the scores that it names; no checkpoint and no video.

    Args:
        study_dir: folder of the study.
        out: folder that gets them; ``None``: ``report`` inside the study's, ``report-vs-ROW`` with a ``reference``.
        reference: id of the row that all others are compared with, in place of the study's own comparisons.

    Raises:
        TddError: ``study.json`` cannot be used (see :mod:`tdd.records.results`), ``out`` cannot be written, or the
            study has no such row.
    """
    study = load_study(study_dir)
    report = make_report(compared_with(study, reference) if reference else study)
    folder = out or study_dir / made_with("report", reference)
    check_writable(folder)
    written = {
        "table.md": to_markdown(report, folder),
        "table.csv": to_frame(report).to_csv(index=False),
        "table.tex": to_latex(report),
        "contrasts.csv": contrasts_frame(report).to_csv(index=False),
    }
    for name, text in written.items():
        write_atomically(folder / name, text.encode())
    return replace(report, files=tuple(folder / name for name in written))
