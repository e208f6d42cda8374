import hashlib
import json
import shutil
from collections import Counter, namedtuple
from dataclasses import replace

import numpy as np
import pytest

from tdd.data.video import read_audio, read_video
from tdd.errors import TddError
from tdd.names import FACEFORENSICS, FACEFORENSICS_METHODS
from tdd.preprocess.expected import count_videos, expected_counts
from tdd.preprocess.layouts import list_faceforensics
from tdd.synth import filming, writing
from tdd.synth.filming import read_masks
from tdd.synth.plan import plan_benchmark, rng_of
from tdd.synth.sizes import SIZES, SynthSize, size_of
from tdd.synth.trees import write_benchmark

SMALL = SynthSize(
    name="small",
    image_px=96,
    words=2,
    lrw_train=3,
    lrw_val=1,
    lrw_test=1,
    lrw_speakers=(2, 1, 1),
    lrw_frames=29,
    ff_pairs=(1, 0, 1),
    ff_frames=(6, 7),
    celeb_people=3,
    celeb_real=2,
    youtube_real=1,
    celeb_fake=3,
)
FEW = SynthSize(
    name="few",
    image_px=96,
    words=1,
    lrw_train=1,
    lrw_val=0,
    lrw_test=0,
    lrw_speakers=(1, 0, 0),
    lrw_frames=10,
    ff_pairs=(0, 0, 1),
    ff_frames=(4, 4),
    celeb_people=0,
    celeb_real=0,
    youtube_real=0,
    celeb_fake=0,
)
FEW_METHODS = ("Deepfakes", "Face2Face")


