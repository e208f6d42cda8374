"""Figures of a study, from its run records; the contact sheet alone reads videos too."""

from __future__ import annotations

from pathlib import Path

from tdd.files import check_writable
from tdd.plots.contact import draw_contact_sheet
from tdd.plots.curves import draw_roc, draw_ssl_weight
from tdd.plots.table import draw_table
from tdd.plots.training import draw_stage1
from tdd.report import make_report
from tdd.results import load_study

__all__ = ["draw_contact_sheet", "draw_figures", "draw_roc", "draw_ssl_weight", "draw_stage1", "draw_table"]


def draw_figures(study_dir: Path, out: Path | None = None) -> list[Path]:
    """Draw every figure of a study as PNG into ``out`` (default: ``figures`` inside the study folder).

    The contact sheet is left out where the study folder holds no data of its own.

    Returns:
        the files written: ``table``, ``roc``, ``ssl_weight``, ``stage1`` and ``contact_sheet``.

    Raises:
        TddError: ``study.json`` cannot be used, ``out`` cannot be written, or a video cannot be decoded.
    """
    study = load_study(study_dir)
    folder = out or study_dir / "figures"
    check_writable(folder)
    files = [
        draw_table(make_report(study), folder / "table.png"),
        draw_roc(study, folder / "roc.png"),
        draw_ssl_weight(study, folder / "ssl_weight.png"),
        draw_stage1(study, folder / "stage1.png"),
    ]
    if (study_dir / "data").is_dir():
        files.append(draw_contact_sheet(study_dir, folder / "contact_sheet.png", synthetic=study.synthetic))
    return files
