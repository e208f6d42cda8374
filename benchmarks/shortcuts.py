"""Can a forgery of the embedded benchmark be told without looking at how the face moves?

Makes real and fake videos and asks how well they are separated by what has nothing to do with the structure of motion:

- file: size of the file, bit rate, number of frames;
- frame: the trivial statistics of the whole picture (``tdd.metrics.trivial``): how much changes, colour, sharpness;
- face: the same of the aligned crop that a detector of the demo sees.

Each number alone, by its area under the ROC curve in the direction that favours it, and all of a view together, by a
logistic regression. Cross-validation keeps the videos of a pair of people in one fold. An area near 0.5 says that there
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
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tdd import __version__
from tdd.config import ClipConfig, load_recipe
from tdd.data.video import read_video
from tdd.metrics import auc as area
from tdd.metrics.trivial import TRIVIAL_STATISTICS, trivial_statistics
from tdd.names import LIP_RETIMING, SYNTHETIC_METHODS
from tdd.preprocess.crops import align_face, mean_face, steady_landmarks
from tdd.synth.plan import Task, plan_benchmark
from tdd.synth.sizes import SynthSize
from tdd.synth.trees import write_benchmark

METHODS = (*SYNTHETIC_METHODS, LIP_RETIMING)
ALONE, TOGETHER = 0.60, 0.65
"""Largest area of one number, and of all numbers of a view, that counts as no shortcut."""

VIEWS: dict[str, tuple[str, ...]] = {
    "file": ("bytes", "bit_rate", "frames"),
    "frame": TRIVIAL_STATISTICS,
    "face": TRIVIAL_STATISTICS,
}
"""Numbers of a video, by what they are taken from."""


@dataclass(frozen=True)
class Shortcut:
    """How well one method's fakes are told from real videos by the numbers of one view.

    Attributes:
        method: of forgery.
        view: key of ``VIEWS``.
        real: number of real videos.
        fake: number of fakes.
        together: area under the ROC curve of cross-validated scores of a logistic regression on all numbers; below 0.5
            it has learned nothing that holds for other people.
        error: standard error of ``together`` (Hanley and McNeil, Radiology 1982); of one number it is about the same.
        alone: area of each number by name, above 0.5 where fakes have more of it.
        worst: the number farthest from 0.5.
        worst_area: its area in the direction that favours it, at least 0.5.
    """

    method: str
    view: str
    real: int
    fake: int
    together: float
    error: float
    alone: dict[str, float]
    worst: str
    worst_area: float

    @property
    def held(self) -> bool:
        """Whether both limits are kept."""
        return self.worst_area <= ALONE and self.together <= TOGETHER


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
        methods=METHODS,
    )


def numbers(path: Path, points: np.ndarray, target: np.ndarray, clip: ClipConfig) -> dict[str, list[float]]:
    """The numbers of each view of one video.

    Args:
        path: the video.
        points: its landmarks, px, shape (T, 68, 2).
        target: mean face, px of the canvas, shape (68, 2).
        clip: geometry of the crop.
    """
    frames, _ = read_video(path)
    with av.open(str(path)) as container:
        bit_rate = float(container.streams.video[0].bit_rate or container.bit_rate)
    return {
        "file": [path.stat().st_size, bit_rate, len(frames)],
        "frame": list(trivial_statistics(frames).values()),
        "face": list(trivial_statistics(crops(frames, points, target, clip)).values()),
    }


def crops(frames: np.ndarray, points: np.ndarray, target: np.ndarray, clip: ClipConfig) -> np.ndarray:
    """Aligned faces as an evaluation view takes them before it is resized: uint8, (T, view_crop, view_crop, 3)."""
    steadied = steady_landmarks(zip(frames, points.astype(np.float64), strict=True))
    faces = np.stack([align_face(frame, own, steady, target, clip) for frame, own, steady in steadied])
    low = (clip.crop - clip.view_crop) // 2
    return faces[:, low : low + clip.view_crop, low : low + clip.view_crop]


def group(task: Task) -> str:
    """Videos that share people stay in one fold: a pair of FaceForensics++, or a target of Celeb-DF."""
    number = task.footage.removeprefix("FaceForensics++/")
    return f"pair {int(number) // 2}" if number.isdigit() else task.person


def measure(root: Path, tasks: list[Task]) -> list[Shortcut]:
    """Every method and view of a written benchmark."""
    clip = load_recipe("demo").clip
    points = [np.load(root / task.sidecar("landmarks", ".npy")) for task in tasks]
    real = [track[len(track) // 2] for track, task in zip(points, tasks, strict=True) if not task.method]
    target = mean_face(np.stack(real), clip.canvas)
    found = [numbers(root / task.path, track, target, clip) for track, task in zip(points, tasks, strict=True)]
    rows = []
    for method in METHODS:
        home = next((task.domain for task in tasks if task.method == method), None)
        chosen = [k for k, task in enumerate(tasks) if task.domain == home and task.method in ("", method)]
        fake, groups = [bool(tasks[k].method) for k in chosen], [group(tasks[k]) for k in chosen]
        if chosen:
            rows += [_row(method, view, np.array([found[k][view] for k in chosen]), fake, groups) for view in VIEWS]
    return rows


def _row(method: str, view: str, values: np.ndarray, fake: list[bool], groups: list[str]) -> Shortcut:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = GroupKFold(5)
    scores = cross_val_predict(model, values, fake, groups=groups, cv=folds, method="decision_function")
    together = area(fake, scores)
    alone = {name: area(fake, column) for name, column in zip(VIEWS[view], values.T, strict=True)}
    worst = max(alone, key=lambda name: abs(alone[name] - 0.5))
    counts = (fake.count(False), fake.count(True))
    error = _standard_error(together, *counts)
    return Shortcut(method, view, *counts, together, error, alone, worst, 0.5 + abs(alone[worst] - 0.5))


def _standard_error(auc: float, real: int, fake: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return float(np.sqrt((auc * (1 - auc) + (fake - 1) * (q1 - auc**2) + (real - 1) * (q2 - auc**2)) / (real * fake)))


def table(rows: list[Shortcut]) -> str:
    """The rows as a Markdown table, and one table a view of every number's area."""
    lines = [
        "| method | view | real | fake | all together | standard error | farthest alone | its area |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = f"{row.real} | {row.fake} | {row.together:.3f} | {row.error:.3f}"
        lines.append(f"| {row.method} | {row.view} | {counts} | {row.worst} | {row.worst_area:.3f} |")
    for view, names in VIEWS.items():
        chosen = [row for row in rows if row.view == view]
        lines += ["", f"Each number of the {view} alone; above 0.5 fakes have more of it:", ""]
        lines += ["| number | " + " | ".join(row.method for row in chosen) + " |", "|---" * (len(chosen) + 1) + "|"]
        lines += [f"| {name} | " + " | ".join(f"{row.alone[name]:.3f}" for row in chosen) + " |" for name in names]
    return "\n".join(lines) + "\n"


def verdict(rows: list[Shortcut]) -> str:
    """One sentence: the largest areas, and which rows break a limit."""
    alone, together = max(row.worst_area for row in rows), max(row.together for row in rows)
    broken = [f"{row.method} ({row.view})" for row in rows if not row.held]
    state = f"BROKEN by {', '.join(broken)}" if broken else "held"
    limits = f"the limits are {ALONE:.2f} and {TOGETHER:.2f}"
    return f"Largest area {alone:.3f} alone and {together:.3f} together; {limits}: {state}."


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
        rows = measure(root, plan_benchmark(size, options.seed, METHODS))
    setting = f"strength {options.strength:g}, {options.image_px} px, 24 to 28 frames, seed {options.seed}"
    title = f"Shortcuts in the embedded benchmark ({setting}, tdd {__version__})"
    text = f"# {title}\n\n{table(rows)}\n{verdict(rows)}\n"
    sys.stdout.write(text)
    limits = {"alone": ALONE, "together": TOGETHER}
    record = {"setting": setting, "limits": limits, "rows": [asdict(row) for row in rows]}
    record["seconds"] = round(time.perf_counter() - started)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "shortcuts.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (options.out / "shortcuts.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
