"""Small clip stores of random pixels: for tests of what is done with clips, not of what they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tdd.data.store import ClipStore, write_clip, write_index
from tdd.machine.files import write_json
from tdd.preprocess.crops import mean_face
from tests.preprocess.trees import face_points

METHODS = ("real", "Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures", "FaceShifter")


def random_store(
    folder: Path,
    crop: int = 42,
    faces: int = 12,
    videos: int = 6,
    frames: int = 30,
    canvas: int = 72,
    val: int = 0,
    named: bool = False,
) -> ClipStore:
    """LRW-like faces (four words), FaceForensics++-like and Celeb-DF-like videos; ``val`` for calibration.

    ``named``: the index says who is seen in the videos of FaceForensics++.
    """
    rng = np.random.default_rng(0)
    rows = []

    def add(
        video_id: str, dataset: str, method: str, split: str, length: int, word: str = "", identities: str = ""
    ) -> None:
        pixels = rng.integers(0, 256, (length, crop, crop, 3), dtype=np.uint8)
        sound = [rng.uniform(-0.5, 0.5, length * 640).astype(np.float32)] if dataset == "LRW" else []
        row = {"video_id": video_id, "dataset": dataset, "method": method, "split": split, "word": word}
        row |= {"label": int(method != "real"), "path": "", "identities": identities}
        rows.append(write_clip(folder, row, pixels, sound))

    for number in range(faces):
        for split in ("train", "val"):
            word = f"WORD{number % 4}"
            add(f"LRW/{split}/{word}_{number:05d}", "LRW", "real", split, 29, word)
    for method in METHODS:
        for number in range(videos):
            for split in ("train", "test"):
                name = f"FaceForensics++/{method}/c23/{split}{number}"
                people = f"{split}{number}" if method == "real" else f"{split}{number} {split}{number ^ 1}"
                add(name, "FaceForensics++", method, split, frames + number, identities=people if named else "")
        for number in range(val):
            add(f"FaceForensics++/{method}/c23/val{number}", "FaceForensics++", method, "val", frames + number)
    for method in ("real", "Celeb-DF"):
        for number in range(videos):
            add(f"Celeb-DF-v2/{method}/{number}", "Celeb-DF-v2", method, "test", 2 * frames)
    write_json(folder / "plan.json", {"synthetic": True, "canvas": canvas, "crop": crop, "frame_rate": "timestamps"})
    np.save(folder / "mean_face.npy", mean_face(face_points(1), canvas))
    write_index(folder, rows)
    return ClipStore(folder)
