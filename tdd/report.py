"""The result table of a study, from run records alone: for the terminal, as markdown and as CSV."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tdd import paper
from tdd.files import check_writable, write_atomically
from tdd.metrics import newcombe_interval
from tdd.names import SEEN_METHODS
from tdd.results import (
    SYNTHETIC_SENTENCE,
    TEST_SETS,
    Row,
    Study,
    load_study,
    on_test_set,
    ranking,
    result_rows,
)

WIDTH = 118
"""Columns of the terminal table."""


@dataclass(frozen=True)
class Report:
    """A study's table, ready to print; ``files`` are the ones that :func:`write_report` wrote."""

    study: Study
    rows: tuple[Row, ...]
    counts: dict[str, tuple[int, int]]
    files: tuple[Path, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every row of the paper's table has numbers on both of its test sets."""
        return all(name in row.cells for row in self.rows if row.in_paper for name in paper.TEST_SETS)

    def to_text(self) -> str:
        """Plain columns, at most ``WIDTH`` characters wide, followed by what a reader must know about the numbers."""
        head = ["AUC, %", *("paper" for _ in paper.TEST_SETS), *paper.TEST_SETS, "seen", "record in stage2/"]
        under = ["", "FaceSh.", "Celeb", *(self._counted(name) for name in paper.TEST_SETS), "mean", ""]
        body = [self._cells(row) for row in self.rows]
        widths = [max(len(line[i]) for line in [head, under, *body]) for i in range(len(head))]
        widths[-1] = max(8, WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1))

        def line(cells: list[str]) -> str:
            texts = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:-1], widths[1:-1], strict=True))]
            return "  ".join([*texts, _shorten(cells[-1], widths[-1])]).rstrip()

        rule = "─" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1))
        lines = [line(head), line(under), rule]
        lines += [line(cells) for cells, row in zip(body, self.rows, strict=True) if row.in_paper]
        lines += [rule, *(line(cells) for cells, row in zip(body, self.rows, strict=True) if not row.in_paper), ""]
        for sentence in self.sentences():
            lines += textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
        return "\n".join(lines)

    def to_markdown(self, base: Path) -> str:
        """The table as markdown, links relative to ``base``; best in bold, second best in italics."""
        published = [f"paper, {name}" for name in paper.TEST_SETS]
        names = ["row", *published, *paper.TEST_SETS, "seen methods, mean", "record"]
        head = ["| " + " | ".join(names) + " |", "|" + "---|" + "---:|" * (len(names) - 2) + "---|"]
        lines = [*head, *(self._markdown_row(i, base) for i, row in enumerate(self.rows) if row.in_paper), ""]
        controls = [self._markdown_row(i, base) for i, row in enumerate(self.rows) if not row.in_paper]
        if controls:
            lines += ["Controls, which the paper does not have:", "", *head, *controls, ""]
        title = f"Video-level AUC in percent, recipe `{self.study.recipe}`"
        return "\n".join([title, "", *lines, *(f"- {sentence}" for sentence in self.sentences()), ""])

    def to_frame(self) -> pd.DataFrame:
        """One line per row and test set, in percent; what ``table.csv`` holds."""
        lines = []
        for row in self.rows:
            for name in (*TEST_SETS, "seen"):
                cell, (reals, fakes) = row.cells.get(name), self.counts.get(name, (0, 0))
                lines.append(
                    {
                        "row": row.id,
                        "test_set": name,
                        "paper_percent": row.paper.get(name),
                        "auc_percent": cell and round(cell.value, 3),
                        "low_percent": cell and cell.low and round(cell.low, 3),
                        "high_percent": cell and cell.high and round(cell.high, 3),
                        "sd_percent": cell and cell.sd and round(cell.sd, 3),
                        "seeds": cell.seeds if cell else 0,
                        "reals": reals,
                        "fakes": fakes,
                        "state": row.state or ("" if cell else "no test videos"),
                        "records": " ".join(row.paths),
                        "synthetic": self.study.synthetic,
                    }
                )
        return pd.DataFrame(lines)

    def sentences(self) -> list[str]:
        """What must be said with the numbers: where they come from, what the limits mean, what is missing, checks."""
        said = [SYNTHETIC_SENTENCE] if self.study.synthetic else []
        if len(self.study.seeds) > 1:
            said.append(f"Mean ± standard deviation over {len(self.study.seeds)} seeds; the paper has one run a row.")
        else:
            said.append(
                "In brackets: 95% interval over test videos (DeLong on the logit scale; Newcombe where that has no "
                "width). One seed a row, so the spread between training runs is not in it."
            )
        said.append(_paper_sentence())
        said += [f"Note: {note}" for note in self.study.notes]
        said += [
            f"Check {'passed' if check['passed'] else 'FAILED'}: {check['sentence']}" for check in self.study.checks
        ]
        return said

    def _counted(self, name: str) -> str:
        if name not in self.counts:
            return ""
        reals, fakes = self.counts[name]
        return f"{reals} real, {fakes} fake"

    def _cells(self, row: Row) -> list[str]:
        published = [f"{row.paper[name]:.2f}" if name in row.paper else "–" for name in paper.TEST_SETS]
        ours = [_cell_text(row, name) for name in (*paper.TEST_SETS, "seen")]
        names = [path.rsplit("/", 1)[-1] for path in row.paths]
        more = f" +{len(names) - 1}" if len(names) > 1 else ""
        return [row.label, *published, *ours, names[0] + more if names else ""]

    def _markdown_row(self, index: int, base: Path) -> str:
        row = self.rows[index]
        cells = [row.label, *self._cells(row)[1:3]]
        for name in (*paper.TEST_SETS, "seen"):
            text = _cell_text(row, name)
            place = self.rank(name)[index]
            cells.append(f"**{text}**" if place == 1 else f"*{text}*" if place == 2 else text)
        folder = Path(os.path.relpath(self.study.folder, base))
        links = [f"[{path.rsplit('/', 1)[-1]}]({(folder / path / 'record.json').as_posix()})" for path in row.paths]
        return "| " + " | ".join([*cells, "<br>".join(links)]) + " |"

    def rank(self, name: str) -> list[int]:
        """Rank of each row on a test set as :func:`tdd.results.ranking`; rows outside the paper's table have none."""
        return ranking([row.cells[name].value if row.in_paper and name in row.cells else None for row in self.rows])


