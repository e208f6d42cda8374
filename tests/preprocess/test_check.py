"""What ``tdd data check`` finds in good, incomplete and damaged copies."""

import errno
import io
import json
import os
import sys
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from tdd.cli import main
from tdd.errors import TddError
from tdd.names import FACEFORENSICS_METHODS
from tdd.preprocess.check import Verdict, check_root
from tdd.preprocess.expected import LRW_SHORT_VAL, expected_counts
from tdd.preprocess.probe import video_problem
from tdd.synth.sizes import SynthSize
from tdd.synth.trees import write_benchmark
from tests.preprocess.test_layouts import closed
from tests.preprocess.trees import put_videos, write_deeperforensics, write_dfdc, write_fakeavceleb, write_text

FEW = SynthSize(
    name="few", image_px=64, words=1, lrw_train=2, lrw_val=0, lrw_test=0, lrw_speakers=(1, 0, 0), lrw_frames=4,
    ff_pairs=(1, 0, 1), ff_frames=(2, 2), celeb_people=2, celeb_real=1, youtube_real=1, celeb_fake=1,
)  # fmt: skip
REALS = "FaceForensics++/original_sequences/youtube/c23/videos"


def faceforensics(root, methods=("Deepfakes",)):
    """One pair a split: (000, 001), (002, 003), (004, 005)."""
    names = []
    for number, split in enumerate(("train", "val", "test")):
        a, b = f"{2 * number:03d}", f"{2 * number + 1:03d}"
        write_text(root / f"FaceForensics++/splits/{split}.json", json.dumps([[a, b]]))
        names += [f"{REALS}/{a}.mp4", f"{REALS}/{b}.mp4"]
        folders = [f"FaceForensics++/manipulated_sequences/{method}/c23/videos" for method in methods]
        names += [f"{folder}/{name}.mp4" for folder in folders for name in (f"{a}_{b}", f"{b}_{a}")]
    put_videos(root, *names)
    return root


def only(check):
    (dataset,) = check.datasets
    return dataset


