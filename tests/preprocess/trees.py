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


def add_video(root: Path, name: str, n_frames: int = 30, audio: bool | None = None, seed: int = 0) -> None:
    """One video with its landmarks; a bright dot marks every landmark. With sound, if not told, where LRW has it."""
    audio = name.startswith("LRW/") if audio is None else audio
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


def put_videos(root: Path, *names: str, audio: bool = False) -> None:
    """The same four small frames under every name, without landmarks."""
    first = root / names[0]
    sound = np.zeros(4 * 640, np.float32) if audio else None
    write_video(first, np.full((4, 32, 32, 3), 90, np.uint8), audio=sound)
    for name in names[1:]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(first.read_bytes())


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_deeperforensics(root: Path) -> None:
    """Two versions of three fakes, one a split, and a source video that is not the real class."""
    home = "DeeperForensics-1.0"
    for split, name in {"train": "000_W101.mp4", "val": "001_M102.mp4", "test": "002_M102.mp4"}.items():
        write_text(root / home / "lists/splits" / f"{split}.txt", f"{name}\n\n")
        put_videos(
            root, f"{home}/manipulated_videos/end_to_end/{name}", f"{home}/manipulated_videos/end_to_end_level_5/{name}"
        )
    put_videos(root, f"{home}/source_videos/M102/a.mp4")


def write_dfdc(root: Path) -> None:
    """One training part and the public test set."""
    part = {"b.mp4": {"label": "REAL", "split": "train"}}
    part["a.mp4"] = {"label": "FAKE", "split": "train", "original": "b.mp4"}
    write_text(root / "DFDC/dfdc_train_part_0/metadata.json", json.dumps(part))
    write_text(root / "DFDC/test/labels.csv", "filename,label\nx.mp4,1\ny.mp4,0\n")
    put_videos(
        root,
        "DFDC/dfdc_train_part_0/a.mp4",
        "DFDC/dfdc_train_part_0/b.mp4",
        "DFDC/test/videos/x.mp4",
        "DFDC/test/videos/y.mp4",
    )


def write_fakeavceleb(root: Path) -> None:
    """One video of each type; one is listed twice, as in the owner's table."""
    header = "source,target1,target2,method,category,type,race,gender,path,\n"
    rows = {
        "real": ("id1,-,-,real,A", "RealVideo-RealAudio", "00001.mp4"),
        "rtvc": ("id1,-,-,rtvc,B", "RealVideo-FakeAudio", "00002_fake.mp4"),
        "fsgan": ("id1,id2,-,fsgan,C", "FakeVideo-RealAudio", "00003_id2_x.mp4"),
        "wav2lip": ("id1,id2,id3,wav2lip,D", "FakeVideo-FakeAudio", "00004_id2_x.mp4"),
    }
    lines = [
        f"{who},{kind},African,men,{name},FakeAVCeleb/{kind}/African/men/id1\n" for who, kind, name in rows.values()
    ]
    write_text(root / "FakeAVCeleb/meta_data.csv", header + "".join([*lines, lines[2]]))
    names = [f"FakeAVCeleb/{kind}/African/men/id1/{name}" for _, kind, name in rows.values()]
    put_videos(root, *names, audio=True)


def write_celeb_df_pp(root: Path, method: str = "BlendFace") -> None:
    """Two reals and a fake of three methods on the list of test videos, and one fake that is not."""
    home = "Celeb-DF++"
    lines = ["1 Celeb-real/id0_0000.mp4", "1 YouTube-real/00170.mp4"]
    fakes = (f"FaceSwap/{method}/id0_id1_0000", "FaceReenact/LIA/id0_id1_0001", "TalkingFace/FLOAT/id1_0003_id0")
    lines += [f"0 Celeb-synthesis/{name}.mp4" for name in fakes]
    put_videos(
        root, *(f"{home}/{line[2:]}" for line in lines), f"{home}/Celeb-synthesis/FaceReenact/LIA/id3_id4_0000.mp4"
    )
    write_text(root / home / "List_of_testing_videos.txt", "\n".join([*lines, ""]))


def write_df40(root: Path) -> None:
    """Fakes of the pairs (000, 003), (001, 004) and (002, 005), of Celeb-DF-v2, and a method with reals of its own."""
    for split, pair in {"train": ["000", "003"], "val": ["001", "004"], "test": ["002", "005"]}.items():
        write_text(root / "FaceForensics++/splits" / f"{split}.json", json.dumps([pair]))
    put_videos(
        root,
        "DF40/train/simswap/ff/000_003.mp4",
        "DF40/test/simswap/ff/002_005.mp4",
        "DF40/test/simswap/cdf/id0_id1_0002.mp4",
        "DF40/sadtalker/ff/videos/001.mp4",
        "DF40/test/heygen/fake/a.mp4",
        "DF40/test/heygen/real/b.mp4",
        "DF40/test/simswap/ff/unknown.mp4",
    )
    write_text(root / "DF40/test/VQGAN/ff/000/000.png", "")


def write_lavdf(root: Path) -> None:
    """A real and its three kinds of fake, one of them made from another fake."""

    def entry(file: str, split: str, original: str | None, seen: bool, heard: bool, *periods: list[float]) -> dict:
        return {
            "file": file, "n_fakes": len(periods), "fake_periods": periods, "duration": 4.1, "original": original,
            "modify_video": seen, "modify_audio": heard, "split": split, "video_frames": 4, "audio_channels": 1,
            "audio_frames": 2560,
        }  # fmt: skip

    rows = [
        entry("test/000000.mp4", "test", None, False, False),
        entry("test/000001.mp4", "test", "test/000000.mp4", True, False, [0.08, 0.12], [0.02, 0.04]),
        entry("test/000002.mp4", "test", "000001.mp4", True, True, [0.0, 0.1], [0.08, 0.16]),
        entry("dev/000003.mp4", "dev", None, False, False),
        entry("dev/000004.mp4", "dev", "dev/000003.mp4", False, True, [0.04, 0.16]),
    ]
    write_text(root / "LAV-DF/metadata.min.json", json.dumps(rows))
    put_videos(root, *(f"LAV-DF/{row['file']}" for row in rows), audio=True)


def write_av_deepfake1m(root: Path) -> None:
    """One clip of one person with its four versions in both labelled splits, and a test video without a label."""
    home, names = "AV-Deepfake1M", []
    kinds = {
        "real": [], "fake_video_real_audio": [[0.04, 0.08]], "real_video_fake_audio": [[0.0, 0.16]],
        "fake_video_fake_audio": [[0.04, 0.08], [0.12, 0.16]],
    }  # fmt: skip
    types = ("real", "visual_modified", "audio_modified", "both_modified")
    for split, person in (("train", "id00012"), ("val", "id00015")):
        place = f"{person}/21Uxsk56VDQ/00001"
        rows = [
            {
                "file": f"{place}/{name}.mp4", "original": f"{place}/real.mp4", "split": split, "modify_type": kind,
                "audio_model": "vits", "fake_segments": parts, "audio_fake_segments": parts,
                "visual_fake_segments": parts, "video_frames": 4, "audio_frames": 2560,
            }
            for kind, (name, parts) in zip(types, kinds.items(), strict=True)
        ]  # fmt: skip
        rows[0]["original"] = f"VoxCeleb2/dev/mp4/{place}.mp4"
        write_text(root / home / f"{split}_metadata.json", json.dumps(rows))
        names += [f"{home}/{split}/{row['file']}" for row in rows]
    write_text(root / home / "test_files.txt", "000001.mp4\n")
    put_videos(root, *names, f"{home}/test/000001.mp4", audio=True)