def digests(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_few(out, **changes):
    return write_benchmark(out, FEW, **{"seed": 3, "methods": FEW_METHODS, "workers": 1, **changes})


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_benchmark(tmp_path_factory.mktemp("small"), SMALL, 0, workers=1)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write_few(tmp_path_factory.mktemp("few"))


@pytest.fixture
def copy(few, tmp_path):
    return shutil.copytree(few, tmp_path / "copy")


def mp4s(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mp4"))


def test_lrw_like_layout(tree):
    assert mp4s(tree / "LRW") == [
        "lipread_mp4/ABOUT/test/ABOUT_00001.mp4",
        "lipread_mp4/ABOUT/train/ABOUT_00001.mp4",
        "lipread_mp4/ABOUT/train/ABOUT_00002.mp4",
        "lipread_mp4/ABOUT/val/ABOUT_00001.mp4",
        "lipread_mp4/PEOPLE/train/PEOPLE_00001.mp4",
    ]
    for path in (tree / "LRW").rglob("*.mp4"):
        seconds = float(path.with_suffix(".txt").read_text().removeprefix("Duration: ").removesuffix(" seconds\n"))
        assert 0.15 < seconds < 1.16
        frames, fps = read_video(path)
        assert frames.shape == (29, 96, 96, 3)
        assert fps == 25
        assert abs(len(read_audio(path)) / 16_000 - 1.16) < 0.07  # AAC comes in blocks of 64 ms


def test_faceforensics_like_layout(tree):
    ff = tree / "FaceForensics++"
    assert mp4s(ff / "original_sequences/youtube/c23/videos") == ["000.mp4", "001.mp4", "002.mp4", "003.mp4"]
    for method in FACEFORENSICS_METHODS:
        names = mp4s(ff / "manipulated_sequences" / method / "c23/videos")
        assert names == ["000_001.mp4", "001_000.mp4", "002_003.mp4", "003_002.mp4"]
    splits = {name: json.loads((ff / "splits" / f"{name}.json").read_text()) for name in ("train", "val", "test")}
    assert splits == {"train": [["000", "001"]], "val": [], "test": [["002", "003"]]}
    assert read_audio(ff / "original_sequences/youtube/c23/videos/000.mp4") is None


def test_celeb_df_like_layout(tree):
    celeb = tree / "Celeb-DF-v2"
    lines = [line.split(" ") for line in (celeb / "List_of_testing_videos.txt").read_text().splitlines()]
    assert sorted(name for _, name in lines) == mp4s(celeb)
    assert {name: label for label, name in lines} == {
        "Celeb-real/id0_0000.mp4": "1",
        "Celeb-real/id1_0000.mp4": "1",
        "YouTube-real/00000.mp4": "1",
        "Celeb-synthesis/id0_id1_0000.mp4": "0",
        "Celeb-synthesis/id1_id2_0000.mp4": "0",
        "Celeb-synthesis/id2_id0_0000.mp4": "0",
    }


def test_every_video_has_sidecars_of_its_own_length(tree):
    videos = mp4s(tree)
    assert len(videos) == 5 + 4 * 6 + 6
    for name in videos:
        frames, _ = read_video(tree / name)
        landmarks = np.load((tree / "landmarks" / name).with_suffix(".npy"))
        assert landmarks.shape == (len(frames), 68, 2)
        assert landmarks.dtype == np.float32
        assert (landmarks[:, 27:] > 0).all() and (landmarks[:, 27:] < 96).all()
        masks = (tree / "masks" / name).with_suffix(".npz")
        fake = "manipulated" in name or "synthesis" in name
        assert masks.is_file() == fake
        if fake:
            altered = read_masks(masks)
            assert altered.shape == frames.shape[:3]
            assert 0 < altered.mean() < 0.6


def test_the_mark_of_completeness_says_what_was_made(tree):
    mark = json.loads((tree / "synth.json").read_text())
    plan = json.loads((tree / "plan.json").read_text())
    assert plan == {key: value for key, value in mark.items() if key != "videos"}
    assert (mark["seed"], mark["strength"], mark["size"]["name"]) == (0, 1.0, "small")
    assert mark["videos"]["FaceForensics++/Face2Face"] == 4
    assert sum(mark["videos"].values()) == len(mp4s(tree))
    assert "neither confirm nor refute" in (tree / "README.txt").read_text()


def test_real_and_fake_differ_inside_the_mask_more_than_outside(tree):
    """A swap shares its target's footage: outside the mask only noise and coding differ."""
    ff = tree / "FaceForensics++"
    real, _ = read_video(ff / "original_sequences/youtube/c23/videos/000.mp4")
    name = "manipulated_sequences/Deepfakes/c23/videos/000_001"
    fake, _ = read_video(ff / f"{name}.mp4")
    inside = read_masks(tree / "masks/FaceForensics++" / f"{name}.npz")
    difference = np.abs(real.astype(float) - fake).mean(-1)
    assert difference[inside].mean() > 1.5 * difference[~inside].mean()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_identities_are_disjoint_and_paths_unique(size):
    tasks = plan_benchmark(size, 0)
    assert len({task.path for task in tasks}) == len(tasks)
    people = {}
    for task in tasks:
        parts = task.path.split("/")
        if parts[0] == "LRW":
            group = f"LRW {parts[3]}"
        elif parts[0] == "FaceForensics++":
            pair = int(parts[-1][:3]) // 2
            group = f"FF {np.searchsorted(np.cumsum(size.ff_pairs), pair, side='right')}"
        else:
            group = "Celeb"
        people.setdefault(group, set()).update({task.person, task.source} - {""})
    groups = list(people.values())
    assert len(groups) == 7
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_plan_has_the_counts_of_the_size():
    size = SIZES["demo"]
    tasks = plan_benchmark(size, 0)
    lrw = [task for task in tasks if task.word]
    assert len(lrw) == size.lrw_train + size.lrw_val + size.lrw_test
    assert len({task.word for task in lrw}) == 60
    assert len({task.person for task in lrw}) == sum(size.lrw_speakers)
    for method in FACEFORENSICS_METHODS:
        assert sum(task.method == method for task in tasks) == 2 * sum(size.ff_pairs)
    assert sum(task.method == "Celeb-DF" for task in tasks) == size.celeb_fake
    assert SIZES["full"].lrw_train == 5_000
    assert SIZES["full"].ff_pairs == (360, 70, 70)


def test_fakes_are_as_long_as_their_targets_and_lengths_vary():
    frames = {}
    for task in plan_benchmark(SIZES["demo"], 0):
        if not task.word:
            frames.setdefault(task.footage, set()).add(task.n_frames)
    assert all(len(lengths) == 1 for lengths in frames.values())
    assert len(set.union(*frames.values())) > 1


def test_generators_depend_on_seed_and_every_name():
    draws = {rng_of(*key).integers(1 << 60) for key in ((0, "a"), (1, "a"), (0, "b"), (0, "a", "b"), (0, "a\nb "))}
    assert len(draws) == 5
    assert rng_of(0, "FaceForensics++/000", "scene").integers(1 << 30) == 993_613_464


def test_the_same_seed_gives_the_same_bytes_in_other_processes(few, tmp_path, monkeypatch):
    monkeypatch.setenv("MALLOC_PERTURB_", "85")  # glibc fills their memory: what is made of unwritten memory differs
    again = write_few(tmp_path / "again", workers=2)
    assert digests(again) == digests(few)
    assert not list(again.rglob("*.partial"))


def test_another_seed_gives_other_videos(few, tmp_path):
    other = digests(write_few(tmp_path / "other", seed=4))
    first = digests(few)
    assert other.keys() == first.keys()
    videos = [name for name in first if name.endswith(".mp4")]
    assert len(videos) == 7
    assert all(other[name] != first[name] for name in videos)


def test_an_interrupted_benchmark_goes_on_with_the_same_bytes(copy, few):
    whole = digests(few)
    kept = copy / "FaceForensics++/original_sequences/youtube/c23/videos/000.mp4"
    lost = [
        "synth.json",
        "README.txt",
        "FaceForensics++/splits/test.json",
        "FaceForensics++/manipulated_sequences/Deepfakes/c23/videos/000_001.mp4",
        "landmarks/FaceForensics++/original_sequences/youtube/c23/videos/001.npy",
        "masks/FaceForensics++/manipulated_sequences/Face2Face/c23/videos/001_000.npz",
        "LRW/lipread_mp4/ABOUT/train/ABOUT_00001.txt",
    ]
    for name in lost:
        (copy / name).unlink()
    (copy / "LRW/left.mp4.partial").touch()
    stamp, calls = kept.stat().st_mtime_ns, []
    write_few(copy, progress=lambda done, total: calls.append((done, total)))
    assert digests(copy) == whole
    assert kept.stat().st_mtime_ns == stamp
    assert calls == sorted(calls) and calls[0] == (3, 7) and calls[-1] == (7, 7)


def test_a_complete_benchmark_is_left_alone(copy, monkeypatch):
    monkeypatch.setattr(writing, "film", lambda *_: pytest.fail("nothing is missing"))
    stamps = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    calls = []
    write_few(copy, progress=lambda done, total: calls.append((done, total)))
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == stamps
    assert calls == [(7, 7)]


def test_an_incomplete_benchmark_loses_its_mark_until_it_is_whole(copy, monkeypatch):
    next(copy.rglob("*.mp4")).unlink()

    def stop(*_):
        raise RuntimeError("power cut")

    monkeypatch.setattr(writing, "film", stop)
    with pytest.raises(TddError, match=r"\.mp4 could not be made \(RuntimeError: power cut\)"):
        write_few(copy)
    assert not (copy / "synth.json").exists()


def test_a_failing_video_leaves_no_file_behind(tmp_path, monkeypatch):
    def broken(*_args, **_keywords):
        raise OSError("no more pixels")

    monkeypatch.setattr(filming, "shoot", broken)
    with pytest.raises(TddError, match=r"LRW/lipread_mp4/ABOUT/train/ABOUT_00001\.mp4 could not be made"):
        write_few(tmp_path / "broken")
    assert not list((tmp_path / "broken").rglob("*.mp4*"))
    assert not (tmp_path / "broken/synth.json").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": 4}, r"made with other settings \(seed: 3, now 4\)"),
        ({"strength": 0.5}, r"made with other settings \(strength: 1.0, now 0.5\)"),
        ({"methods": ("Deepfakes",)}, r"made with other settings \(methods: "),
    ],
)
def test_a_benchmark_of_other_settings_is_refused(few, changes, sentence):
    before = digests(few)
    with pytest.raises(TddError, match=sentence):
        write_few(few, **changes)
    assert digests(few) == before


