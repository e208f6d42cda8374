"""Which format for the clip store: how many bytes is a clip, and how many random clips a second does one core draw?

Renders a few synthetic videos at 256 px, aligns them into a store of 150 px faces, and keeps the same faces in lossless
formats: the raw array that the store uses, FFV1, x264 without loss (RGB), PNG and WebP per frame. Then
draws random 25-frame clips from each and makes two views, as stage 1 does: random crop, resize to 112 px, random flip.
Every format must give the same pixels back. One thread, files in the page cache; seconds are the process's own CPU
seconds, so that other work on the machine does not count.

    python benchmarks/store_format.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch

import tdd
from tdd.config import Recipe
from tdd.data.augment import train_view
from tdd.data.clips import Draw, PretrainingClips
from tdd.data.store import ClipStore
from tdd.preprocess.prepare import prepare
from tdd.synth.sizes import SynthSize
from tdd.synth.trees import write_benchmark

REFERENCE = 16.3
"""Clips/s of the published loader on one core, kindest settings (two views and log-mel of a clip, FFV1)."""

SIZE = SynthSize(
    name="store_format", image_px=256, words=2, lrw_train=6, lrw_val=1, lrw_test=1, lrw_speakers=(4, 1, 1),
    lrw_frames=29, ff_pairs=(1, 0, 1), ff_frames=(110, 110), celeb_people=0, celeb_real=0, youtube_real=0, celeb_fake=0,
)  # fmt: skip
METHODS = ("Deepfakes",)

PARTS = 9

Reader = Callable[[str, int, int], np.ndarray]
"""(video id, first frame, frames) to RGB uint8, shape (frames, 150, 150, 3)."""


def as_video(store: ClipStore, folder: Path, codec: str, pixels: str, options: dict[str, str]) -> Reader:
    """One Matroska file a video; reading seeks to the key frame before the clip."""

    def path_of(video_id: str) -> Path:
        return folder / f"{video_id.replace('/', '_')}.mkv"

    folder.mkdir()
    for row in store.index.itertuples():
        with av.open(str(path_of(row.video_id)), "w") as container:
            stream = container.add_stream(codec, rate=25, options={"threads": "1", **options})
            stream.width = stream.height = Recipe().clip.crop
            stream.pix_fmt = pixels
            for frame in store.frames(row.video_id, 0, row.frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
            container.mux(stream.encode())

    def read(video_id: str, start: int, count: int) -> np.ndarray:
        frames: list[np.ndarray] = []
        with av.open(str(path_of(video_id))) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            container.seek(int(start / 25 / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if round(frame.time * 25) >= start:
                    frames.append(frame.reformat(format="rgb24", threads=1).to_ndarray())
                if len(frames) == count:
                    break
        return np.stack(frames)

    return read


def as_images(store: ClipStore, folder: Path, extension: str, options: list[int]) -> Reader:
    """One file a video: its frames' images one after the other, and where each begins."""
    ends: dict[str, np.ndarray] = {}

    def path_of(video_id: str) -> Path:
        return folder / f"{video_id.replace('/', '_')}{extension}s"

    folder.mkdir()
    for row in store.index.itertuples():
        images = [
            cv2.imencode(extension, frame[:, :, ::-1], options)[1].tobytes()
            for frame in store.frames(row.video_id, 0, row.frames)
        ]
        path_of(row.video_id).write_bytes(b"".join(images))
        ends[row.video_id] = np.cumsum([0, *map(len, images)])

    def read(video_id: str, start: int, count: int) -> np.ndarray:
        edges = ends[video_id][start : start + count + 1]
        content = np.fromfile(path_of(video_id), np.uint8, int(edges[-1] - edges[0]), offset=int(edges[0]))
        edges = edges - edges[0]
        images = [cv2.imdecode(content[a:b], cv2.IMREAD_COLOR_RGB) for a, b in itertools.pairwise(edges)]
        return np.stack(images)

    return read


