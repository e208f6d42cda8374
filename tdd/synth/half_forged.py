"""A test set for the question when a video is forged: videos of which some parts are forged, laid out as LAV-DF is.

LAV-DF (Cai et al., DICTA 2022, arXiv 2204.06228) has one list, ``metadata.json``, with the forged parts of every video.
Here parts of a real video are forged before the camera films it, so that no cut of camera, noise or codec tells where a
part begins; each fake has its real beside it. The methods are those that a detector has seen in training, each as
often as the others: the question is when, and not which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tdd.data.video import FPS
from tdd.errors import TddError
from tdd.names import SEEN_METHODS
from tdd.synth.plan import Task, rng_of
from tdd.synth.sizes import SynthSize, size_of
from tdd.synth.writing import Order, Parts, fill, settings_of

WHAT = "half-forged videos of tdd: drawn faces, stand-ins for forgeries"
"""In ``plan.json`` and ``synth.json``."""
FOLDER = "LAV-DF"
METADATA = "metadata.json"
FRAMES = (150, 200)
"""Least and greatest length of a video: 6 to 8 s."""
SHARE = (0.35, 0.65)
"""Of a video that is forged, and of that the part of the first of two parts."""
GAP = FPS
"""Frames between two parts, at the least."""


def write_half_forged_set(
    out: Path,
    videos: int,
    size: str | SynthSize = "demo",
    seed: int = 0,
    *,
    strength: float = 1.0,
    language: str = "en",
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write ``videos`` half-forged videos and the real of each, or what is missing of them.

    The same arguments give the same bytes, whatever the number of workers and wherever a run was interrupted.

    Args:
        out: folder to write to, made if missing, which holds nothing else.
        videos: number of fakes, and of reals.
        size: of the benchmark whose pictures are drawn; its counts have no part in it.
        seed: of every draw.
        strength: of the artefacts of forgery, as :func:`tdd.synth.trees.write_benchmark` takes it.
        language: ``en`` or ``ko``.
        workers: processes; ``None`` takes one for each processor, 1 works in this process.
        progress: called with the number of complete videos and of all videos.

    Raises:
        TddError: fewer than 2 videos, or as :func:`tdd.synth.trees.write_benchmark`.
    """
    if videos < 2:
        raise TddError(f"{videos} half-forged videos make no test set; give 2 or more.")
    counts = size_of(size)
    settings = settings_of(WHAT, counts, seed, strength, SEEN_METHODS, language) | {"half_forged": videos}
    planned = list(plan_half_forged(videos, seed))
    entries = [_entry(task, parts) for task, parts in planned]
    order = Order(
        settings,
        [task for task, _ in planned],
        {f"{FOLDER}/{METADATA}": json.dumps(entries, indent=1) + "\n"},
        {f"{FOLDER}/real": videos, f"{FOLDER}/fake": videos},
        (FOLDER,),
        parts={task.path: parts for task, parts in planned if parts},
        with_sound=True,  # as LAV-DF has it
    )
    return fill(out, order, counts, workers, progress)


def plan_half_forged(videos: int, seed: int) -> Iterator[tuple[Task, Parts]]:
    """Every real video, and after it its fake with the forged frames."""
    for number in range(videos):
        person, other = (f"{FOLDER}/person{who:05d}" for who in (number, (number + 1) % videos))
        footage = f"{FOLDER}/footage{number:05d}"
        frames = int(rng_of(seed, footage, "frames").integers(FRAMES[0], FRAMES[1] + 1))
        path = f"{FOLDER}/test/{2 * number:06d}.mp4"
        yield Task(path, person, footage, frames), ()
        method = SEEN_METHODS[number % len(SEEN_METHODS)]
        path = f"{FOLDER}/test/{2 * number + 1:06d}.mp4"
        task = Task(path, person, footage, frames, method=method, source=other, source_footage=f"{footage}-source")
        yield task, draw_parts(rng_of(seed, footage, "parts"), frames)


def draw_parts(rng: np.random.Generator, frames: int) -> Parts:
    """One or two forged parts that make up ``SHARE`` of a video, anywhere, its ends included."""
    forged = round(rng.uniform(*SHARE) * frames)
    lengths = [forged]
    if rng.random() < 0.5:
        first = round(rng.uniform(*SHARE) * forged)
        lengths = [first, forged - first]
    spare = frames - forged - GAP * (len(lengths) - 1)
    # As many places as there are gaps, the one before the first part and that after the last included.
    ends = np.sort(rng.integers(0, spare + 1, len(lengths)))
    parts, before = [], 0
    for turn, (length, gap) in enumerate(zip(lengths, np.diff(ends, prepend=0), strict=True)):
        start = before + int(gap) + (GAP if turn else 0)
        before = start + length
        parts.append((start, before))
    return tuple(parts)


def _entry(task: Task, parts: Parts) -> dict[str, Any]:
    """One video as LAV-DF's list has it, and the method besides."""
    file = task.path.removeprefix(f"{FOLDER}/")
    number = int(Path(file).stem)
    return {
        "file": file, "n_fakes": len(parts), "fake_periods": [[start / FPS, end / FPS] for start, end in parts],
        "timestamps": [], "duration": task.n_frames / FPS, "transcript": "",
        "original": f"test/{number - 1:06d}.mp4" if parts else None,
        "modify_video": bool(parts), "modify_audio": False, "split": "test", "video_frames": task.n_frames,
        "audio_channels": 0, "audio_frames": 0, "method": task.method,
    }  # fmt: skip
