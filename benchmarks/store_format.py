"""Which format for the clip store: how many bytes is a clip, and how many random clips a second does one core draw?

Renders a few synthetic videos at 256 px, aligns them into a store of 150 px faces, and keeps the same faces in lossless
formats: the raw array that the store uses, the compact one that ``tdd prepare --compact`` writes, and what else was
tried. Then draws random 25-frame clips from each and makes two views, as stage 1 does: random crop, resize to 112 px,
random flip. Every format must give the same pixels back. One thread, files in the page cache; seconds are the process's
own CPU seconds, so that other work on the machine does not count.

    python benchmarks/store_format.py
    python benchmarks/store_format.py --store STORE     # the faces of a store of your own, too: filmed ones

Formats of imagecodecs are measured where it is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import platform
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import torch

import tdd
from tdd.config import Recipe
from tdd.data.augment import train_view
from tdd.data.clips import Draw, PretrainingClips
from tdd.data.compact import read_compact, write_compact
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


def as_parts(
    store: ClipStore,
    folder: Path,
    write: Callable[[np.ndarray], Sequence[Any]],
    read_parts: Callable[[list[bytes]], np.ndarray],
    each: int = 1,
) -> Reader:
    """One file a video: parts of ``each`` frames one after the other, and where each begins.

    ``write`` makes a video's parts; ``read_parts`` gives back the frames of some.
    """
    ends: dict[str, np.ndarray] = {}

    def path_of(video_id: str) -> Path:
        return folder / video_id.replace("/", "_")

    folder.mkdir()
    for row in store.index.itertuples():
        parts = [bytes(part) for part in write(store.frames(row.video_id, 0, row.frames))]
        path_of(row.video_id).write_bytes(b"".join(parts))
        ends[row.video_id] = np.cumsum([0, *map(len, parts)])

    def read(video_id: str, start: int, count: int) -> np.ndarray:
        first = start // each
        edges = ends[video_id][first : (start + count - 1) // each + 2]
        content = np.fromfile(path_of(video_id), np.uint8, int(edges[-1] - edges[0]), offset=int(edges[0])).tobytes()
        edges = edges - edges[0]
        frames = read_parts([content[a:b] for a, b in itertools.pairwise(edges)])
        return frames[start - first * each :][:count]

    return read


def as_images(store: ClipStore, folder: Path, extension: str, options: list[int]) -> Reader:
    """An image a frame, by OpenCV."""
    return as_parts(
        store,
        folder,
        lambda frames: [cv2.imencode(extension, frame[:, :, ::-1], options)[1] for frame in frames],
        lambda parts: np.stack([cv2.imdecode(np.frombuffer(p, np.uint8), cv2.IMREAD_COLOR_RGB) for p in parts]),
    )


def as_packets(store: ClipStore, folder: Path, codec: str, pixels: str, options: dict[str, str]) -> Reader:
    """A packet a frame of a codec without prediction in time."""
    side, known = Recipe().clip.crop, types.SimpleNamespace(extra=None)

    def write(frames: np.ndarray) -> list[Any]:
        encoder: Any = av.CodecContext.create(codec, "w")
        encoder.width = encoder.height = side
        encoder.pix_fmt, encoder.time_base, encoder.options = pixels, Fraction(1, 25), {"threads": "1", **options}
        parts = []
        for frame in frames:
            parts += encoder.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=pixels))
        parts += encoder.encode(None)
        known.extra = encoder.extradata
        return parts

    def read(parts: list[bytes]) -> np.ndarray:
        decoder: Any = av.CodecContext.create(codec, "r")
        decoder.width = decoder.height = side
        decoder.pix_fmt, decoder.thread_count = pixels, 1
        if known.extra:
            decoder.extradata = known.extra
        out = np.empty((len(parts), side, side, 3), np.uint8)
        for part, frame in zip(parts, out, strict=True):
            (shown,) = decoder.decode(av.Packet(part))
            if pixels == "gbrp":
                planes = [
                    np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, :side] for plane in shown.planes
                ]
                cv2.merge([planes[2], planes[0], planes[1]], frame)
            else:
                frame[:] = shown.to_ndarray()
        return out

    return as_parts(store, folder, write, read)


def as_differences(store: ClipStore, folder: Path, codec: str, each: int, in_time: bool) -> Reader:
    """Differences from the pixels above, beside and (``in_time``) before, compressed ``each`` frames at a time."""
    packer = pa.Codec(codec)

    def differences(block: np.ndarray, way: int) -> np.ndarray:
        return np.diff(block, axis=way, prepend=np.zeros_like(block.take([0], axis=way)))

    def write(frames: np.ndarray) -> list[bytes]:
        parts = []
        for first in range(0, len(frames), each):
            block = np.moveaxis(frames[first : first + each], 3, 0).copy()
            block[0] -= block[1]
            block[2] -= block[1]
            for way in (1, 2, 3) if in_time else (2, 3):
                block = differences(block, way)
            parts.append(np.array(len(block[0]), "<u4").tobytes() + packer.compress(block.tobytes(), asbytes=True))
        return parts

    def read(parts: list[bytes]) -> np.ndarray:
        side, blocks = Recipe().clip.crop, []
        for part in parts:
            length = int.from_bytes(part[:4], "little")
            raw = packer.decompress(part[4:], decompressed_size=3 * length * side * side)
            block = np.frombuffer(raw, np.uint8).reshape(3, length, side, side)
            for way in (3, 2, 1) if in_time else (3, 2):
                block = np.add.accumulate(block, axis=way, dtype=np.uint8)
            block[0] += block[1]
            block[2] += block[1]
            blocks += [cv2.merge(list(frame)) for frame in block.swapaxes(0, 1)]
        return np.stack(blocks)

    return as_parts(store, folder, write, read, each)


def as_compact(store: ClipStore, folder: Path) -> Reader:
    """As ``tdd prepare --compact`` keeps frames."""

    def path_of(video_id: str) -> Path:
        return folder / f"{video_id.replace('/', '_')}.utv"

    folder.mkdir()
    for row in store.index.itertuples():
        write_compact(path_of(row.video_id), store.frames(row.video_id, 0, row.frames), hashlib.sha256())
    return lambda video_id, start, count: read_compact(path_of(video_id), start, count)


def as_raw(store: ClipStore, folder: Path) -> Reader:
    """As ``tdd prepare`` keeps frames."""
    folder.mkdir()
    for number, row in enumerate(store.index.itertuples()):
        np.save(folder / f"{number}.npy", store.frames(row.video_id, 0, row.frames))
    return store.frames


Writer = Callable[[ClipStore, Path], Reader]
"""Keeps the faces of a store below a new folder."""


def video(codec: str, pixels: str, **options: str) -> Writer:
    """See :func:`as_video`."""
    return lambda store, folder: as_video(store, folder, codec, pixels, options)


def packets(codec: str, pixels: str, **options: str) -> Writer:
    """See :func:`as_packets`."""
    return lambda store, folder: as_packets(store, folder, codec, pixels, options)


def images(extension: str, *options: int) -> Writer:
    """See :func:`as_images`."""
    return lambda store, folder: as_images(store, folder, extension, list(options))


def packed(codec: str, each: int, in_time: bool = False) -> Writer:
    """See :func:`as_differences`."""
    return lambda store, folder: as_differences(store, folder, codec, each, in_time)


FORMATS: dict[str, Writer] = {
    "raw (in use)": as_raw,
    "UT Video per frame, median (`--compact`)": as_compact,
    "FFV1, a key frame every 12 (as published)": video("ffv1", "bgr0", level="3", coder="1", g="12"),
    "FFV1, key frames only": video("ffv1", "bgr0", level="3", coder="1", g="1"),
    "MagicYUV per frame, median": packets("magicyuv", "gbrp", pred="median"),
    "HuffYUV (FFmpeg's) per frame, plane": packets("ffvhuff", "gbrp", pred="plane"),
    "QOI per frame": packets("qoi", "rgb24"),
    "JPEG-LS per frame": packets("jpegls", "rgb24"),
    "PNG per frame": images(".png", cv2.IMWRITE_PNG_COMPRESSION, 3),
    "WebP lossless per frame": images(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "differences in space, zstd, 5 frames": packed("zstd", 5),
    "differences in space and time, zstd, 5 frames": packed("zstd", 5, in_time=True),
    "differences in space, LZ4, 5 frames": packed("lz4_raw", 5),
    "x264 -qp 0 RGB, a key frame every 12": video("libx264rgb", "rgb24", qp="0", preset="medium", g="12"),
    "x265 lossless, a key frame every 12": video(
        "libx265", "gbrp", preset="fast", g="12", **{"x265-params": "lossless=1:log-level=none:pools=none"}
    ),
    "VP9 lossless, a key frame every 12": video("libvpx-vp9", "gbrp", lossless="1", g="12", **{"cpu-used": "5"}),
}
"""What was tried."""


def more_formats() -> dict[str, Writer]:
    """Those of imagecodecs, where it is installed."""
    try:
        import imagecodecs as codecs
    except ImportError:
        return {}

    def images_of(encode: Callable[[np.ndarray], bytes], decode: Callable[[bytes], np.ndarray]) -> Writer:
        return lambda store, folder: as_parts(
            store,
            folder,
            lambda frames: [encode(np.ascontiguousarray(frame)) for frame in frames],
            lambda parts: np.stack([decode(part) for part in parts]),
        )

    return {
        "JPEG XL lossless per frame, effort 1 (imagecodecs)": images_of(
            lambda frame: codecs.jpegxl_encode(frame, lossless=True, effort=1, numthreads=1),
            lambda part: codecs.jpegxl_decode(part, numthreads=1),
        ),
        "JPEG XL lossless per frame, effort 3 (imagecodecs)": images_of(
            lambda frame: codecs.jpegxl_encode(frame, lossless=True, effort=3, numthreads=1),
            lambda part: codecs.jpegxl_decode(part, numthreads=1),
        ),
        "JPEG-LS per frame (imagecodecs)": images_of(codecs.jpegls_encode, codecs.jpegls_decode),
        "WebP lossless per frame, level 0 (imagecodecs)": images_of(
            lambda frame: codecs.webp_encode(frame, lossless=True, level=0), codecs.webp_decode
        ),
        "QOI per frame (imagecodecs)": images_of(codecs.qoi_encode, codecs.qoi_decode),
    }


def measure(write: Writer, stores: dict[str, ClipStore], home: Path, seconds: float) -> dict[str, Any]:
    """One row of the table: bytes a clip of each store, speed with the last; refuses a format that changes a pixel."""
    clip, flip = Recipe().clip, Recipe().noise.flip
    found: dict[str, Any] = {"bytes_per_clip": {}}
    for number, (name, store) in enumerate(stores.items()):
        began, folder = time.process_time(), home / str(number)
        home.mkdir(exist_ok=True)
        read, frames = write(store, folder), int(store.index["frames"].sum())
        found["frames_written_per_s"] = frames / (time.process_time() - began)
        for row in store.index.itertuples():
            start = row.frames - clip.frames
            same = np.array_equal(
                read(row.video_id, start, clip.frames), store.frames(row.video_id, start, clip.frames)
            )
            assert same, "not lossless"
        taken = sum(path.stat().st_size for path in folder.iterdir())
        found["bytes_per_clip"][name] = round(taken / frames * clip.frames)
    rng = np.random.default_rng(0)
    videos = list(store.index[["video_id", "frames"]].itertuples(index=False))

    def draw(_: int) -> None:
        video = videos[int(rng.integers(len(videos)))]
        pixels = read(video.video_id, int(rng.integers(video.frames - clip.frames + 1)), clip.frames)
        for _ in range(2):
            train_view(pixels, rng, clip, flip)

    return found | {"clips_per_s_two_views": rate(draw, seconds)}


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write ``results/store_format.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of drawing, for each format")
    parser.add_argument("--store", type=Path, help="a store of faces of 150 px, measured beside the drawn ones")
    parser.add_argument(
        "--formats", nargs="*", default=[], metavar="WORD", help="those whose name holds one (default: all)"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_benchmark(home / "data", SIZE, seed=0, methods=METHODS, workers=1)
        stores = {"drawn": prepare(home / "data", home / "store", Recipe().clip, workers=1).store}
        whole = loader_speed(stores["drawn"], options.seconds)
        if options.store:
            stores["filmed"] = ClipStore(options.store)
        rows = []
        for number, (name, write) in enumerate((FORMATS | more_formats()).items()):
            if not options.formats or any(word in name for word in options.formats):
                rows.append({"format": name} | measure(write, stores, home / str(number), options.seconds))
                print(json.dumps(rows[-1]), flush=True)  # noqa: T201
        counts = {name: (len(store.index), int(store.index["frames"].sum())) for name, store in stores.items()}
    result = {
        "formats": rows,
        "stage1_items_per_s": whole,
        "reference_clips_per_s": REFERENCE,
        "videos_and_frames": counts,
    }
    said = " and ".join(f"{videos} {name} videos ({frames} frames)" for name, (videos, frames) in counts.items())
    lines = [
        f"# Formats for the clip store (tdd {tdd.__version__}, PyAV {av.__version__}, OpenCV {cv2.__version__}, "
        f"{platform.machine()})",
        "",
        f"`python benchmarks/store_format.py --seconds {options.seconds:g}{' --store STORE' * bool(options.store)}`: "
        f"{said} of 150 px, one thread, CPU seconds (median of {PARTS} parts), page cache hot. A clip is "
        f"25 frames; two views are drawn from it as in stage 1, of the {list(counts)[-1]} ones. All give back the same "
        "pixels. Drawn faces are smooth and compress better than filmed ones.",
        "",
        f"| format | MB a clip, {', '.join(counts)} | frames written/s | random clips a CPU second, two views "
        "| beside the published loader's 16.3 |",
        "|---|---|---|---|---|",
        *(
            f"| {row['format']} | {', '.join(f'{size / 1e6:.2f}' for size in row['bytes_per_clip'].values())} "
            f"| {row['frames_written_per_s']:,.0f} | {row['clips_per_s_two_views']:.0f} "
            f"| {row['clips_per_s_two_views'] / REFERENCE:.1f}x |"
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
