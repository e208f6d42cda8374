"""A report's table in the forms that others read: markdown, LaTeX, and a table of plain numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from tdd.records import paper
from tdd.records.results import SYNTHETIC_SENTENCE, TEST_SETS
from tdd.report.report import Report, cell_text
from tdd.report.table import COLUMNS, SEEN, Cell, Difference, ResultRow, compared_on

_NAMES = {SEEN: "seen methods, mean"}


def to_markdown(report: Report, base: Path) -> str:
    """Results, differences and published numbers as markdown tables, best in bold, second best in italics.

    Args:
        report: of a study.
        base: folder that links to the records are relative to.
    """
    published = [f"paper, {name}" for name in paper.TEST_SETS] if report.beside_paper else []
    names = ["row", *published, *(_NAMES.get(name, name) for name in COLUMNS), "records"]
    lines = {row.id: _markdown_row(report, i, base) for i, row in enumerate(report.rows)}
    title = f"# {report.study.title[0].upper()}{report.study.title[1:]}"
    said = [title, "", f"Video-level AUC in percent, recipe `{report.study.recipe}`", ""]
    said += [*_table(names, [lines[row.id] for row in report.rows if not row.control]), ""]
    controls = [lines[row.id] for row in report.rows if row.control]
    if controls:
        said += ["Controls, which the paper does not have:", "", *_table(names, controls), ""]
    if report.others:
        texts = [[row.label, *map(_cell_text(row), report.others)] for row in report.rows if row.cells]
        said += ["Methods that are not of the paper's table:", "", *_table(["row", *report.others], texts), ""]
    compared = compared_on(report.study)
    shown = [_NAMES.get(name, name) for name in compared]
    if report.contrasts:
        said += ["Differences in points, with 95% interval and corrected p-value:", ""]
        texts = [
            [pair.label, *(pair.differences[n].text() if n in pair.differences else "–" for n in compared)]
            for pair in report.contrasts
        ]
        said += [*_table(["difference", *shown], texts), ""]
    paired = [row for row in report.rows if any(cell.own_real is not None for cell in row.cells.values())]
    if paired:
        said += ["How often a fake scores above the very real that it was made from, % (AUC holds targets apart too):"]
        shares = [[row.label, *(_own_text(row.cells.get(name)) for name in compared)] for row in paired]
        said += ["", *_table(["row", *shown], shares), ""]
    said += [f"- {sentence}" for sentence in report.sentences()]
    return "\n".join([*said, "", *(_published_table() if report.study.name == "table" else [])])


def _cell_text(row: ResultRow) -> Callable[[str], str]:
    return lambda name: row.cells[name].text() if name in row.cells else "–"


def _own_text(cell: Cell | None) -> str:
    return "–" if cell is None or cell.own_real is None else f"{cell.own_real:.1f}"


def _table(names: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Markdown lines; the first column and one of records to the left, the rest to the right."""
    sides = ["---" if i == 0 or name == "records" else "---:" for i, name in enumerate(names)]
    return ["| " + " | ".join(cells) + " |" for cells in (names, sides, *rows)]


def _markdown_row(report: Report, index: int, base: Path) -> list[str]:
    row = report.rows[index]
    cells = [row.label, *(_paper_texts(row) if report.beside_paper else [])]
    for name in COLUMNS:
        cell = row.cells.get(name)
        # The text of a cell with one seed holds its limits already.
        text = cell_text(row, name) + (cell.limits() if cell and cell.sd is not None else "")
        place = report.rank(name)[index]
        cells.append(f"**{text}**" if place == 1 else f"*{text}*" if place == 2 else text)
    folder = Path(os.path.relpath(report.study.folder, base))  # Path.relative_to climbs to no parent before 3.12
    links = [
        f"[{path.rsplit('/', 1)[-1]}]({Path(os.path.normpath(folder / path / 'record.json')).as_posix()})"
        for path in row.paths
    ]
    return [*cells, "<br>".join(links)]


def _paper_texts(row: ResultRow) -> list[str]:
    return [f"{row.paper[name]:.2f}" if name in row.paper else "–" for name in paper.TEST_SETS]


def _published_table() -> list[str]:
    """Other systems' numbers, as their papers report them."""
    texts = [
        [known.system, *(f"{known.auc[n]:.1f}" if n in known.auc else "–" for n in paper.PUBLISHED_SETS), known.source]
        for known in paper.PUBLISHED
    ]
    # Called records until _table has set the column to the left.
    names = ["system", *paper.PUBLISHED_SETS, "records"]
    table = _table(names, texts)
    head = table[0].replace("records", "source")
    return [
        "Published video-level AUC in percent of detectors trained on FaceForensics++ (real data; training data and "
        "protocols differ in part):", "", head, *table[1:], "",
    ]  # fmt: skip


