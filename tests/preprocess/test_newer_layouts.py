"""Celeb-DF++, DF40, LAV-DF and AV-Deepfake1M: imitation trees, counts, and lists that are not to be trusted."""

import json

import pytest

from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.evaluation.selection import real_class
from tdd.names import FAKE_SOUND_ALONE
from tdd.preprocess.catalog import count_table, read_catalog
from tdd.preprocess.check import Verdict, check_root
from tdd.preprocess.expected import expected_counts
from tdd.preprocess.layouts import READERS
from tdd.preprocess.prepare import prepare
from tdd.records.targets import own_reals, targets_of
from tests.preprocess.trees import (
    add_video,
    write_av_deepfake1m,
    write_celeb_df_pp,
    write_df40,
    write_fakeavceleb,
    write_lavdf,
    write_text,
)


def videos(write, root):
    write(root)
    name = {write_celeb_df_pp: "Celeb-DF++", write_df40: "DF40", write_lavdf: "LAV-DF"}.get(write, "AV-Deepfake1M")
    found = {video.video_id: video for video in READERS[name](root)}
    assert all((root / video.path).is_file() for video in found.values())
    return found


def test_celeb_df_pp(tmp_path):
    found = videos(write_celeb_df_pp, tmp_path)
    facts = {name.removeprefix("Celeb-DF++/"): (v.label, v.method, v.identities, v.split) for name, v in found.items()}
    assert facts == {
        "Celeb-real/id0_0000": (0, "real", "id0", "test"),
        "YouTube-real/00170": (0, "real", "", "test"),
        "Celeb-synthesis/FaceSwap/BlendFace/id0_id1_0000": (1, "Celeb-DF++-BlendFace", "id0 id1", "test"),
        "Celeb-synthesis/FaceReenact/LIA/id0_id1_0001": (1, "Celeb-DF++-LIA", "id0 id1", "test"),
        "Celeb-synthesis/TalkingFace/FLOAT/id1_0003_id0": (1, "Celeb-DF++-FLOAT", "id1 id0", "test"),
    }


def test_celeb_df_pp_in_the_two_names_of_its_owners_and_with_either_flag(tmp_path):
    write_celeb_df_pp(tmp_path, "Celeb-DF-v2")
    listing = tmp_path / "Celeb-DF++/List_of_testing_videos.txt"
    text = listing.read_text().replace("Celeb-DF-v2", "Celeb-DF")
    swapped = "".join(f"{1 - int(line[0])}{line[1:]}\n" for line in text.splitlines())
    for written in (text, swapped):
        listing.write_text(written)
        found = {video.method: video for video in READERS["Celeb-DF++"](tmp_path)}
        fake = found["Celeb-DF++-Celeb-DF"]
        assert fake.label == 1 and (tmp_path / fake.path).is_file() and "/Celeb-DF-v2/" in fake.path
        assert [video.label for video in found.values()] == [0, 1, 1, 1]


def test_the_readme_of_celeb_df_pp_counts_its_test_videos(tmp_path):
    counts = expected_counts(tmp_path, "Celeb-DF++", list(videos(write_celeb_df_pp, tmp_path).values()))
    # 178 reals; 7 of the 8 swaps with 200 each, 7 reenactments with 200, 7 talking faces with 300.
    assert (
        counts.pop(("test", "real")) == 178
        and sum(counts.values()) == 7 * 200 + 7 * 200 + 7 * 300
        and len(counts) == 21
    )


