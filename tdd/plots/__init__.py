"""Figures of a study, from its run records; the contact sheet and the attention maps alone read videos too."""

from __future__ import annotations

from pathlib import Path

from tdd.data.store import INDEX, ClipStore
from tdd.machine.files import check_writable
from tdd.plots.attention import attentive_run, draw_attention
from tdd.plots.contact import draw_contact_sheet
from tdd.plots.curves import draw_learning_curve, draw_roc, draw_ssl_weight
from tdd.plots.rows import draw_differences, draw_methods, draw_scores
from tdd.plots.table import draw_table
from tdd.plots.training import draw_stage1, draw_stage2
from tdd.records.results import compared_with, load_study, made_with
from tdd.report.report import Report
from tdd.report.write import make_report

__all__ = [
    "draw_attention",
    "draw_contact_sheet",
    "draw_differences",
    "draw_figures",
    "draw_learning_curve",
    "draw_methods",
    "draw_roc",
    "draw_scores",
    "draw_ssl_weight",
    "draw_stage1",
    "draw_stage2",
    "draw_table",
]

_SWEEPS = {
    "table": ("ssl_weight", draw_ssl_weight),
    "ssl-weight": ("ssl_weight", draw_ssl_weight),
    "ablation": ("learning_curve", draw_learning_curve),
}
"""The figure of what a study varies, by its name."""


def draw_figures(
    study_dir: Path,
    out: Path | None = None,
    store: Path | None = None,
    reference: str | None = None,
    report: Report | None = None,
) -> list[Path]:
    """Draw every figure of a study as PNG into ``out`` (default: ``figures`` inside the study folder, with
    a ``reference`` ``figures-vs-ROW``).

    The contact sheet is left out where the study folder holds no data of its own, the attention maps where there are no
    weights beside the records or no clips.

    Args:
        study_dir: folder of the study.
        out: folder of the figures.
        store: folder of the clip store for the attention maps (default: ``store`` inside the study folder).
        reference: id of the row that all others are compared with, in place of the study's own comparisons.
        report: of this study with this ``reference``, where it was made already; its tests are not computed again.

    Returns:
        the files written: ``table``, ``differences``, ``roc``, ``methods``, ``scores``, ``ssl_weight`` or
        ``learning_curve`` where the study varies them, ``stage1``, ``stage2``, ``attention`` and ``contact_sheet``.

    Raises:
        TddError: ``study.json`` cannot be used, ``out`` cannot be written, or a video cannot be decoded.
    """
    if report is None:
        study = load_study(study_dir)
        report = make_report(compared_with(study, reference) if reference else study)
    study = report.study
    folder, clips = out or study_dir / made_with("figures", reference), store or study_dir / "store"
    check_writable(folder)
    files = [
        draw_table(report, folder / "table.png"),
        draw_differences(study, folder / "differences.png"),
        draw_roc(study, folder / "roc.png"),
        draw_methods(study, folder / "methods.png"),
        draw_scores(study, folder / "scores.png"),
        draw_stage1(study, folder / "stage1.png"),
        draw_stage2(study, folder / "stage2.png"),
    ]
    if study.name in _SWEEPS:
        name, draw = _SWEEPS[study.name]
        files.append(draw(study, folder / f"{name}.png"))
    run = attentive_run(study)
    # A store that was named is opened in any case: its absence is an error, and no reason to leave a figure out.
    if run and (store or (clips / INDEX).is_file()):
        files.append(draw_attention(study, run, ClipStore(clips), folder / "attention.png"))
    if (study_dir / "data").is_dir():
        files.append(draw_contact_sheet(study_dir, folder / "contact_sheet.png", synthetic=study.synthetic))
    return files
