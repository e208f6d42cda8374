"""A study's result table as plain columns for a terminal, and what must be said with its numbers."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tdd.metrics import newcombe_interval
from tdd.records import paper
from tdd.records.recorded import recorded_study
from tdd.records.results import LOST, STATED, SYNTHETIC_SENTENCE, Study, by_seeds, of_listed
from tdd.report.table import COLUMNS, MIXED, SEEN, Contrast, ResultRow, compared_on, ranking, seeds_words

WIDTH = 118
"""Columns of the terminal table."""


ENOUGH_SEEDS = 10
"""With fewer, from three on, small p-values are too small: see :mod:`tdd.metrics.spread`."""

_VERDICTS = {True: "Check passed", False: "Check FAILED", None: "Compared"}


@dataclass(frozen=True)
class Report:
    """A study's table, ready to print; ``files`` are the ones that :func:`tdd.report.write.write_report` wrote."""

    study: Study
    rows: tuple[ResultRow, ...]
    counts: dict[str, tuple[int, int]]
    """Real and fake test videos, by column."""
    contrasts: tuple[Contrast, ...] = ()
    """The study's family of comparisons, corrected together."""
    listed: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The same as the data sets' lists name them, found or not; without columns whose lists are not known."""
    others: tuple[str, ...] = ()
    """Methods that are not of the paper's table, and were tested on."""
    files: tuple[Path, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every row but the controls has numbers on both test sets of the paper's table."""
        return all(name in row.cells for row in self.rows if not row.control for name in paper.TEST_SETS)

    @property
    def beside_paper(self) -> bool:
        """Whether the paper has numbers for the rows of this study."""
        return self.study.name in ("table", "ssl-weight")

    @property
    def beside_recorded(self) -> bool:
        """Whether the numbers of the recorded study stand beside this study's: those of a demo, which is smaller."""
        return self.study.name == "table" and self.study.synthetic and self.study.recipe == "demo"

    @property
    def seeds(self) -> str:
        """Numbers of seeds behind the areas that are shown, in words, beside those of the study where they differ."""
        found = seeds_words(cell.seeds for row in self.rows for cell in row.cells.values())
        planned = len(self.study.seeds)
        return found if found in ("", seeds_words([planned])) else f"{found} (of {planned})"

    def to_text(self) -> str:
        """Plain columns, at most ``WIDTH`` characters wide, followed by what a reader must know about the numbers.

        Of several seeds the checks that passed are counted; table.md names each.
        """
        if all(pair.second == self.study.reference for pair in self.contrasts) and self.study.name != "table":
            lines = self._difference_columns()
        else:
            lines = [*self._area_columns(), *self._contrast_columns()]
        lines += self._other_lines()
        for sentence in self.sentences(brief=len(self.study.seeds) > 1):
            lines += textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
        return "\n".join(lines)

    def _area_columns(self) -> list[str]:
        """The paper's numbers where it has any, this study's, and where each row's record lies; controls below a rule.

        The recorded study's take the place of the records, which table.md links.
        """
        others = ["paper", "study"][: self.beside_paper + self.beside_recorded]
        head = [
            "AUC, %",
            *(name for name in others for _ in paper.TEST_SETS),
            *paper.TEST_SETS,
            "seen",
            "record in stage2/",
        ]
        short = ["FaceSh.", "Celeb"] * len(others)
        under = ["", *short, *(self.counted(name) for name in paper.TEST_SETS), "mean", ""]
        body = [self._cells(row) for row in self.rows]
        if self.beside_recorded:
            head[-1] = ""
            body = [[*cells[:-1], ""] for cells in body]
        widths = [max(len(line[i]) for line in [head, under, *body]) for i in range(len(head))]
        # Names of records are cut to what is left, numbers never.
        room = WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1)
        widths[-1] = 0 if self.beside_recorded else max(8, room)
        widths[0] -= max(0, widths[-1] - room)

        def line(cells: list[str]) -> str:
            texts = [
                shorten(cells[0], widths[0]).ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(cells[1:-1], widths[1:-1], strict=True)),
            ]
            return "  ".join([*texts, shorten(cells[-1], widths[-1])]).rstrip()

        rule = "─" * min(WIDTH, sum(widths) + 2 * (len(widths) - 1))
        lines = [line(head), line(under), rule]
        lines += [line(cells) for cells, row in zip(body, self.rows, strict=True) if not row.control]
        return [*lines, rule, *(line(cells) for cells, row in zip(body, self.rows, strict=True) if row.control), ""]

    def _other_lines(self) -> list[str]:
        """The areas on methods that are not of the paper's table: one line a method, all rows in it."""
        lines = []
        for name in self.others:
            cells = "; ".join(f"{row.label} {row.cells[name].text()}" for row in self.rows if name in row.cells)
            lines += textwrap.wrap(f"{name} ({self.counted(name)}): {cells}", WIDTH, subsequent_indent="  ")
        return [*lines, ""] if lines else []

    def _contrast_columns(self) -> list[str]:
        """One line a comparison, with its limits and corrected p-value by column."""
        if not self.contrasts:
            return []
        head = ["points [95%] p", *COLUMNS]
        body = [
            [
                f"{pair.first} − {pair.second}",
                *(pair.differences[n].narrow() if n in pair.differences else "–" for n in COLUMNS),
            ]
            for pair in self.contrasts
        ]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * len(COLUMNS))  # a label is cut, a number never
        lines = [
            "  ".join([shorten(first, widths[0]).ljust(widths[0]), *map(str.rjust, rest, widths[1:])]).rstrip()
            for first, *rest in [head, *body]
        ]
        return [lines[0], "─" * min(WIDTH, max(map(len, lines))), *lines[1:], ""]

    def _difference_columns(self) -> list[str]:
        """This study's numbers, each with its difference to the row of reference and the corrected p-value."""
        head = ["AUC, %", *(text for name in COLUMNS for text in (name, "difference, p"))]
        body = [
            [row.label, *(text for name in COLUMNS for text in (cell_text(row, name, name != SEEN), _short(row, name)))]
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
        widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * len(COLUMNS) * 2)  # a label is cut, a number never
        lines = [
            "  ".join([shorten(first, widths[0]).ljust(widths[0]), *map(str.rjust, rest, widths[1:])])
            for first, *rest in [head, *body]
        ]
        return [lines[0].rstrip(), "─" * min(WIDTH, len(lines[0])), *(line.rstrip() for line in lines[1:]), ""]

    def sentences(self, brief: bool = False) -> list[str]:
        """What must be said with the numbers: where they come from, what the limits mean, what is missing, checks.

        Args:
            brief: count the checks that passed, in place of one sentence for each.
        """
        said = [SYNTHETIC_SENTENCE] if self.study.synthetic else []
        several = len(self.study.seeds) > 1
        if several:
            said.append(
                f"Mean ± standard deviation over {self.seeds or seeds_words([len(self.study.seeds)])}; the paper has "
                "one run a row. 95% intervals, in table.md, are over videos and seeds: the covariance of the seeds' "
                "areas and the variance between seeds, added, with Student's t (logit scale)."
            )
        else:
            said.append(
                "In brackets: 95% interval over test videos (logit scale; Newcombe where that has no width). One seed "
                "a row, so the spread between training runs is not in it, and differences have no p-value."
            )
        said += self._over()
        more = compared_on(self.study)[len(COLUMNS) :]
        if more:
            said.append(f"Compared on {', '.join(more)} too, in the same family; table.md has these differences.")
        if self.contrasts:
            said.append(self._difference_sentence(several))
            said += self._few_seeds()
            said += self._mixed()
        said += self._lost()
        said += self._unfinished()
        if self.beside_recorded:
            said.append(
                f"study: the same rows with up to {recorded_study().seeds} seeds on more test videos (size and recipe "
                "study), as recorded; it is the one to quote, and the two are never mixed."
            )
        if self.beside_paper:
            said.append(_paper_sentence())
        said += [f"Note: {note}" for note in self.study.notes]
        passed = [check for check in self.study.checks if check["passed"]] if brief else []
        if passed:
            said.append(f"{len(passed)} of {len(self.study.checks)} checks passed; table.md names them.")
        return said + [
            f"{_VERDICTS[check['passed']]}: {check['sentence']}" for check in self.study.checks if check not in passed
        ]

    def _over(self) -> list[str]:
        """Over what the intervals are, by column and row."""
        known, unknown, partly = [], [], defaultdict(list)
        for name in compared_on(self.study):
            counts = {
                row.label: row.cells[name].targets
                for row in self.rows
                if name in row.cells and row.cells[name].low is not None
            }
            numbers = sorted({count for count in counts.values() if count})
            without = tuple(label for label, count in counts.items() if not count)
            if numbers:
                known.append(f"{name} {' or '.join(map(str, numbers))}")
            if without and numbers:
                partly[without].append(name)  # by rows, so that they are named once for all columns
            elif without:
                unknown.append(name)
        said = []
        if known:
            said.append(
                f"Videos of one target (a pair of FaceForensics++, a person) belong together in every "
                f"{'other ' if unknown or partly else ''}interval and test (Obuchowski); numbers of targets: "
                f"{', '.join(known)}."
            )
        why = "who is seen is not in these records, or too few people are, so that"
        what = "take videos for independent (DeLong), which a fake and its own real are not"
        if unknown:
            said.append(f"{', '.join(unknown)}: {why} intervals and tests {what}.")
        said += [
            f"{', '.join(names)}, of {'; '.join(rows)}: {why} intervals, and tests of two such rows, {what}."
            for rows, names in partly.items()
        ]
        return said

    def _difference_sentence(self, several: bool) -> str:
        tests = sum(d.p_value is not None for pair in self.contrasts for d in pair.differences.values())
        labels = {row.id: row.label for row in self.rows}
        seconds = {labels.get(pair.second, pair.second) for pair in self.contrasts}
        to = f" to {seconds.pop()}" if len(seconds) == 1 else ""
        seeds = "the variance of their differences between seeds added" if several else "seeds have no part in it"
        end = f"p-values are two-sided, corrected by Holm over the {tests} tests of this family" if tests else (
            "one seed a row: no p-values"
        )  # fmt: skip
        return f"Differences{to}, a family {self.study.family}: paired on the same videos, {seeds}; {end}."

    def _few_seeds(self) -> list[str]:
        """What is said of tests over few seeds, which are right at 0.05 and not far below, where Holm looks."""
        tested = {d.seeds for pair in self.contrasts for d in pair.differences.values() if d.p_value is not None}
        if not any(2 < seeds < ENOUGH_SEEDS for seeds in tested):
            return []
        return [
            "Tests over few seeds err more often than they say where seeds differ more than videos do: over 3 seeds up "
            "to 1.5 times as often at 0.05 and 15 times at 0.001, over 5 up to 1.2 and 4 times, over 10 hardly "
            "(benchmarks/results/coverage.md). A small p of few seeds asks for more seeds."
        ]

    def _mixed(self) -> list[str]:
        """What is said where the runs behind a difference were not all made alike."""
        marked = {
            kind: [pair.label for pair in self.contrasts if any(kind in d.mixed for d in pair.differences.values())]
            for kind in ("processors", "precisions", "data", "labels or splits")
        }
        return [
            f"{MIXED} The runs behind {len(labels)} of {len(self.contrasts)} comparisons were made with different "
            f"{kind}, which alone can move an area by points; run them again alike: {'; '.join(labels)}."
            for kind, labels in marked.items()
            if labels
        ]

    def _unfinished(self) -> list[str]:
        """What is said where a row has fewer seeds than the study, as a whole or on one column."""
        planned = set(self.study.seeds)
        scored = {row: {run.seed for run in self.study.usable(row)} for row in self.study.rows}
        left_out = [row.id for row in self.rows if row.id not in scored]
        said = [f"The paper's rows {', '.join(left_out)} are not of this study."] if left_out else []
        gone = by_seeds((name, planned - seeds) for name, seeds in scored.items())
        if gone and not any(gone in note for note in self.study.notes):
            said.append(f"Without scores: {gone}.")
        names = dict.fromkeys(name for row in self.rows for name in row.cells)
        part = by_seeds(
            (f"{row.id} on {name}", scored[row.id] - set(row.cells[name].which if name in row.cells else ()))
            for name in names
            for row in self.rows
            if row.id in scored
        )
        if part:
            said.append(f"Not tested there, and in no number of it: {part}.")
        if (gone or part) and len(planned) > 1:
            said.append(
                f"In round brackets: how many seeds are behind a number that has not all {len(planned)}; a difference "
                "is over those that both rows have."
            )
        if self.study.family == STATED and any(
            found.p_value is not None and found.seeds < found.planned
            for pair in self.contrasts
            for found in pair.differences.values()
        ):
            said.append(
                "A look before all seeds are there: its p-values are not those of the stated tests, and decide nothing."
            )
        return said

    def counted(self, name: str) -> str:
        """Numbers of test videos of a column, in words."""
        if name not in self.counts:
            return ""
        reals, fakes = map(of_listed, self.counts[name], self.listed.get(name, self.counts[name]))
        return f"{reals} real, {fakes} fake"

    def _lost(self) -> list[str]:
        """What is said where listed test videos were not scored."""
        short = {
            name: self.counted(name)
            for name, (reals, fakes) in self.counts.items()
            if name != SEEN and name in self.listed and (reals < self.listed[name][0] or fakes < self.listed[name][1])
        }
        sets = "; ".join(f"{name} {words}" for name, words in short.items())
        return [f"Test videos found of listed: {sets}. {LOST}"] if short else []

    def _cells(self, row: ResultRow) -> list[str]:
        published = [f"{row.paper[name]:.2f}" if name in row.paper else "–" for name in paper.TEST_SETS]
        published = published if self.beside_paper else []
        areas = recorded_study().areas if self.beside_recorded else {}
        study = [f"{areas[row.id, name]:.1f}" if (row.id, name) in areas else "–" for name in paper.TEST_SETS]
        published += study if self.beside_recorded else []
        ours = [cell_text(row, name, limits=name != SEEN) for name in COLUMNS]
        names = [path.rsplit("/", 1)[-1] for path in row.paths]
        more = f" +{len(names) - 1}" if len(names) > 1 else ""
        return [row.label, *published, *ours, names[0] + more if names else ""]

    def rank(self, name: str) -> list[int]:
        """Rank of each row on a test set as :func:`tdd.report.table.ranking`; controls have none."""
        return ranking([row.cells[name].value if not row.control and name in row.cells else None for row in self.rows])


def cell_text(row: ResultRow, name: str, limits: bool = True) -> str:
    """A cell's text, with its interval where wanted, or the word that says why there is none."""
    if name not in row.cells:
        return row.state or "–"
    cell = row.cells[name]
    return cell.text() if limits or cell.sd is not None else f"{cell.value:.1f}{cell.mark}"


def _paper_sentence() -> str:
    parts = []
    for name, (fakes, reals) in paper.TEST_VIDEOS.items():
        best = max(row.auc[name] for row in paper.ROWS)
        about = newcombe_interval(best / 100, fakes, reals)
        parts.append(f"{best:.2f} [{100 * about.low:.1f}, {100 * about.high:.1f}] on {name}")
    named = ", ".join(parts)
    return f"The paper gives no intervals; from its numbers of test videos alone (Newcombe), its best would be {named}."


def _short(row: ResultRow, name: str) -> str:
    return row.differences[name].short() if name in row.differences else ""


def shorten(text: str, width: int) -> str:
    """Cut the middle out: the ends of run names tell them apart."""
    keep = (width - 1) // 2
    return text if len(text) <= width else f"{text[: width - 1 - keep]}…{text[-keep:]}"