def make_report(study: Study) -> Report:
    """Compute the table of a loaded study."""
    counts: dict[str, tuple[int, int]] = {}
    scored = next((run.videos for run in study.runs if run.videos is not None and not run.problem), None)
    if scored is not None:
        for name in TEST_SETS:
            labels = on_test_set(scored, name)["label"]
            counts[name] = int((labels == 0).sum()), int((labels == 1).sum())
        counts["seen"] = counts[SEEN_METHODS[0]][0], sum(counts[name][1] for name in SEEN_METHODS)
    return Report(study, result_rows(study), counts)


def write_report(study_dir: Path, out: Path | None = None) -> Report:
    """Write ``table.md`` and ``table.csv`` of a study into ``out`` (default: ``report`` inside the study folder).

    Reads ``study.json``, ``record.json`` and ``clip_logits.csv`` files only; no checkpoint and no video.

    Raises:
        TddError: ``study.json`` cannot be used (see :func:`tdd.results.load_study`), or ``out`` cannot be written.
    """
    report = make_report(load_study(study_dir))
    folder = out or study_dir / "report"
    files = (folder / "table.md", folder / "table.csv")
    check_writable(folder)
    write_atomically(files[0], report.to_markdown(folder).encode())
    write_atomically(files[1], report.to_frame().to_csv(index=False).encode())
    return Report(report.study, report.rows, report.counts, files)


def _cell_text(row: Row, name: str) -> str:
    return row.cells[name].text() if name in row.cells else row.state or "–"


def _paper_sentence() -> str:
    parts = []
    for name, (fakes, reals) in paper.TEST_VIDEOS.items():
        best = max(row.auc[name] for row in paper.ROWS)
        about = newcombe_interval(best / 100, fakes, reals)
        parts.append(f"{best:.2f} [{100 * about.low:.1f}, {100 * about.high:.1f}] on {name}")
    named = ", ".join(parts)
    return f"The paper gives no intervals; from its numbers of test videos alone (Newcombe), its best would be {named}."


def _shorten(text: str, width: int) -> str:
    """Cut the middle out: the ends of run names tell them apart."""
    keep = (width - 1) // 2
    return text if len(text) <= width else f"{text[: width - 1 - keep]}…{text[-keep:]}"
