"""How hard is the synthetic benchmark? AUC of a small trained detector against the strength of the forgeries.

At each strength a fresh benchmark is made; CNN-GRU + attention is trained from scratch on the four seen methods and
scored on videos of all six. At strength 0 a forgery is just another real video, so every AUC must be near 0.5; at
strength 1, the default, each should lie between 0.65 and 0.98. A second column scores the detector of strength 1 on
videos of strength 0.

    python benchmarks/strength_curve.py --out runs/strength
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure

import tdd
from tdd.config import Recipe, load_recipe
from tdd.data.store import ClipStore
from tdd.detect import detect
from tdd.evaluation.evaluate import score_test_videos
from tdd.preprocess.prepare import prepare
from tdd.records.plans import SCRATCH
from tdd.synth.sizes import SIZES, SynthSize
from tdd.synth.trees import write_benchmark
from tdd.weights.checkpoints import import_weights
from tdd.weights.detector import load_detector

DEFAULT = 1.0
LOWEST, HIGHEST = 0.65, 0.98
CONTROL = 0.60
FRAMES = 26
EPOCHS = 18


def benchmark_size(test_pairs: int) -> SynthSize:
    """The demo's faces and training pairs, shorter videos, and twice ``test_pairs`` test videos a class."""
    videos = 2 * test_pairs
    return dataclasses.replace(
        SIZES["demo"], name="strength", lrw_train=0, lrw_val=0, lrw_test=0, ff_pairs=(24, 1, test_pairs),
        ff_frames=(FRAMES, FRAMES), celeb_people=60, celeb_real=videos // 2, youtube_real=videos - videos // 2,
        celeb_fake=videos,
    )  # fmt: skip


def detector_recipe() -> Recipe:
    """The demo's network and stage 2 with more epochs, for it starts from scratch."""
    demo = load_recipe("demo")
    longer = dataclasses.replace(demo.stage2, epochs=EPOCHS)
    return dataclasses.replace(demo, name="strength", stage2=longer)


def measure(out: Path, strength: float, size: SynthSize, seed: int) -> dict[str, Any]:
    """Make, prepare, train and score one strength; every part is kept and not made again."""
    folder, recipe = out / f"strength-{strength:g}", detector_recipe()
    write_benchmark(folder / "data", size, seed, strength=strength)
    store = prepare(folder / "data", folder / "store", recipe.clip).store
    return detect(store, SCRATCH, recipe, folder / f"run-seed{seed}", None, seed)["metrics"]


def control(out: Path, seed: int) -> dict[str, Any]:
    """The detector of the default strength on videos without artefacts."""
    weights = import_weights(out / f"strength-{DEFAULT:g}" / f"run-seed{seed}", "stage2", SCRATCH.backbone)
    detector, recipe = load_detector(weights)
    return score_test_videos(detector, ClipStore(out / "strength-0" / "store"), recipe)[1]


def draw(table: pd.DataFrame, path: Path) -> None:
    """AUC with its 95% interval against strength, one line a method."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(LOWEST, HIGHEST, color="0.93")
    axes.axhline(0.5, color="0.6", linewidth=0.8)
    curves = table[table["detector"] == "same strength"]
    for offset, (method, rows) in enumerate(curves.groupby("method", sort=False)):
        x = rows["strength"] + 0.012 * (offset - 2.5)
        errors = [rows["auc"] - rows["low"], rows["high"] - rows["auc"]]
        axes.errorbar(x, rows["auc"], errors, marker="o", markersize=3.5, linewidth=1.2, elinewidth=0.8, label=method)
    axes.set(xlabel="strength of the artefacts (1 is the default)", ylabel="video-level AUC", ylim=(0.4, 1.01))
    axes.set_title("Synthetic benchmark: how hard each stand-in is (band: 0.65 to 0.98)", fontsize=9, loc="left")
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure every strength, then write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--pairs", type=int, default=100, help="test pairs: twice as many test videos a class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/strength"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(2)
    found = [(s, "same strength", measure(args.out, s, benchmark_size(args.pairs), args.seed)) for s in args.strengths]
    if {0.0, DEFAULT} <= set(args.strengths):
        found.append((0.0, "strength 1", control(args.out, args.seed)))
    table = pd.DataFrame(
        {"strength": strength, "detector": detector, "method": method} | values
        for strength, detector, metrics in found
        for method, values in metrics.items()
    )
    args.results.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(args.results / "strength_curve.csv", index=False)
    draw(table, args.results / "strength_curve.png")
    at_default = table[(table["strength"] == DEFAULT)]
    verdict = {
        "version": tdd.__version__,
        "test_videos_a_class": 2 * args.pairs,
        "control_at_most": float(table.loc[table["strength"] == 0, "auc"].max()),
        "default_between": [float(at_default["auc"].min()), float(at_default["auc"].max())],
        "holds": bool((table.loc[table["strength"] == 0, "auc"] <= CONTROL).all()
                      and at_default["auc"].between(LOWEST, HIGHEST).all()),
    }  # fmt: skip
    (args.results / "strength_curve.json").write_text(json.dumps(verdict, indent=1) + "\n", encoding="utf-8")
    print(table.pivot_table("auc", ["detector", "strength"], "method").round(3).to_string())  # noqa: T201
    print(json.dumps(verdict))  # noqa: T201


if __name__ == "__main__":
    main()