def formats(store: ClipStore, home: Path) -> dict[str, Reader]:
    """Every format's reader, its files written below ``home``."""
    slices = {"level": "3", "coder": "1"}
    return {
        "raw (in use)": store.frames,
        "FFV1, a key frame every 12 (as published)": as_video(
            store, home / "ffv1-12", "ffv1", "bgr0", slices | {"g": "12"}
        ),
        "FFV1, key frames only": as_video(store, home / "ffv1-1", "ffv1", "bgr0", slices | {"g": "1"}),
        "x264 -qp 0 RGB, a key frame every 12": as_video(
            store, home / "x264", "libx264rgb", "rgb24", {"qp": "0", "preset": "medium", "g": "12"}
        ),
        "PNG per frame": as_images(store, home / "png", ".png", [cv2.IMWRITE_PNG_COMPRESSION, 3]),
        "WebP lossless per frame": as_images(store, home / "webp", ".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
    }


def measure(name: str, read: Reader, store: ClipStore, files: list[Path], seconds: float) -> dict[str, Any]:
    """One row of the table; refuses a format that changes a pixel."""
    clip, flip, frames = Recipe().clip, Recipe().noise.flip, int(store.index["frames"].sum())
    for row in store.index.itertuples():
        start = row.frames - clip.frames
        same = np.array_equal(read(row.video_id, start, clip.frames), store.frames(row.video_id, start, clip.frames))
        assert same, f"{name} is not lossless"
    rng = np.random.default_rng(0)
    videos = list(store.index[["video_id", "frames"]].itertuples(index=False))

    def draw(_: int) -> None:
        video = videos[int(rng.integers(len(videos)))]
        pixels = read(video.video_id, int(rng.integers(video.frames - clip.frames + 1)), clip.frames)
        for _ in range(2):
            train_view(pixels, rng, clip, flip)

    return {
        "format": name,
        "bytes_per_clip": round(sum(path.stat().st_size for path in files) / frames * clip.frames),
        "clips_per_s_two_views": rate(draw, seconds),
    }


def rate(draw: Callable[[int], Any], seconds: float) -> float:
    """Calls of ``draw`` a CPU second: the median of ``PARTS`` parts, for the machine has other work too."""
    found, done = [], 0
    for _ in range(PARTS):
        first, began = done, time.process_time()
        while time.process_time() < began + seconds / PARTS:
            draw(done)
            done += 1
        found.append((done - first) / (time.process_time() - began))
    return float(np.median(found))


def loader_speed(store: ClipStore, seconds: float) -> float:
    """Clips/s of the whole stage-1 item: two views, log-mel, masks."""
    recipe = Recipe()
    clips = PretrainingClips(store, store.index[store.index["audio"]], recipe, train=True)
    return rate(lambda number: clips[Draw(number % len(clips), (0, number))], seconds)


def main() -> None:
    """Measure, print, and write ``results/store_format.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of drawing, for each format")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_benchmark(home / "data", SIZE, seed=0, methods=METHODS, workers=1)
        store = prepare(home / "data", home / "store", Recipe().clip, workers=1).store
        folders = [home / "store" / "clips", *(home / name for name in ("ffv1-12", "ffv1-1", "x264", "png", "webp"))]
        rows = []
        for (name, read), at in zip(formats(store, home).items(), folders, strict=True):
            files = [
                path for path in at.rglob("*") if path.is_file() and path.suffix != ".json" and ".wav" not in path.name
            ]
            rows.append(measure(name, read, store, files, options.seconds))
        whole = loader_speed(store, options.seconds)
        videos, frames = len(store.index), int(store.index["frames"].sum())
    result = {
        "formats": rows,
        "stage1_items_per_s": whole,
        "reference_clips_per_s": REFERENCE,
        "videos": videos,
        "frames": frames,
    }
    lines = [
        f"# Formats for the clip store (tdd {tdd.__version__}, PyAV {av.__version__}, OpenCV {cv2.__version__}, "
        f"{platform.machine()})",
        "",
        f"`python benchmarks/store_format.py --seconds {options.seconds:g}`: {videos} synthetic videos, {frames} "
        f"frames of 150 px, one thread, CPU seconds (median of {PARTS} parts), page cache hot. A clip is "
        "25 frames; two views are drawn from it as in stage 1. All give back the same pixels. Drawn faces are "
        "smooth and compress better than filmed ones.",
        "",
        "| format | MB a clip | random clips a CPU second, two views | beside the published loader's 16.3 |",
        "|---|---|---|---|",
        *(
            f"| {row['format']} | {row['bytes_per_clip'] / 1e6:.2f} | {row['clips_per_s_two_views']:.0f} | "
            f"{row['clips_per_s_two_views'] / REFERENCE:.1f}x |"
            for row in rows
        ),
        "",
        f"The whole stage-1 item (two views, log-mel, masks) from the raw array: {whole:.0f} clips a CPU second, "
        f"{whole / REFERENCE:.1f}x; the published loader's 16.3 clips/s a core are for the same work.",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "store_format.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (options.out / "store_format.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
