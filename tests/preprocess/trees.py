"""The smallest data root with all three layouts: real mp4 files, and landmarks that follow a drawn face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tdd.data.video import write_video

SIZE = 96


def face_points(n_frames: int, turn: float = 0.0, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    """A plausible set of 68 points that drifts; shape (T, 68, 2), px."""
    jaw = np.linspace(0, np.pi, 17)
    points = np.zeros((68, 2))
    points[:17] = np.stack([-np.cos(jaw) * 26, np.sin(jaw) * 30 - 2], 1)
    points[17:27] = np.stack([np.linspace(-20, 20, 10), np.full(10, -18)], 1)
    points[27:36] = np.concatenate(
        [np.stack([np.zeros(4), np.linspace(-10, 4, 4)], 1), np.stack([np.linspace(-6, 6, 5), np.full(5, 7)], 1)]
    )
    circle = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    for start, x in ((36, -11), (42, 11)):
        points[start : start + 6] = np.stack([x - 5 * np.cos(circle), -11 - 2 * np.sin(circle)], 1)
    mouth = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[48:68] = np.stack([-9 * np.cos(mouth), 17 - 4 * np.sin(mouth)], 1)
    turned = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * scale
    drift = np.cumsum(np.random.default_rng(seed).normal(0, 0.3, (n_frames, 1, 2)), 0)
    return (turned[None] + drift + SIZE / 2).astype(np.float32)


def add_video(root: Path, name: str, n_frames: int = 30, audio: bool = False, seed: int = 0) -> None:
    """One video with its landmarks; a bright dot marks every landmark."""
    points = face_points(n_frames, seed=seed)
    frames = np.full((n_frames, SIZE, SIZE, 3), 60, np.uint8)
    for frame, spots in zip(frames, np.rint(points).astype(int), strict=True):
        frame[spots[:, 1].clip(0, SIZE - 1), spots[:, 0].clip(0, SIZE - 1)] = 255
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(seed).uniform(-0.3, 0.3, n_frames * 640).astype(np.float32) if audio else None
    write_video(path, frames, audio=sound)
    marks = root / "landmarks" / Path(name).with_suffix(".npy")
    marks.parent.mkdir(parents=True, exist_ok=True)
    np.save(marks, points)


def write_root(root: Path) -> Path:
    """Two LRW words, one FaceForensics++ pair a split in two methods, and four Celeb-DF-v2 videos."""
    for seed, word in enumerate(("ABOUT", "MOVIE")):
        for split in ("train", "val"):
            add_video(root, f"LRW/lipread_mp4/{word}/{split}/{word}_00001.mp4", 29, audio=True, seed=seed)
    home = "FaceForensics++"
    (root / home / "splits").mkdir(parents=True)
    for split, (a, b) in {"train": ("000", "003"), "val": ("001", "004"), "test": ("002", "005")}.items():
        (root / home / "splits" / f"{split}.json").write_text(json.dumps([[a, b]]), encoding="utf-8")
        for name in (a, b):
            add_video(root, f"{home}/original_sequences/youtube/c23/videos/{name}.mp4")
        for method in ("Deepfakes", "FaceShifter"):
            for name in (f"{a}_{b}", f"{b}_{a}"):
                add_video(root, f"{home}/manipulated_sequences/{method}/c23/videos/{name}.mp4")
    for name in ("Celeb-real/id0_0000", "Celeb-real/id1_0000", "YouTube-real/00170", "Celeb-synthesis/id0_id1_0000"):
        add_video(root, f"Celeb-DF-v2/{name}.mp4")
    listing = "1 YouTube-real/00170.mp4\n1 Celeb-real/id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"
    (root / "Celeb-DF-v2" / "List_of_testing_videos.txt").write_text(listing, encoding="utf-8")
    return root
