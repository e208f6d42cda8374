"""Results of ``bench.py``: held against a baseline, and drawn."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdd.plots.style import BLUE, GREY, ORANGE, drawing, footnote

RATIOS = {"speedup": "times as fast as the published way", "of_limit": "of the machine's limit"}


def read_results(path: Path) -> dict[str, Any]:
    """An earlier run's JSON; ends the program with one sentence where there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = [row["seconds"]["ours"] for row in found["cases"].values()]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        sys.exit(f"{path} holds no results of benchmarks/bench.py ({error!r}); give the bench.json of an earlier run.")
    return found


def worse(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What got worse by more than the spread: the greatest of a ratio's rounds is below the least of the baseline's.

    Cases that only one of the two runs has are not compared.

    Args:
        before: the baseline, as ``bench.py`` writes it.
        now: the run to judge.

    Returns:
        a sentence a ratio; none where all hold.
    """
    found = []
    for name, row in now["cases"].items():
        old = before["cases"].get(name, {})
        for ratio, meaning in RATIOS.items():
            if ratio in row and ratio in old and row[ratio]["high"] < old[ratio]["low"]:
                a, b = ({key: f"{value:.2f}" for key, value in each[ratio].items()} for each in (old, row))
                found.append(
                    f"{name}: {b['median']} {meaning} [{b['low']}, {b['high']}], before {a['median']} "
                    f"[{a['low']}, {a['high']}]."
                )
    return found


def draw(found: Mapping[str, Any], path: Path) -> None:
    """One figure: both ratios of every case with their spread, and clips/s over batch, threads and processes."""
    cases, scaling = found["cases"], found["scaling"]
    names = list(cases)[::-1]
    tall = 0.24 * len(names) + 0.9
    with drawing(path, 9.6, tall + (2.2 if scaling else 0.3)) as figure:
        rows = figure.subfigures(2, 1, height_ratios=[tall, 2.2]) if scaling else [figure]
        axes = rows[0].subplots(1, 2, sharey=True)
        for axis, (ratio, meaning), ink in zip(axes, RATIOS.items(), (BLUE, ORANGE), strict=True):
            for place, name in enumerate(names):
                value = cases[name].get(ratio)
                if value:
                    start = 1.0 if ratio == "speedup" else 0.0
                    axis.barh(place, value["median"] - start, left=start, color=ink, height=0.62)
                    axis.plot([value["low"], value["high"]], [place, place], color="black", linewidth=1)
                    axis.annotate(f"{value['median']:.2f}", (value["high"], place), (3, 0),
                                  textcoords="offset points", va="center", fontsize=7.5)  # fmt: skip
            axis.set_title(meaning[:1].upper() + meaning[1:])
            axis.set_yticks(range(len(names)), names)
            axis.margins(x=0.12, y=0.01)
            axis.axvline(1, color=GREY, linewidth=0.8)
        axes[0].set_xscale("log")
        if scaling:
            for axis, (what, rates) in zip(
                rows[1].subplots(1, len(scaling), squeeze=False)[0], scaling.items(), strict=True
            ):
                axis.bar(list(rates), list(rates.values()), color=BLUE, width=0.6)
                axis.set_title("Clips/s", fontsize=9)
                axis.set_xlabel(what)
        kit = found["machine"]
        text = (
            f"{kit['cores']} cores, torch {kit['torch']}, {kit['capability']}: {kit['gemm_gflops']} GFLOP/s in a "
            f"matrix product, {kit['copy_gb_s']} GB/s copied. Bars: medians of rounds in turns; lines: their range."
        )
        footnote(figure, text)