def test_real_data_are_not_written_into(tmp_path):
    (tmp_path / "LRW").mkdir()
    with pytest.raises(TddError, match="holds LRW that this command did not write"):
        write_few(tmp_path)


def test_a_damaged_plan_is_named(copy):
    (copy / "plan.json").write_text("{")
    with pytest.raises(TddError, match=r"plan\.json is damaged"):
        write_few(copy)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TddError, match="Nothing can be written"):
        write_few(tmp_path / "file" / "out")


def test_too_small_a_disk_is_told_before_anything_is_made(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 9, 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(TddError, match=r"0\.0 GB free and \d+\.\d GB are needed"):
        write_few(tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_the_estimate_of_disk_space_is_an_upper_bound(tree):
    tasks = plan_benchmark(SMALL, 0)
    used = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    assert used < writing.bytes_needed(SMALL, tasks) < 12 * used


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"size": "huge"}, "size 'huge' is unknown; choose one of tiny, demo, study, full"),
        ({"methods": ("Deepfake",)}, "method 'Deepfake' is unknown; the benchmark forges Deepfakes, FaceSwap"),
        ({"language": "fr"}, "language 'fr' is unknown"),
        ({"strength": -1.0}, "strength is -1.0"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_unknown_arguments_are_refused_and_leave_nothing(tmp_path, arguments, sentence):
    with pytest.raises(TddError, match=sentence):
        write_benchmark(tmp_path / "out", **{"size": "tiny", **arguments})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_px": 95}, "image_px is 95"),
        ({"ff_frames": (9, 8)}, r"ff_frames is \(9, 8\)"),
        ({"celeb_people": 1}, "celeb_people is 1"),
        ({"lrw_speakers": (0, 1, 1)}, r"lrw_speakers is \(0, 1, 1\)"),
    ],
)
def test_counts_that_make_no_data_set_are_refused(change, sentence):
    with pytest.raises(TddError, match=sentence):
        SynthSize(**{**SMALL.as_dict(), **change})


