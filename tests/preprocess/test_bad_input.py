"""Videos and landmarks as they should not be: each gets its sentence in quarantine.csv, and the others are kept."""

import shutil
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest

from tdd.config import ClipConfig
from tdd.data.store import ClipStore
from tdd.preprocess.landmarks import landmark_path
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import SIZE, add_video, face_points
from tests.videos import clicks, counting_frames, encode

CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
START = "LRW/lipread_mp4/WORD/train/WORD_"
"""What the path of every video of the word begins with."""

WHOLE = f"{START}whole.mp4"
VIDEO_ID = "LRW/train/WORD_"


@pytest.fixture
def root(tmp_path):
    add_video(tmp_path / "data", WHOLE, audio=True)
    return tmp_path / "data"


def place(root, name, frames=30, points=None, **how):
    """A video under that name and its landmarks; ``frames`` may be a list of pictures."""
    pictures = counting_frames(frames, SIZE, SIZE) if isinstance(frames, int) else frames
    video = f"{START}{name}"
    sound = clicks([0.5], len(pictures) / how.get("rate", 25), 16_000)
    path = encode(root / video, pictures, **{"audio": sound} | how)
    give_landmarks(root, video, face_points(len(pictures)) if points is None else points)
    return path


def give_landmarks(root, video, points):
    marks = landmark_path(root, video)
    marks.parent.mkdir(parents=True, exist_ok=True)
    np.save(marks, points)


def damaged(root, name, change):
    """A copy of the whole video with ``change`` made to its bytes."""
    content = bytearray((root / WHOLE).read_bytes())
    (root / f"{START}{name}").write_bytes(change(content))
    shutil.copy(landmark_path(root, WHOLE), landmark_path(root, f"{START}{name}"))


def flipped(content):
    start = content.index(b"mdat") + 400
    for position in range(start, start + 600, 60):
        content[position] ^= 8
    return content


def ten_hours(content):
    """The same file with 10 h in every duration field of its header (version 0 boxes)."""
    for box, scale_at, duration_at in ((b"mvhd", 12, 16), (b"mdhd", 12, 16), (b"tkhd", None, 20)):
        at = content.find(box)
        while at >= 0:
            scale = int.from_bytes(content[at + 4 + scale_at : at + 8 + scale_at], "big") if scale_at else 1000
            content[at + 4 + duration_at : at + 8 + duration_at] = (36_000 * scale).to_bytes(4, "big")
            at = content.find(box, at + 4)
    return content


def prepared(root, tmp_path):
    """Reasons by file name, and the store."""
    done = prepare(root, tmp_path / "store", CLIP, workers=1)
    told = pd.read_csv(tmp_path / "store" / "quarantine.csv").set_index("video_id")["reason"]
    assert told.to_dict() == done.failed.set_index("video_id")["reason"].to_dict()
    assert len(told) + len(done.store.index) == len(list((root / WHOLE).parent.glob("*.mp4")))
    assert f"{VIDEO_ID}whole" in set(done.store.index["video_id"])
    wanted = {
        f"{row.video_id}{end}"
        for row in done.store.index.itertuples()
        for end in (".json", ".npy", *([".wav.npy"] if row.audio else []))
    }
    clips = tmp_path / "store" / "clips"
    assert {path.relative_to(clips).as_posix() for path in clips.rglob("*") if path.is_file()} == wanted
    return {video.removeprefix(VIDEO_ID): reason for video, reason in told.items()}, done.store