def test_df40(tmp_path):
    found = videos(write_df40, tmp_path)
    facts = {
        name.removeprefix("DF40/"): (v.dataset, v.method, v.label, v.split, v.identities) for name, v in found.items()
    }
    assert facts == {
        "train/simswap/ff/000_003": ("DF40-ff", "DF40-simswap-ff", 1, "train", "000 003"),
        "test/simswap/ff/002_005": ("DF40-ff", "DF40-simswap-ff", 1, "test", "002 005"),
        "sadtalker/ff/videos/001": ("DF40-ff", "DF40-sadtalker-ff", 1, "val", "001"),
        "test/simswap/cdf/id0_id1_0002": ("DF40-cdf", "DF40-simswap-cdf", 1, "test", "id0 id1"),
        "test/heygen/fake/a": ("DF40-heygen", "DF40-heygen", 1, "test", ""),
        "test/heygen/real/b": ("DF40-heygen", "real", 0, "test", ""),
    }
    (check,) = (check for check in check_root(tmp_path, workers=1).datasets if check.dataset == "DF40")
    assert check.verdict is Verdict.COMPLETE
    assert check.unexpected == (
        ("DF40/test/simswap/ff/unknown.mp4", "does not say by its folders and name what it is"),
    )


def test_the_fakes_of_df40_meet_the_reals_that_they_were_made_from():
    import pandas as pd

    rows = [
        ("FaceForensics++", 0, "002", "f2"), ("FaceForensics++", 0, "005", "f5"), ("DF40-ff", 1, "002 005", "g"),
        ("Celeb-DF-v2", 0, "id0", "x/id0_0002"), ("Celeb-DF-v2", 0, "id0", "x/id0_0003"),
        ("DF40-cdf", 1, "id0 id1", "y/id0_id1_0002"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["dataset", "label", "identities", "video_id"]).set_index("video_id")
    assert own_reals(table).to_dict() == {"g": "f2", "y/id0_id1_0002": "x/id0_0002"}
    assert real_class(table, "DF40-ff").index.tolist() == ["f2", "f5"]
    assert real_class(table, "DF40-cdf").index.tolist() == ["x/id0_0002", "x/id0_0003"]
    targets = targets_of(table)
    assert targets["f2"] == targets["f5"] == targets["g"] != targets["x/id0_0002"] == targets["y/id0_id1_0002"]


def test_lavdf(tmp_path):
    found = videos(write_lavdf, tmp_path)
    facts = {name.removeprefix("LAV-DF/"): (v.method, v.split, v.made_from, v.segments) for name, v in found.items()}
    assert facts == {
        "test/000000": ("real", "test", "", ""),
        "test/000001": ("LAV-DF-visual", "test", "LAV-DF/test/000000", "0.020-0.040 0.080-0.120"),
        # Made from another fake: the real behind both. Parts that overlap are one.
        "test/000002": ("LAV-DF-both", "test", "LAV-DF/test/000000", "0.000-0.160"),
        "dev/000003": ("real", "val", "", ""),
        "dev/000004": ("LAV-DF-audio", "val", "LAV-DF/dev/000003", "0.040-0.160"),
    }
    assert {v.identities for v in found.values()} == {"test/000000", "dev/000003"}
    assert all(v.audio for v in found.values()) and "LAV-DF-audio".startswith(FAKE_SOUND_ALONE)
    (tmp_path / "LAV-DF/metadata.min.json").rename(tmp_path / "LAV-DF/metadata.json")
    assert {v.video_id: v for v in READERS["LAV-DF"](tmp_path)} == found


def test_av_deepfake1m(tmp_path):
    found = videos(write_av_deepfake1m, tmp_path)
    place = "AV-Deepfake1M/val/id00015/21Uxsk56VDQ/00001"
    assert {v.split for v in found.values()} == {"train", "test"} and len(found) == 8
    own = {name.removeprefix(f"{place}/"): v for name, v in found.items() if v.split == "test"}
    assert {name: (v.method, v.segments) for name, v in own.items()} == {
        "real": ("real", ""),
        "fake_video_real_audio": ("AV-Deepfake1M-visual", "0.040-0.080"),
        "real_video_fake_audio": ("AV-Deepfake1M-audio", "0.000-0.160"),
        "fake_video_fake_audio": ("AV-Deepfake1M-both", "0.040-0.080 0.120-0.160"),
    }
    assert {v.identities for v in own.values()} == {"id00015"}
    assert {v.made_from for v in own.values()} == {"", f"{place}/real"}
    (tmp_path / "AV-Deepfake1M/train_metadata.json").unlink()
    assert len(list(READERS["AV-Deepfake1M"](tmp_path))) == 4


def test_counts_of_all_four_and_what_check_says(tmp_path):
    for write in (write_celeb_df_pp, write_df40, write_lavdf, write_av_deepfake1m, write_fakeavceleb):
        write(tmp_path)
    for split in ("train", "val", "test"):
        (tmp_path / f"FaceForensics++/splits/{split}.json").rename(tmp_path / f"{split}.json")
    (tmp_path / "FaceForensics++/splits").rmdir()
    (tmp_path / "FaceForensics++").rmdir()
    checks = {check.dataset: check for check in check_root(tmp_path, workers=1).datasets}
    assert checks["DF40"].verdict is Verdict.UNUSABLE and "tdd data fetch-splits" in checks["DF40"].problem
    write_df40(tmp_path)
    (tmp_path / "FaceForensics++/original_sequences").mkdir()
    checks = {check.dataset: check for check in check_root(tmp_path, workers=1).datasets}
    verdicts = {name: checks[name].verdict for name in ("DF40", "LAV-DF", "AV-Deepfake1M", "FakeAVCeleb")}
    assert set(verdicts.values()) == {Verdict.COMPLETE}
    assert checks["Celeb-DF++"].verdict is Verdict.INCOMPLETE and not checks["Celeb-DF++"].missing
    notes = {name: " ".join(check.notes) for name, check in checks.items()}
    assert "1 videos are not on the test list" in notes["Celeb-DF++"]
    assert "1 of the owners' test videos are not read" in notes["AV-Deepfake1M"]
    assert all("short silence" in notes[name] for name in ("FakeAVCeleb", "AV-Deepfake1M"))
    assert "short silence" not in notes["LAV-DF"]
    for split in ("train", "val", "test"):
        (tmp_path / f"FaceForensics++/splits/{split}.json").unlink()


def test_the_count_table_of_a_root_with_them(tmp_path):
    for write in (write_celeb_df_pp, write_lavdf, write_av_deepfake1m):
        write(tmp_path)
    counts = count_table(read_catalog(tmp_path))
    assert counts.loc[("AV-Deepfake1M", "AV-Deepfake1M-visual")].tolist() == [1, 0, 1]
    assert counts.loc[("LAV-DF", "real")].tolist() == [0, 1, 1]
    assert counts.loc[("Celeb-DF++", "real"), "test"] == 2


TREES = {
    "Celeb-DF++": write_celeb_df_pp, "DF40": write_df40, "LAV-DF": write_lavdf, "AV-Deepfake1M": write_av_deepfake1m,
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_each_is_prepared(tmp_path, name):
    root = tmp_path / "data"
    TREES[name](root)
    wanted = list(READERS[name](root))
    for seed, video in enumerate(wanted):
        add_video(root, video.path, audio=video.audio, seed=seed)
    if name == "DF40":
        put_reals(root)
    clip = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
    done = prepare(root, tmp_path / "store", clip, workers=1)
    index = done.store.index[done.store.index["dataset"] != "FaceForensics++"].set_index("video_id")
    assert set(index.index) == {video.video_id for video in wanted}
    for video in wanted:
        stored = index.loc[video.video_id]
        assert (stored["method"], stored["split"], stored["segments"]) == (video.method, video.split, video.segments)
        assert stored["audio"] == video.audio and stored["frames"] == 30
        # What has sound is cut at speech; stage 1 hears the reals.
        assert (stored["speech"] == "0") == video.audio


def put_reals(root):
    """The reals of FaceForensics++ that its lists name."""
    for seed, number in enumerate(("000", "001", "002", "003", "004", "005")):
        add_video(root, f"FaceForensics++/original_sequences/youtube/c23/videos/{number}.mp4", seed=seed)


CELEB = "Celeb-DF++/List_of_testing_videos.txt"
LAV = "LAV-DF/metadata.min.json"
AV = "AV-Deepfake1M/val_metadata.json"
REAL = {"file": "test/0.mp4", "split": "test", "modify_video": False, "modify_audio": False, "fake_periods": []}
FAKE = REAL | {"file": "test/1.mp4", "modify_video": True, "fake_periods": [[0, 1]], "original": "test/0.mp4"}

BROKEN = {
    "a method that is not known": (CELEB, "0 Celeb-synthesis/FaceSwap/Mystery/a.mp4", "line 1: .* lies in no folder"),
    "the layout of v2": (CELEB, "0 Celeb-synthesis/id0_id1_0000.mp4", "line 1: .* lies in no folder"),
    "a method of another scenario": (
        CELEB,
        "0 Celeb-synthesis/TalkingFace/Celeb-DF-v2/a.mp4",
        "line 1: .* in no folder",
    ),
    "a flag for both": (
        CELEB,
        "1 Celeb-real/a.mp4\n1 Celeb-synthesis/FaceSwap/GHOST/a.mp4",
        "line 2: the flag 1 .* line 1",
    ),
    "two flags of reals": (CELEB, "1 Celeb-real/a.mp4\n0 YouTube-real/a.mp4", "line 2: the flag 0 .* line 1"),
    "no flag": (CELEB, "Celeb-real/a.mp4", "line 1: expected '0 folder"),
    "a path outside": (CELEB, "1 ../Celeb-real/a.mp4", "line 1 names .* no path inside"),
    "an object": (LAV, "{}", "not a list of videos"),
    "no file": (LAV, '[{"split": "test"}]', "entry 1 is .* no object with the name of a file"),
    "a file twice": (LAV, json.dumps([REAL, REAL]), "entry 2 names 'test/0.mp4' again, which entry 1"),
    "another split": (LAV, json.dumps([REAL | {"split": "validation"}]), "entry 1: split is 'validation'"),
    "no flags": (LAV, json.dumps([REAL | {"modify_video": 0}]), "entry 1: .* modify_video 0 and"),
    "parts of a real": (
        LAV,
        json.dumps([REAL | {"fake_periods": [[0, 1]]}]),
        "entry 1: .* is real, and has forged parts",
    ),
    "parts that end early": (
        LAV,
        json.dumps([FAKE | {"fake_periods": [[2, 1]]}]),
        "entry 1 .fake_periods.: .* seconds",
    ),
    "parts of one number": (LAV, json.dumps([FAKE | {"fake_periods": [[2]]}]), "entry 1 .fake_periods.: .* seconds"),
    "no parts": (
        LAV,
        json.dumps([{k: v for k, v in FAKE.items() if k != "fake_periods"}]),
        "entry 1 .fake_periods.: None",
    ),
    "an original that is not there": (
        LAV,
        json.dumps([FAKE]),
        "entry 1: the original of test/1.mp4, 'test/0.mp4', is not",
    ),
    "a circle of originals": (LAV, json.dumps([FAKE | {"original": "test/1.mp4"}]), "entry 1: the original"),
    "a file outside": (LAV, json.dumps([REAL | {"file": "../0.mp4"}]), "entry 1 names .* no path inside"),
    "a kind that is not known": (
        AV,
        json.dumps([{"file": "a/b.mp4", "modify_type": "text"}]),
        "entry 1: modify_type is 'text'",
    ),
    "no list": ("AV-Deepfake1M/readme.txt", "", "val_metadata.json is missing: it comes with AV-Deepfake1M"),
    "pictures alone": ("DF40/test/simswap/ff/frames/000_003/000.png", "", "holds no video of DF40"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_with_a_list_is_one_sentence_with_its_place(tmp_path, kind):
    listing, text, sentence = BROKEN[kind]
    write_text(tmp_path / listing, text)
    with pytest.raises(TddError, match=sentence) as raised:
        list(READERS[listing.split("/")[0]](tmp_path))
    assert len(str(raised.value).splitlines()) == 1
