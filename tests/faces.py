"""Clip stores of drawn faces: each other than all others, all at the same place and of the same size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tdd.data.store import ClipStore, write_clip, write_index
from tdd.machine.files import write_json
from tdd.preprocess.crops import mean_face
from tests.preprocess.trees import face_points

CROP = 64
Change = Callable[[np.ndarray], np.ndarray]


def draw_face(rng: np.random.Generator) -> np.ndarray:
    """One face, RGB uint8, shape (CROP, CROP, 3): head, eyes, nose and mouth of drawn colours, light and noise."""
    big = 2 * CROP
    coarse = rng.uniform(30, 200, 3) + rng.normal(0, 25, (6, 6, 3))
    image = cv2.resize(coarse, (big, big), interpolation=cv2.INTER_CUBIC)
    at = np.array([big / 2, big / 2]) + rng.normal(0, 1.5, 2)
    tone = rng.uniform(0.45, 1.0)
    skin = np.array([225, 172, 140]) * tone + rng.normal(0, 6, 3)

    def ellipse(x: float, y: float, wide: float, high: float, colour: np.ndarray) -> None:
        middle = (round(at[0] + x / 2), round(at[1] + y / 2))
        cv2.ellipse(
            image,
            middle,
            (round(wide / 2), max(1, round(high / 2))),
            0,
            0,
            360,
            tuple(map(float, colour)),
            -1,
            cv2.LINE_AA,
        )

    ellipse(0, 0, rng.normal(84, 4), rng.normal(108, 5), skin)
    for side in (-1, 1):
        ellipse(side * rng.normal(34, 2), rng.normal(-28, 2), 15, 8, np.full(3, 230 * tone))
        ellipse(side * rng.normal(34, 2), rng.normal(-28, 2), 7, 7, rng.uniform(10, 60, 3))
        ellipse(side * 34, rng.normal(-48, 3), 20, 4, skin * rng.uniform(0.3, 0.6))
    ellipse(0, 10, 8, 22, skin * rng.uniform(0.82, 0.9))
    ellipse(0, rng.normal(48, 2), rng.normal(28, 3), rng.uniform(5, 12), skin * [0.75, 0.45, 0.45])
    light = 1 + 0.15 * rng.normal() * np.linspace(-1, 1, big)[None, :, None]
    lens = cv2.GaussianBlur(image * light, (0, 0), rng.uniform(0.8, 1.5))
    small = cv2.resize(lens, (CROP, CROP), interpolation=cv2.INTER_AREA)
    return np.clip(small + rng.normal(0, rng.uniform(1, 3), small.shape), 0, 255).astype(np.uint8)


def face_store(
    folder: Path,
    seed: int,
    videos: int = 30,
    change: Change | None = None,
    dataset: str = "FaceForensics++",
    split: str = "train",
    frames: int = 4,
    **columns: float,
) -> ClipStore:
    """A store of as many reals as fakes; ``change`` is done to the frames (T, CROP, CROP, 3) of every video."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(videos):
        fake = number % 2
        face = draw_face(rng)
        film = np.clip(face + rng.normal(0, 2, (frames, *face.shape)), 0, 255).astype(np.uint8)
        row = {"video_id": f"{dataset}/{split}/{number:03d}", "dataset": dataset, "split": split, "label": fake}
        row |= {"method": "Deepfakes" if fake else "real", "path": "", "identities": "", "word": ""}
        row |= {"face_px": rng.normal(70, 4), "align_residual": abs(rng.normal(0.04, 0.01))} | columns
        rows.append(write_clip(folder, row, change(film) if change else film))
    write_json(folder / "plan.json", {"synthetic": True, "canvas": 110, "crop": CROP, "frame_rate": "timestamps"})
    np.save(folder / "mean_face.npy", mean_face(face_points(1), 110))
    write_index(folder, rows)
    return ClipStore(folder)


def moved(scale: float = 1.0, right: float = 0.0, down: float = 0.0, turned: float = 0.0) -> Change:
    """Frames enlarged, moved (px) and turned (degrees) about their middle."""
    middle = (CROP - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), turned, scale)
    matrix[:, 2] += (right, down)

    def change(frames: np.ndarray) -> np.ndarray:
        how = {"borderMode": cv2.BORDER_REPLICATE}
        return np.stack([cv2.warpAffine(frame, matrix, (CROP, CROP), **how) for frame in frames])

    return change


def blurred(sigma: float) -> Change:
    """Frames softened by a Gaussian of so many px."""
    return lambda frames: np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def swapped_colours(frames: np.ndarray) -> np.ndarray:
    """Red for blue, as a reader does that takes OpenCV's order for RGB."""
    return np.ascontiguousarray(frames[..., ::-1])