def test_a_size_may_be_given_by_name_or_as_counts():
    assert size_of("tiny") is SIZES["tiny"]
    assert size_of(SMALL) is SMALL


def test_korean_and_strength_zero(tmp_path):
    out = write_benchmark(tmp_path / "ko", FEW, methods=("Deepfakes",), strength=0.0, language="ko", workers=1)
    assert mp4s(out / "LRW") == ["lipread_mp4/어머니/train/어머니_00001.mp4"]
    masks = read_masks(next((out / "masks").rglob("*.npz")))
    assert masks.shape == (4, 96, 96)


def test_the_study_is_tested_on_as_many_videos_as_the_paper_and_learns_from_as_many_as_the_demo():
    study, demo, full = (SIZES[name] for name in ("study", "demo", "full"))
    assert study.ff_pairs == (demo.ff_pairs[0], *full.ff_pairs[1:])
    for name in ("celeb_people", "celeb_real", "youtube_real", "celeb_fake"):
        assert getattr(study, name) == getattr(full, name)
    counts = Counter((task.method or "real") for task in plan_benchmark(study, 0, study.methods))
    assert counts["LipRetiming"] == counts["FaceShifter"] == 2 * sum(study.ff_pairs)
    assert "LipRetiming" not in {task.method for task in plan_benchmark(demo, 0)}


def test_re_timed_lips_are_read_back_as_a_method_of_faceforensics(tmp_path):
    size = replace(SMALL, ff_pairs=(0, 0, 1), lrw_train=0, lrw_val=0, lrw_test=0, celeb_real=0, youtube_real=0,
                   celeb_fake=0, methods=("Deepfakes", "LipRetiming"))  # fmt: skip
    root = write_benchmark(tmp_path, size, workers=1)
    listed = list(list_faceforensics(root))
    assert expected_counts(root, FACEFORENSICS, listed) == count_videos(listed)
    assert count_videos(listed) == {("test", name): 2 for name in ("real", *size.methods)}
    assert all((root / video.path).is_file() for video in listed)