def test_a_whole_synthetic_benchmark_is_complete(tmp_path, capsys):
    write_benchmark(tmp_path / "data", FEW, methods=("FaceSwap", "Celeb-DF"), workers=1)
    assert main(["data", "check", str(tmp_path / "data"), "--json", str(tmp_path / "r.json"), "--deep"]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["synthetic"] and report["verdict"] == "complete"
    found = {(d["dataset"], c["split"], c["method"]): c["found"] for d in report["datasets"] for c in d["counts"]}
    assert found == {
        ("LRW", "train", "real"): 2,
        ("FaceForensics++", "train", "real"): 2, ("FaceForensics++", "train", "FaceSwap"): 2,
        ("FaceForensics++", "test", "real"): 2, ("FaceForensics++", "test", "FaceSwap"): 2,
        ("Celeb-DF-v2", "test", "real"): 2, ("Celeb-DF-v2", "test", "Celeb-DF"): 1,
    }  # fmt: skip
    assert "FaceForensics++: complete" in capsys.readouterr().out
    (tmp_path / "data/LRW/lipread_mp4/ABOUT/train/ABOUT_00002.mp4").unlink()
    assert main(["data", "check", str(tmp_path / "data")]) == 1
    assert "1 of 2" in capsys.readouterr().out


def test_real_copies_are_held_against_the_official_counts(tmp_path):
    expected = {(c.split, c.method): c.expected for c in only(check_root(faceforensics(tmp_path))).counts}
    per_split = {"train": 720, "val": 140, "test": 140}
    assert expected == {(s, m): n for s, n in per_split.items() for m in ("real", *FACEFORENSICS_METHODS)}
    assert expected_counts(tmp_path, "Celeb-DF-v2", []) == {("test", "real"): 178, ("test", "Celeb-DF"): 340}
    lrw = {("train", "real"): 488_763, ("val", "real"): 25_000, ("test", "real"): 25_000}
    assert expected_counts(tmp_path, "LRW", []) == lrw


def test_a_data_set_without_official_counts_is_held_against_its_own_lists(tmp_path):
    for write in (write_deeperforensics, write_dfdc, write_fakeavceleb):
        write(tmp_path)
    assert check_root(tmp_path).verdict is Verdict.COMPLETE
    (tmp_path / "DFDC/test/videos/x.mp4").unlink()
    checks = {check.dataset: check for check in check_root(tmp_path).datasets}
    assert checks["DFDC"].verdict is Verdict.INCOMPLETE and checks["FakeAVCeleb"].verdict is Verdict.COMPLETE
    assert checks["DFDC"].missing == (("DFDC/test/x.mp4", "is missing"),)
    assert [(c.expected, c.found) for c in checks["DFDC"].counts if c.method == "DFDC"] == [(1, 1), (1, 0)]


def test_copies_of_lrw_with_24993_validation_clips_are_complete(tmp_path, monkeypatch):
    put_videos(tmp_path, *(f"LRW/lipread_mp4/ABOUT/{s}/ABOUT_00001.mp4" for s in ("train", "val", "test")), audio=True)
    assert only(check_root(tmp_path)).verdict is Verdict.INCOMPLETE
    monkeypatch.setattr("tdd.preprocess.check.expected_counts", lambda *_: {(s, "real"): 1 for s in ("train", "test")})
    monkeypatch.setattr("tdd.preprocess.check.LRW_SHORT_VAL", 1)
    assert LRW_SHORT_VAL == 24_993 and only(check_root(tmp_path)).verdict is Verdict.COMPLETE


def test_every_missing_video_has_its_reason(tmp_path):
    videos = faceforensics(tmp_path) / REALS
    (videos / "000.mp4").rename(videos / "000.AVI")
    (videos / "001.mp4").unlink()
    (videos / "002.mp4").unlink()
    (videos / "002.mp4").symlink_to("002.mp4")
    (videos / "003.mp4").unlink()
    (videos / "003.mp4").mkdir()
    check = only(check_root(tmp_path))
    assert dict(check.missing) == {
        f"{REALS}/000.mp4": "is missing, but 000.AVI is there: the one that is listed ends in .mp4",
        f"{REALS}/001.mp4": "is missing",
        f"{REALS}/002.mp4": "is a link that leads nowhere or in a circle",
        f"{REALS}/003.mp4": "is a folder, not a file",
    }
    assert check.unexpected == ((f"{REALS}/000.AVI", "ends in .AVI; the owner's videos end in .mp4"),)


def sound_alone():
    """An mp4 with an audio stream and no video stream."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda _: b"", "is empty"),
        (lambda _: b"not a video" * 99, "cannot be decoded"),
        (lambda data: data[: len(data) // 3], "is cut off"),
        (lambda data: data[:-1], "is cut off"),
        (lambda _: sound_alone(), "holds no video stream"),
    ],
)
def test_unreadable_files_are_named_and_do_not_count(tmp_path, damage, reason):
    path = faceforensics(tmp_path) / REALS / "000.mp4"
    path.write_bytes(damage(path.read_bytes()))
    check = only(check_root(tmp_path))
    ((name, said),) = check.unreadable
    assert name == f"{REALS}/000.mp4" and reason in said
    assert [c.found for c in check.counts if (c.split, c.method) == ("train", "real")] == [1]
    assert check.verdict is Verdict.INCOMPLETE


def test_only_a_deep_look_sees_a_damaged_picture(tmp_path):
    put_videos(tmp_path, "a.mp4")
    data = (tmp_path / "a.mp4").read_bytes()
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    (tmp_path / "a.mp4").write_bytes(data[:start] + b"\xff" * size + data[start + size :])
    assert video_problem(tmp_path / "a.mp4", audio=False, deep=False) == ""
    assert video_problem(tmp_path / "a.mp4", audio=False, deep=True) != ""


def test_clips_that_lost_their_sound_are_named(tmp_path):
    put_videos(tmp_path, "LRW/lipread_mp4/ABOUT/train/ABOUT_00001.mp4")
    put_videos(tmp_path, "LRW/lipread_mp4/ABOUT/train/ABOUT_00002.mp4", audio=True)
    check = only(check_root(tmp_path))
    assert check.unreadable == (("LRW/lipread_mp4/ABOUT/train/ABOUT_00001.mp4", "has no sound"),)


def test_strays_are_named_and_circles_are_not_walked(tmp_path):
    words = tmp_path / "LRW/lipread_mp4"
    put_videos(
        tmp_path, *(f"LRW/lipread_mp4/{name}.mp4" for name in ("A/train/A_1", "A/trian/A_2", "A/val/B_1")), audio=True
    )
    (words / "A/again").symlink_to(words)
    (words / "A/self").symlink_to("self")
    write_text(words / "A/train/A_1.txt", "Duration: 1 seconds")
    check = only(check_root(tmp_path))
    assert [name for name, _ in check.unexpected] == [
        "LRW/lipread_mp4/A/trian/A_2.mp4",
        "LRW/lipread_mp4/A/val/B_1.mp4",
    ]
    assert any("A/again is a link to a folder that is read already" in note for note in check.notes)


def test_celeb_df_videos_beside_the_test_list_are_no_strays(tmp_path):
    put_videos(tmp_path, "Celeb-DF-v2/Celeb-real/id0_0000.mp4", "Celeb-DF-v2/Celeb-real/id1_0000.mp4")
    write_text(tmp_path / "Celeb-DF-v2/List_of_testing_videos.txt", "1 Celeb-real/id0_0000.mp4")
    check = only(check_root(tmp_path))
    assert not check.unexpected and check.notes[0].startswith("1 videos are not on the test list")
    assert "176 and 340" in check.notes[1]


def test_other_versions_of_faceforensics_are_mentioned(tmp_path):
    faceforensics(tmp_path)
    put_videos(tmp_path, "FaceForensics++/original_sequences/youtube/c40/videos/000.mp4")
    (path, reason), *others = only(check_root(tmp_path)).unread
    assert path == "FaceForensics++/original_sequences/youtube/c40" and "c23 is read" in reason and not others


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_names_that_are_not_utf8_can_be_reported(tmp_path, capsys):
    write_dfdc(tmp_path)
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/DFDC/\xb0\xa1.mp4"))).write_bytes(b"")
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "r.json")]) == 0
    assert r"\xb0\xa1.mp4: is on no list" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["datasets"][0]["unexpected"][0][1] == "is on no list"


def test_methods_in_brackets_are_printed_as_they_are(tmp_path, capsys):
    write_fakeavceleb(tmp_path)
    listing = tmp_path / "FakeAVCeleb/meta_data.csv"
    listing.write_text(listing.read_text().replace(",fsgan,", ",[/fsgan],"))
    assert main(["data", "check", str(tmp_path)]) == 0
    assert "FakeAVCeleb-FVRA-[/fsgan]" in capsys.readouterr().out


def test_people_in_two_splits_make_the_copy_unusable(tmp_path):
    faceforensics(tmp_path)
    write_text(tmp_path / "FaceForensics++/splits/test.json", '[["000", "005"]]')
    put_videos(
        tmp_path,
        *(f"FaceForensics++/manipulated_sequences/Deepfakes/c23/videos/{n}.mp4" for n in ("000_005", "005_000")),
    )
    check = only(check_root(tmp_path))
    assert check.verdict is Verdict.UNUSABLE and check.overlap == (("000", "train, test"),)
    assert "in more than one split" in check.problem


def test_people_that_deeperforensics_shares_with_the_training_split_are_counted(tmp_path):
    write_deeperforensics(faceforensics(tmp_path))
    write_text(tmp_path / "FaceForensics++/splits/train.json", '[["000", "002"]]')
    write_text(tmp_path / "FaceForensics++/splits/val.json", '[["001", "003"]]')
    notes = check_root(tmp_path).datasets[1].notes
    assert notes == ("1 of the 1 people in its test split are in the training split of FaceForensics++.",)


def test_a_missing_split_file_says_where_it_is_published(tmp_path, capsys):
    faceforensics(tmp_path)
    write_dfdc(tmp_path)
    (tmp_path / "FaceForensics++/splits/val.json").unlink()
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "out/r.json")]) == 2
    out = capsys.readouterr().out
    assert "tdd data fetch-splits" in out and "https://github.com/ondyari/FaceForensics" in out
    report = json.loads((tmp_path / "out/r.json").read_text())
    verdicts = {check["dataset"]: check["verdict"] for check in report["datasets"]}
    assert verdicts == {"FaceForensics++": "unusable", "DFDC": "complete"}


def test_a_copy_of_which_nothing_is_there_is_unusable(tmp_path):
    faceforensics(tmp_path)
    (tmp_path / "FaceForensics++/original_sequences").rename(tmp_path / "elsewhere")
    (tmp_path / "FaceForensics++/manipulated_sequences/Deepfakes/c23").rename(tmp_path / "away")
    check = only(check_root(tmp_path))
    assert check.verdict is Verdict.UNUSABLE and "None of the 12 videos" in check.problem


def test_long_lists_are_cut_on_the_screen_and_whole_in_the_file(tmp_path, capsys):
    faceforensics(tmp_path)
    for path in (tmp_path / REALS).iterdir():
        path.unlink()
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "r.json")]) == 1
    assert "missing: 6" in (out := capsys.readouterr().out) and "and 1 more" in out
    missing = json.loads((tmp_path / "r.json").read_text())["datasets"][0]["missing"]
    assert Counter(reason for _, reason in missing) == {"is missing": 6}


def test_wrong_places_are_one_sentence(tmp_path, capsys):
    assert main(["data", "check", str(tmp_path / "none")]) == 2
    assert "No data set was found" in capsys.readouterr().err
    write_dfdc(tmp_path)
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "DFDC")]) == 2
    assert "DFDC is a folder; name a file with --json" in capsys.readouterr().err
    write_text(tmp_path / "synth.json", "{}")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "synth.json is damaged" in capsys.readouterr().err


def test_folders_that_look_like_a_data_set_are_named(tmp_path, capsys):
    write_dfdc(tmp_path)
    write_fakeavceleb(tmp_path)
    (tmp_path / "FakeAVCeleb").rename(tmp_path / "FakeAVCeleb_v1.2")
    for name in ("celeb-df", "lipread_mp4", "FaceForensics_c23", "holiday", "landmarks", ".cache"):
        (tmp_path / name).mkdir()
    for name in ("DeeperForensics.zip", "notes.txt"):
        (tmp_path / name).write_text("")
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "r.json")]) == 0
    told = dict(json.loads((tmp_path / "r.json").read_text())["unread"])
    assert {name: reason.removeprefix("is not read; ").split(" ")[0] for name, reason in told.items()} == {
        "FakeAVCeleb_v1.2": "FakeAVCeleb", "celeb-df": "Celeb-DF-v2", "lipread_mp4": "LRW", "holiday": "is",
        "FaceForensics_c23": "FaceForensics++", "DeeperForensics.zip": "DeeperForensics-1.0",
    }  # fmt: skip
    assert told["FakeAVCeleb_v1.2"].endswith("FakeAVCeleb is read from a folder of that name: rename it to that")
    assert told["DeeperForensics.zip"].endswith("unpack it to that") and told["holiday"].startswith("is not read: ")
    assert "not read: 6" in capsys.readouterr().out
    assert main(["prepare", "--root", str(tmp_path), "--out", str(tmp_path / "s"), "--landmarks", "given"]) == 2
    assert "FakeAVCeleb_v1.2 is not read" in capsys.readouterr().out


def test_a_root_without_a_data_set_names_what_is_there(tmp_path):
    (tmp_path / "DFDC-preview").mkdir()
    with pytest.raises(TddError, match="DFDC-preview is not read; DFDC is read from a folder of that name"):
        check_root(tmp_path)
    (tmp_path / "DFDC" / "part").mkdir(parents=True)
    with pytest.raises(TddError, match="seems to be one: give the folder that it lies in"):
        check_root(tmp_path / "DFDC")


def test_what_lies_beside_the_folders_that_are_read_is_named(tmp_path):
    write_deeperforensics(faceforensics(tmp_path))
    write_dfdc(tmp_path)
    write_text(tmp_path / "DFDC/test/metadata.json", "{}")
    fakes = "FaceForensics++/manipulated_sequences"
    put_videos(tmp_path, f"{fakes}/DeepFakeDetection/c23/videos/a.mp4", f"{fakes}/Deepfakes/masks/videos/a.mp4")
    put_videos(tmp_path, "FaceForensics++/original_sequences/actors/c23/videos/a.mp4", "FaceForensics++/left.avi")
    put_videos(tmp_path, f"{REALS}/._000.mp4", "DeeperForensics-1.0/manipulated_videos/new_level/a.mp4")
    checks = {check.dataset: check for check in check_root(tmp_path).datasets}
    assert [path for path, _ in checks["FaceForensics++"].unread] == [
        "FaceForensics++/left.avi", f"{fakes}/DeepFakeDetection", f"{fakes}/Deepfakes/masks",
        "FaceForensics++/original_sequences/actors",
    ]  # fmt: skip
    assert dict(checks["DeeperForensics-1.0"].unread).keys() == {
        "DeeperForensics-1.0/manipulated_videos/new_level", "DeeperForensics-1.0/source_videos",
    }  # fmt: skip
    assert checks["DFDC"].unread == (("DFDC/test/metadata.json", "lies beside a labels.csv, which is read"),)
    assert any("1 hidden files" in note for note in checks["FaceForensics++"].notes)
    assert all(not check.unexpected for check in checks.values())


def test_a_folder_that_cannot_be_read_is_told_and_makes_no_traceback(tmp_path, monkeypatch):
    root = faceforensics(tmp_path)
    fakes = root / "FaceForensics++/manipulated_sequences/Deepfakes/c23/videos"
    closed(monkeypatch, fakes)
    ((place, reason),) = only(check_root(root)).unread
    assert root / place == fakes and "Permission denied" in reason


def retagged(content, codec=b"avc1"):
    assert codec in content
    return content.replace(codec, b"zzzz")


def titled(content, title):
    """The video with a title in its metadata."""
    source, file = av.open(io.BytesIO(content)), io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        container.metadata["title"] = "?" * len(title)
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return file.getvalue().replace(b"?" * len(title), title)


@pytest.mark.parametrize("deep", [False, True])
def test_files_are_opened_as_prepare_opens_them(tmp_path, deep):
    videos = faceforensics(tmp_path) / REALS
    good = (videos / "000.mp4").read_bytes()
    (videos / "001.mp4").write_bytes(retagged(good))
    (videos / "002.mp4").write_bytes(titled(good, "한글 제목".encode("cp949")))
    (videos / "003.mp4").write_bytes(titled(good, b"\xff\xfe\x80"))
    check = only(check_root(tmp_path, deep, workers=1))
    assert [(name.split("/")[-1], "codec that FFmpeg does not know" in said) for name, said in check.unreadable] == [
        ("001.mp4", True)
    ]


def probe_that_dies(root, _, files):
    """In place of a look at videos: a decoder that ends its process with some of them."""
    if any(path.endswith("a.mp4") for path, _ in files):
        os._exit(11)
    return [(path, "is empty") for path, _ in files if path.endswith("x.mp4") and (root / path).is_file()]


@pytest.mark.slow
def test_a_decoder_that_ends_its_process_costs_one_video(tmp_path, monkeypatch):
    write_dfdc(tmp_path)
    monkeypatch.setattr("tdd.preprocess.check._probe", probe_that_dies)
    told = dict(only(check_root(tmp_path, deep=True, workers=1)).unreadable)
    assert told == {
        "DFDC/dfdc_train_part_0/a.mp4": "ends the process that opens it, or needs more memory than there is; copy it "
        "again from its source",
        "DFDC/test/videos/x.mp4": "is empty",
    }


def test_videos_below_a_folder_that_may_not_be_looked_into_are_missing_with_the_reason(tmp_path, monkeypatch):
    root, own = faceforensics(tmp_path), os.stat
    fakes = root / "FaceForensics++/manipulated_sequences/Deepfakes/c23/videos"

    def refuse(path, *args, **kwargs):
        if not isinstance(path, int) and Path(path).parent == fakes:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return own(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    reasons = {reason for _, reason in only(check_root(root)).missing}
    assert reasons == {"cannot be looked at (Permission denied)"}