def test_damaged_files(root, tmp_path):
    damaged(root, "empty.mp4", lambda _: b"")
    damaged(root, "truncated.mp4", lambda content: content[: len(content) // 2])
    damaged(root, "flipped.mp4", flipped)
    damaged(root, "text.mp4", lambda _: b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    reasons, _ = prepared(root, tmp_path)
    assert set(reasons) == {"empty", "truncated", "flipped", "text"}
    assert "empty.mp4 is empty" in reasons["empty"] and "truncated.mp4 is cut off" in reasons["truncated"]
    for name in ("flipped", "text"):
        reason = reasons[name]
        assert f"{name}.mp4" in reason and ("cannot be decoded" in reason or "is damaged at frame" in reason)


def test_videos_that_are_none(root, tmp_path):
    place(root, "one.mp4", 1)
    place(root, "short.mp4", 24)
    place(root, "cut.mp4", 28, points=face_points(30))
    place(root, "leap.mp4", times=[Fraction(n, 25) for n in range(29)] + [Fraction(36_000)], container="matroska")
    with_sound = place(root, "sound.mkv", audio=clicks([0.5], 1.2, 16_000))
    with av.open(str(with_sound)) as source, av.open(str(root / f"{START}sound.mp4"), "w") as target:
        copy = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    with_sound.unlink()
    reasons, _ = prepared(root, tmp_path)
    assert "has 1 frames at 25 fps" in reasons["one"] and "has 24 frames at 25 fps" in reasons["short"]
    assert "has 28 frames and its landmarks 30" in reasons["cut"]
    assert "comes at 36000.00 s" in reasons["leap"]
    assert "holds no video stream" in reasons["sound"]
    assert len(reasons) == 5


def test_landmarks_that_do_not_fit(root, tmp_path):
    good = face_points(30)
    leaving = good + np.linspace(0, 80, 30)[:, None, None] * [1, 0]
    holed = good.copy()
    holed[7, 3] = np.nan
    arrays = {
        "long": face_points(31), "letters": np.full((30, 68, 2), "a"), "holed": holed, "leaving": leaving,
        "flat": good[:, :, 0], "heap": np.full((30, 68, 2), 40), "objects": np.full((30, 68, 2), None),
    }  # fmt: skip
    for name, points in arrays.items():
        place(root, f"{name}.mp4", points=points)
    place(root, "none.mp4")
    landmark_path(root, f"{START}none.mp4").unlink()
    place(root, "noise.mp4")
    landmark_path(root, f"{START}noise.mp4").write_bytes(b"\x93NUMPY nonsense")
    reasons, _ = prepared(root, tmp_path)
    sentences = {
        "long": "has 30 frames and its landmarks 31", "letters": "real numbers", "holed": "first in frame 7",
        "leaving": "outside the picture", "flat": "shape (30, 68)", "heap": "in one place", "objects": "not a readable",
        "none": "is missing", "noise": "not a readable",
    }  # fmt: skip
    assert set(reasons) == set(sentences)
    for name, sentence in sentences.items():
        assert sentence in reasons[name], name


def test_odd_but_good_files_are_kept(root, tmp_path):
    place(root, "really mkv.mp4", container="matroska", audio=clicks([0.5], 1.2, 16_000))
    place(root, "이름에 빈칸 和 ü.mp4")
    place(root, "integers.mp4", points=face_points(30).astype(np.int32))
    damaged(root, "ten hours.mp4", ten_hours)
    fast = np.round(face_points(60), 3)
    place(root, "sixty a second.mp4", 60, rate=60, points=fast)
    reasons, store = prepared(root, tmp_path)
    index = store.index.set_index("video_id")
    assert reasons == {} and index.loc[f"{VIDEO_ID}really mkv", "audio"]
    assert index["frames"].to_dict() == {
        VIDEO_ID + name: 25 if name == "sixty a second" else 30
        for name in ("integers", "really mkv", "sixty a second", "ten hours", "whole", "이름에 빈칸 和 ü")
    }
    np.testing.assert_array_equal(store.frames(f"{VIDEO_ID}ten hours", 0, 30), store.frames(f"{VIDEO_ID}whole", 0, 30))


def test_landmarks_are_resampled_with_their_frames(root, tmp_path):
    """A bright dot at the nose stays in the middle of the crop, at 60 fps and when relabelled."""
    drift = np.linspace(-15, 15, 60)
    points = np.repeat(face_points(1), 60, axis=0) + drift[:, None, None] * [1, 0]
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    spots = [255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in points[:, 30]]
    pictures = [spot[:, :, None].repeat(3, 2).astype(np.uint8) for spot in spots]
    place(root, "dot.mp4", pictures, rate=60, points=points, options={"crf": "5"})
    for rule, frames in (("timestamps", 25), ("relabelled", 60)):
        clip = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32, frame_rate=rule)
        store = prepare(root, tmp_path / rule, clip, workers=1).store
        assert store.plan["frame_rate"] == rule
        crops = store.frames(f"{VIDEO_ID}dot", 0, frames).astype(float)[..., 1]
        found = (crops.sum(1) @ np.arange(42)) / crops.sum((1, 2))  # the dot's column in each frame
        assert np.ptp(found) < 0.6
        assert int(store.index.set_index("video_id").loc[f"{VIDEO_ID}dot", "frames"]) == frames


PEAK = """
import sys
from pathlib import Path
from tdd.config import ClipConfig
from tdd.preprocess.prepare import prepare
prepare(Path(sys.argv[1]), Path(sys.argv[2]), ClipConfig(**{clip}, frames=4), workers=1)
peak = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(peak[0].split()[1]) * 1024)
"""
"""A process of its own that prepares one video and says how much memory it held at most, bytes."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process from /proc")
def test_memory_grows_neither_with_length_nor_beyond_a_few_large_frames(root, tmp_path):
    settings = {key: getattr(CLIP, key) for key in ("canvas", "crop", "view_crop", "input_size")}

    def peak(name):
        for path in (root / WHOLE).parent.glob("*.mp4"):
            if path.stem != f"WORD_{name}":
                path.rename(path.with_suffix(".aside"))
        script = PEAK.format(clip=settings)
        command = [sys.executable, "-c", script, str(root), str(tmp_path / name)]
        used = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for path in (root / WHOLE).parent.glob("*.aside"):
            path.rename(path.with_suffix(".mp4"))
        return used

    for name, length in (("short", 500), ("long", 2_500)):
        place(root, f"{name}.mp4", [np.full((SIZE, SIZE, 3), 90, np.uint8)] * length)
    assert peak("long") < peak("short") + 2_000 * 42 * 42 * 3 / 2
    eight_k = [np.full((4320, 7680, 3), 90, np.uint8)] * 5
    place(root, "8k.mp4", eight_k, points=face_points(5) + 2000, options={"preset": "ultrafast"})
    assert peak("8k") < peak("whole") + 5 * eight_k[0].nbytes
    assert ClipStore(tmp_path / "8k").index["frames"].tolist() == [5]
