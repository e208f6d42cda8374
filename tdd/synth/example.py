"""One video of the benchmark's kind that is real at first and forged from its middle on: to be scored over time."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tdd.data.clip_files import save_array
from tdd.data.video import FPS, read_video, write_video
from tdd.errors import TddError
from tdd.names import SYNTHETIC_METHODS
from tdd.synth.filming import Studio, film
from tdd.synth.plan import Task
from tdd.synth.sizes import size_of

PERSON = "visitor"
"""Nobody of the benchmark: its people have a data set's name."""


def write_half_forged(
    path: Path, method: str = "NeuralTextures", seconds: int = 8, size: str = "demo", seed: int = 0
) -> Path:
    """Write ``path`` (mp4) and beside it its landmarks, ``.npy`` of shape (T, 68, 2), px.

    Args:
        path: the video; its folder is made where needed.
        method: how the second half is forged; one of ``SYNTHETIC_METHODS``.
        seconds: of both halves together.
        size: of the benchmark whose cameras and pictures are taken.
        seed: of every draw.

    Returns:
        ``path``.

    Raises:
        TddError: unknown method or size, or espeak-ng is missing.
    """
    if method not in SYNTHETIC_METHODS:
        raise TddError(f"method {method!r} is unknown; the benchmark forges {', '.join(SYNTHETIC_METHODS)}.")
    half = seconds * FPS // 2
    with TemporaryDirectory() as folder:
        studio = Studio(Path(folder), size_of(size), seed, 1.0, "en")
        # Both of the whole length: their motion is then the same, and the halves meet.
        real = Task("real.mp4", PERSON, PERSON, 2 * half)
        fake = Task("fake.mp4", PERSON, PERSON, 2 * half, method=method, source="other", source_footage="other")
        for task in (real, fake):
            film(studio, task)
        films = [read_video(studio.out / task.path)[0] for task in (real, fake)]
        points = [np.load(studio.out / task.sidecar("landmarks", ".npy")) for task in (real, fake)]
    save_array(path.with_suffix(".npy"), np.concatenate([points[0][:half], points[1][half:]]))
    write_video(path, [*films[0][:half], *films[1][half:]])  # the last, as of every video here: then all of it is there
    return path
