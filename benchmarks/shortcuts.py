"""Can a forgery of the embedded benchmark be told without looking at the face?

Makes real and fake videos and asks how well a logistic regression separates them by what has nothing to do with
forgery: size of the file, bit rate, number of frames, mean and standard deviation of the colour channels.
Cross-validation keeps the videos of a pair of people in one fold. An area under the ROC curve near 0.5 says that there
is no such shortcut.

    python benchmarks/shortcuts.py --videos 200
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tdd import __version__
from tdd.data.video import read_video
from tdd.names import SYNTHETIC_METHODS
from tdd.synth.plan import Task, plan_benchmark
from tdd.synth.sizes import SynthSize
from tdd.synth.trees import write_benchmark

LIMIT = 0.60
"""Largest area under the ROC curve that counts as no shortcut."""

FEATURES = ("bytes", "bit rate", "frames", "mean R", "mean G", "mean B", "std R", "std G", "std B")


@dataclass(frozen=True)
class Shortcut:
    """How well one method's fakes are told from real videos by ``FEATURES``.

    Attributes:
        method: of forgery.
        real: number of real videos.
        fake: number of fakes.
        auc: area under the ROC curve of cross-validated scores.
        error: standard error of ``auc`` (Hanley and McNeil, Radiology 1982).
        best_feature: the single feature that separates best, in either direction.
        best_auc: its area under the ROC curve, at least 0.5.
    """

    method: str
    real: int
    fake: int
    auc: float
    error: float
    best_feature: str
    best_auc: float


def size_of(videos: int, image_px: int, frames: tuple[int, int]) -> SynthSize:
    """Counts with ``videos`` real and as many fake videos of every method, and nothing else."""
    return SynthSize(
        name=f"shortcuts-{videos}",
        image_px=image_px,
        words=1,
        lrw_train=0,
        lrw_val=0,
        lrw_test=0,
        lrw_speakers=(0, 0, 0),
        ff_pairs=(videos // 2, 0, 0),
        ff_frames=frames,
        celeb_people=max(2, videos // 2),
        celeb_real=videos - videos // 2,
        youtube_real=videos // 2,
        celeb_fake=videos,
    )


def features(path: Path) -> list[float]:
    """The numbers named in ``FEATURES`` of one video."""
    frames, _ = read_video(path)
    with av.open(str(path)) as container:
        bit_rate = float(container.streams.video[0].bit_rate or container.bit_rate)
    pixels = frames.reshape(-1, 3)
    return [path.stat().st_size, bit_rate, len(frames), *pixels.mean(0), *pixels.std(0)]


def group(task: Task) -> str:
    """Videos that share people stay in one fold: a pair of FaceForensics++, or a target of Celeb-DF."""
    number = task.footage.removeprefix("FaceForensics++/")
    return f"pair {int(number) // 2}" if number.isdigit() else task.person


def measure(root: Path, tasks: list[Task]) -> list[Shortcut]:
    """Area under the ROC curve of every method in a written benchmark."""
    values = np.array([features(root / task.path) for task in tasks])
    rows = []
    for method in SYNTHETIC_METHODS:
        home = next((task.domain for task in tasks if task.method == method), None)
        chosen = [k for k, task in enumerate(tasks) if task.domain == home and task.method in ("", method)]
        if chosen:
            groups = [group(tasks[k]) for k in chosen]
            rows.append(_row(method, values[chosen], [bool(tasks[k].method) for k in chosen], groups))
    return rows


def _row(method: str, values: np.ndarray, fake: list[bool], groups: list[str]) -> Shortcut:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = GroupKFold(5)
    scores = cross_val_predict(model, values, fake, groups=groups, cv=folds, method="decision_function")
    auc = float(roc_auc_score(fake, scores))
    single = [roc_auc_score(fake, column) for column in values.T]
    best = int(np.argmax(np.abs(np.array(single) - 0.5)))
    counts = (fake.count(False), fake.count(True))
    error = _standard_error(auc, *counts)
    return Shortcut(method, *counts, auc, error, FEATURES[best], float(0.5 + abs(single[best] - 0.5)))


def _standard_error(auc: float, real: int, fake: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return float(np.sqrt((auc * (1 - auc) + (fake - 1) * (q1 - auc**2) + (real - 1) * (q2 - auc**2)) / (real * fake)))


def table(rows: list[Shortcut]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| method | real | fake | AUC of all features | standard error | best single feature | its AUC |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = f"{row.real} | {row.fake} | {row.auc:.3f} | {row.error:.3f}"
        lines.append(f"| {row.method} | {numbers} | {row.best_feature} | {row.best_auc:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the videos, measure, print, and write ``results/shortcuts.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--videos", type=int, default=200, help="real videos, and fakes of every method (even)")
    parser.add_argument("--image-px", type=int, default=160, help="width and height of the videos")
    parser.add_argument("--strength", type=float, default=1.0, help="strength of the artefacts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None, help="processes; default: one for each processor")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    started = time.perf_counter()
    size = size_of(options.videos, options.image_px, (24, 28))
    with tempfile.TemporaryDirectory() as folder:
        root = write_benchmark(folder, size, options.seed, strength=options.strength, workers=options.workers)
        rows = measure(root, plan_benchmark(size, options.seed))
    worst = max(row.auc for row in rows)
    verdict = f"Largest AUC {worst:.3f}; the limit is {LIMIT:.2f}: {'held' if worst <= LIMIT else 'BROKEN'}."
    setting = f"strength {options.strength:g}, {options.image_px} px, 24 to 28 frames, seed {options.seed}"
    text = f"# Shortcuts in the embedded benchmark ({setting}, tdd {__version__})\n\n{table(rows)}\n{verdict}\n"
    sys.stdout.write(text)
    record = {"setting": setting, "limit": LIMIT, "rows": [asdict(row) for row in rows]}
    record["seconds"] = round(time.perf_counter() - started)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "shortcuts.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (options.out / "shortcuts.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