def to_frame(report: Report) -> pd.DataFrame:
    """One line per row and test set, in percent; what ``table.csv`` holds."""
    lines = []
    for row in report.rows:
        for name in (*TEST_SETS, SEEN, *report.others):
            cell, difference = row.cells.get(name), row.differences.get(name)
            reals, fakes = report.counts.get(name, (0, 0))
            listed = report.listed.get(name, (None, None))
            lines.append({
                "row": row.id,
                "label": row.label,
                "test_set": name,
                "paper_percent": row.paper.get(name),
                "auc_percent": _points(cell, "value"),
                "low_percent": _points(cell, "low"),
                "high_percent": _points(cell, "high"),
                "sd_percent": _points(cell, "sd"),
                "own_real_percent": _points(cell, "own_real"),
                "targets": cell.targets if cell else None,
                "seeds": cell.seeds if cell else 0,
                "per_seed_percent": " ".join(f"{value:.3f}" for value in cell.per_seed) if cell else "",
                "which_seeds": " ".join(map(str, cell.which)) if cell else "",
                "reference": report.study.reference if difference else "",
                "difference_points": _points(difference, "value"),
                "difference_low": _points(difference, "low"),
                "difference_high": _points(difference, "high"),
                "p_value": difference and difference.p_value,
                "p_holm": difference and difference.p_holm,
                "reals": reals,
                "fakes": fakes,
                **({"reals_listed": listed[0], "fakes_listed": listed[1]} if report.listed else {}),
                "state": row.state or ("" if cell else "no test videos"),
                "records": " ".join(row.paths),
                "synthetic": report.study.synthetic,
            })  # fmt: skip
    return pd.DataFrame(lines)


def contrasts_frame(report: Report) -> pd.DataFrame:
    """One line per comparison and column, in points; what ``contrasts.csv`` holds."""
    lines = [
        {
            "first": pair.first, "second": pair.second, "test_set": name, "difference_points": _points(found, "value"),
            "difference_low": _points(found, "low"), "difference_high": _points(found, "high"),
            "p_value": found.p_value, "p_holm": found.p_holm, "seeds": found.seeds, "untested": found.untested,
            "mixed": ", ".join(found.mixed), "family": report.study.family,
        }
        for pair in report.contrasts
        for name, found in pair.differences.items()
    ]  # fmt: skip
    names = ("first", "second", "test_set", "difference_points", "difference_low", "difference_high", "p_value")
    return pd.DataFrame(lines, columns=[*names, "p_holm", "seeds", "untested", "mixed", "family"])


def _points(found: Cell | Difference | None, name: str) -> float | None:
    value = getattr(found, name, None)
    return None if value is None else round(value, 3)


def to_latex(report: Report) -> str:
    """The table for a paper (booktabs): best in bold, second best underlined; what must be said is its caption."""
    sets = [*(paper.TEST_SETS if report.beside_paper else ()), *COLUMNS]
    groups = rf"\multicolumn{{{len(COLUMNS)}}}{{c}}{{this study}}" + r" \\"
    if report.beside_paper:
        groups = rf"\multicolumn{{{len(paper.TEST_SETS)}}}{{c}}{{paper}} & " + groups
    body = [_latex_row(report, i) for i, row in enumerate(report.rows) if not row.control]
    controls = [_latex_row(report, i) for i, row in enumerate(report.rows) if row.control]
    several = len(report.study.seeds) > 1
    caption = (
        f"Mean ± standard deviation over {report.seeds}." if several else "In brackets: 95% over videos, one seed."
    )
    caption += f" {SYNTHETIC_SENTENCE}" if report.study.synthetic else ""
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}", r"\centering",
        rf"\begin{{tabular}}{{l{'r' * len(sets)}}}", r"\toprule", f"& {groups}",
        "Video-level AUC, \\% & " + " & ".join(_latex(_NAMES.get(name, name)) for name in sets) + r" \\",
        r"\midrule", *body, *([r"\midrule", *controls] if controls else []), r"\bottomrule", r"\end{tabular}",
        rf"\caption{{{_latex(report.study.title[0].upper() + report.study.title[1:])}. {_signed(caption)}}}",
        r"\end{table}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _latex_row(report: Report, index: int) -> str:
    row = report.rows[index]
    cells = [_latex(row.label), *(_paper_texts(row) if report.beside_paper else [])]
    for name in COLUMNS:
        text, place = _signed(cell_text(row, name)), report.rank(name)[index]
        cells.append(rf"\textbf{{{text}}}" if place == 1 else rf"\underline{{{text}}}" if place == 2 else text)
    return " & ".join(cells).replace("–", "--") + r" \\"


_LATEX_SIGNS = {sign: f"\\{sign}" for sign in "%_&#${}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$",
}  # fmt: skip


def _signed(text: str) -> str:
    """Plain text escaped, with its ±."""
    # The sign comes after the escaping, which would spoil its dollars.
    return _latex(text).replace("±", r"$\pm$")


def _latex(text: str) -> str:
    """Plain text with LaTeX's own signs escaped."""
    return "".join(_LATEX_SIGNS.get(sign, sign) for sign in text)
