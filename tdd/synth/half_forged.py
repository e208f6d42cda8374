"""A test set for the question when a video is forged: videos of which some parts are forged, laid out as LAV-DF is.

LAV-DF (Cai et al., DICTA 2022, arXiv 2204.06228) has one list, ``metadata.json``, with the forged parts of every video.
Here parts of a real video are forged before the camera films it, so that no cut of camera, noise or codec tells where a
part begins; each fake has its real beside it. The methods are those that a detector has seen in training, each as
often as the others: the question is when, and not which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tdd import __version__
from tdd.data.video import FPS
from tdd.errors import TddError
from tdd.machine.files import check_plan, check_space, remove_partials, write_atomically, write_json
from tdd.machine.parallel import parallel_map
from tdd.names import SEEN_METHODS
from tdd.synth import espeak
from tdd.synth.filming import Studio, film
from tdd.synth.plan import Task, rng_of
from tdd.synth.sizes import SynthSize, size_of
from tdd.synth.trees import DONE, PLAN, README, bytes_needed

FOLDER = "LAV-DF"
METADATA = "metadata.json"
FRAMES = (150, 200)
"""Least and greatest length of a video: 6 to 8 s."""
SHARE = (0.35, 0.65)
"""Of a video that is forged, and of that the part of the first of two parts."""
GAP = FPS
"""Frames between two parts, at the least."""

Parts = tuple[tuple[int, int], ...]
"""Forged frames of a video: the first of a part, and the one after its last."""


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
        out: folder to write to, which holds nothing else.
        videos: number of fakes, and of reals.
        size: of the benchmark whose pictures are drawn; its counts have no part in it.
        seed: of every draw.
        strength: of the artefacts of forgery, as :func:`tdd.synth.trees.write_benchmark` takes it.
        language: ``en`` or ``ko``.
        workers: processes; ``None`` takes one for each processor.
        progress: called with the number of complete videos and of all videos.

    Raises:
        TddError: fewer than 2 videos, an unknown size, a folder that holds something else or cannot be written, a disk
            that is too small, or espeak-ng is missing.
    """
    if videos < 2:
        raise TddError(f"{videos} half-forged videos make no test set; give 2 or more.")
    counts = size_of(size)
    settings: dict[str, Any] = {
        "what": "half-forged videos of tdd: drawn faces, stand-ins for forgeries", "version": __version__,
        "size": counts.as_dict(), "seed": seed, "strength": float(strength), "methods": list(SEEN_METHODS),
        "language": language, "half_forged": videos,
    }  # fmt: skip
    if not (out / PLAN).is_file() and (out / FOLDER).exists():
        raise TddError(f"{out} holds {FOLDER} that this command did not write; choose an empty folder.")
    tasks = list(plan_half_forged(videos, seed))
    missing = [(task, parts) for task, parts in tasks if not task.is_made(out)]
    if missing:
        espeak.synthesise("a", language)  # says at once if speech is not to be had
        check_space(out, bytes_needed(counts, [task for task, _ in missing]))
    check_plan(out / PLAN, settings)
    remove_partials(out)
    done = len(tasks) - len(missing)
    if progress:
        progress(done, len(tasks))
    studio = Studio(out, counts, seed, strength, language)
    for _ in parallel_map(partial(_film, studio), missing, workers):
        done += 1
        if progress:
            progress(done, len(tasks))
    write_atomically(out / "README.txt", README.encode())
    write_json(out / FOLDER / METADATA, [_entry(task, parts) for task, parts in tasks])
    write_json(out / DONE, {**settings, "videos": {f"{FOLDER}/real": videos, f"{FOLDER}/fake": videos}})
    return out


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


def _film(studio: Studio, work: tuple[Task, Parts]) -> None:
    task, parts = work
    try:
        film(studio, task, parts or None, with_sound=True)  # as LAV-DF has it
    except Exception as error:
        raise TddError(f"{task.path} could not be made ({type(error).__name__}: {error}).") from error


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
