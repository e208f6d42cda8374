"""A table beside a folder of any videos: what it says, and what is wrong with it."""

import json

import numpy as np
import pytest

from tdd.cli import main
from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess.catalog import count_table, read_catalog
from tdd.preprocess.check import Verdict, check_root
from tdd.preprocess.first_manifest import write_first_manifest
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import add_video, put_videos, write_dfdc, write_text

HEAD = "path,label,split,method,identity,word,real,segments"
LINES = (
    "a/1.mp4,real,train,,ann,,,",
    "a/2.mp4,0,test,real,bob,hello,,",
    "b/1_x.mp4,fake,train,swap,carl,,a/1.mp4,0-0.08 0.1-0.12",
    "b/2_x.mp4,1,test,swap,,,a/2.mp4,",
)


def manifest(root, text, *more, name="Own faces"):
    put_videos(root, *(f"{name}/{video}" for video in ("a/1.mp4", "a/2.mp4", "b/1_x.mp4", "b/2_x.mp4", *more)))
    write_text(root / name / "manifest.csv", text)
    return root


def good(*changed):
    """The lines, some changed by number."""
    lines = [*LINES]
    for number, line in changed:
        lines[number : number + 1] = [line] if line else []
    return "\n".join((HEAD, *lines, ""))


def test_every_column_shows_in_the_catalog(tmp_path):
    table = read_catalog(manifest(tmp_path, good())).set_index("video_id")
    assert table["label"].tolist() == [0, 0, 1, 1] and set(table["dataset"]) == {"Own faces"}
    assert table["split"].tolist() == ["train", "test", "train", "test"]
    assert table["method"].tolist() == ["real", "real", "swap", "swap"]
    # The fake's people begin with those of its real.
    assert table["identities"].tolist() == ["ann", "bob", "ann carl", "bob"]
    assert table["made_from"].tolist() == ["", "", "Own faces/a/1", "Own faces/a/2"]
    assert table["segments"].tolist() == ["", "", "0.000-0.080 0.100-0.120", ""]
    assert table["word"].tolist() == ["", "hello", "", ""]
    assert all((tmp_path / path).is_file() for path in table["path"])


def test_without_identities_a_real_and_its_fakes_count_as_one(tmp_path):
    text = "path,label,split,method,real\na/1.mp4,real,test,,\nb/1_x.mp4,fake,test,swap,a/1.mp4\na/2.mp4,real,test,,\n"
    assert read_catalog(manifest(tmp_path, text))["identities"].tolist() == ["a/1", "a/1", ""]


SPREADSHEETS = {
    "Excel with semicolons and a byte order mark": ("utf-8-sig", ";", "\r\n"),
    "Excel as Unicode text": ("utf-16", "\t", "\r\n"),
    "an old Mac": ("utf-8", ",", "\r"),
}


@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_spreadsheets_write_it_in_their_own_ways(tmp_path, kind):
    encoding, delimiter, ending = SPREADSHEETS[kind]
    wanted = read_catalog(manifest(tmp_path / "1", good()))
    text = good().replace(",", delimiter).replace("\n", ending).replace("path", "Path", 1)
    manifest(tmp_path / "2", "")
    (tmp_path / "2/Own faces/manifest.csv").write_bytes(text.encode(encoding))
    assert read_catalog(tmp_path / "2").equals(wanted)


BAD = {
    "an unknown column": (HEAD.replace("method", "methd") + "\n", "line 1: the column 'methd' is unknown; known"),
    "a column too few": ("path,label\na/1.mp4,real\n", "line 1: there is no column 'split'"),
    "a column twice": ("path,label,split,split\n", "more than one column 'split'"),
    "no line": (HEAD + "\n", "names no video"),
    "an unknown label": (good((0, "a/1.mp4,maybe,train,,,,,")), "line 2: the label is 'maybe', not real or fake"),
    "an unknown split": (good((0, "a/1.mp4,real,dev,,,,,")), "line 2: the split is 'dev'"),
    "a path outside": (good((0, "../a/1.mp4,real,train,,,,,")), "line 2 names '../a/1.mp4', which is no path inside"),
    "a path of a disk": (good((0, "C:\\a.mp4,real,train,,,,,")), "line 2: .* is a whole path; write it from"),
    "a whole path": (good((0, "/data/a/1.mp4,real,train,,,,,")), "line 2: '/data/a/1.mp4' is a whole path; write it"),
    "a method in two spellings": (
        good((3, "b/2_x.mp4,1,test,Swap,,,a/2.mp4,")),
        "line 5: method Swap, and swap in line 4, differ only in capitals",
    ),
    "a path as Windows writes it": (good((0, "a\\1.mp4,real,train,,,,,")), "line 2: .* write folders with /"),
    "a video twice": (good((1, LINES[0])), "line 3: a/1.mp4 was named before, in line 2"),
    "a fake without method": (good((2, "b/1_x.mp4,fake,train,,,,,")), "line 4: a fake needs the name of its method"),
    "a method seen": (good((2, "b/1_x.mp4,fake,train,seen,,,,")), "line 4: the method is called seen, as a column"),
    "a method LRW": (good((3, "b/2_x.mp4,1,test,LRW,,,,")), "line 5: the method is called LRW, as a data set"),
    "a method DF40-ff": (good((3, "b/2_x.mp4,1,test,DF40-ff,,,,")), "line 5: the method is called DF40-ff, as a data"),
    "a data set of DF40": (
        good().replace("method,", "dataset,", 1).replace("real,train,", "real,train,DF40-cdf"),
        "line 2: the data set DF40-cdf has a reader of its own",
    ),
    "a fake of method real": (good((2, "b/1_x.mp4,fake,train,real,,,,")), "line 4: a fake needs the name"),
    "a real with a method": (good((0, "a/1.mp4,real,train,swap,,,,")), "line 2: a real video has the method 'swap'"),
    "a method without reals": (good((3, "b/2_x.mp4,1,val,swap,,,,")), "line 5: the method swap has no reals: "),
    "a real that no line names": (good((2, "b/1_x.mp4,fake,train,swap,,,a/9.mp4,")), "line 4: .* no line names a/9"),
    "a fake as real": (good((2, "b/1_x.mp4,fake,train,swap,,,b/2_x.mp4,")), "line 4: .* b/2_x.mp4 is a fake itself"),
    "a real of a real": (good((0, "a/1.mp4,real,train,,,,a/2.mp4,")), "line 2: a real video names a real"),
    "parts of a real": (good((0, "a/1.mp4,real,train,,,,,0-1")), "line 2: a real video has forged parts"),
    "an end before its start": (good((2, "b/1_x.mp4,fake,train,swap,,,,1.3-0.5")), "line 4: The part 1.3-0.5 ends"),
    "parts that overlap": (good((2, "b/1_x.mp4,fake,train,swap,,,,0-2 1-3")), "line 4: The part 1-3 begins before"),
    "no parts": (good((2, "b/1_x.mp4,fake,train,swap,,,,all")), "line 4: 'all' is no part of a video"),
    "a decimal comma": (good((2, 'b/1_x.mp4,fake,train,swap,,,,"0,5-1,3"')), "line 4: '0,5-1,3' holds a decimal comma"),
    "such without quotes": (good((2, "b/1_x.mp4,fake,train,swap,,,,0,5-1,3")), "line 4: too many .* a point"),
    "a line cut off": (good((2, "b/1_x.mp4,fake")), "line 4: too few columns"),
    "a data set with a reader": ("path,label,split,dataset\na/1.mp4,real,train,LRW\n", "line 2: the data set LRW has"),
    "an open quote": (good((2, '"b/1_x.mp4,fake')), "line 4: a quote is not closed"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_is_wrong_is_one_sentence_with_file_and_line(tmp_path, kind):
    text, sentence = BAD[kind]
    with pytest.raises(TddError, match=sentence) as raised:
        read_catalog(manifest(tmp_path, text))
    said = str(raised.value)
    assert str(tmp_path / "Own faces/manifest.csv") in said and len(said.splitlines()) == 1
    (check,) = check_root(tmp_path, workers=1).datasets
    assert check.verdict is Verdict.UNUSABLE and check.problem == said


def test_another_encoding_is_told(tmp_path):
    manifest(tmp_path, "")
    (tmp_path / "Own faces/manifest.csv").write_bytes(good((0, "가.mp4,real,train,,,,,")).encode("cp949"))
    with pytest.raises(TddError, match=r"line 2: not readable UTF-8 text .*; save it as UTF-8"):
        read_catalog(tmp_path)


def test_two_data_sets_with_one_name_of_a_method_are_refused(tmp_path):
    manifest(tmp_path, good())
    manifest(tmp_path, good(), name="Other faces")
    with pytest.raises(TddError, match="Other faces and Own faces both have a method swap"):
        read_catalog(tmp_path)


def test_check_names_what_is_missing_beside_or_too_short(tmp_path):
    text = good((2, "b/1_x.mp4,fake,train,swap,,,,0-0.1 1.5-2"), (3, ""))
    manifest(tmp_path, text, "c/extra.avi")
    (tmp_path / "Own faces/a/2.mp4").unlink()
    write_dfdc(tmp_path)
    own = {check.dataset: check for check in check_root(tmp_path, workers=1).datasets}["Own faces"]
    assert own.verdict is Verdict.INCOMPLETE
    assert own.missing == (("Own faces/a/2.mp4", "is missing (manifest.csv, line 3)"),)
    assert own.unreadable == (("Own faces/b/1_x.mp4", "is 0.16 s long, and a forged part ends at 2.00 s"),)
    unexpected = ("Own faces/b/2_x.mp4", "Own faces/c/extra.avi")
    assert own.unexpected == tuple((name, "is not in manifest.csv") for name in unexpected)


def test_people_in_training_and_test_are_warned_of(tmp_path, capsys):
    manifest(tmp_path, good((3, "b/2_x.mp4,fake,train,swap,bob,,,")))
    assert main(["data", "check", str(tmp_path), "--workers", "1"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "Leakage in Own faces: one person is in more than one split, bob (train, test)" in said
    assert "incomplete, but usable" in said


def test_a_folder_that_is_one_itself_is_told(tmp_path):
    manifest(tmp_path, good())
    with pytest.raises(TddError, match="seems to be one: give the folder that it lies in"):
        read_catalog(tmp_path / "Own faces")


def test_videos_without_a_manifest_are_told_the_way_to_one(tmp_path):
    (tmp_path / "Notes").mkdir()
    put_videos(tmp_path, "Own faces/a/1.mp4")
    with pytest.raises(TddError, match=f"The folder Own faces holds videos: tdd data manifest {tmp_path}/Own faces w"):
        read_catalog(tmp_path)
    with pytest.raises(TddError, match=f"It holds videos itself: tdd data manifest {tmp_path}/Own faces/a writes"):
        read_catalog(tmp_path / "Own faces/a")


def test_a_missing_video_in_other_capitals_is_told_as_that(tmp_path):
    manifest(tmp_path, good((0, "a/1.MP4,real,train,,ann,,,"), (2, "b/1_x.mp4,fake,train,swap,,,a/1.MP4,")))
    if not (tmp_path / "Own faces/a/1.MP4").exists():
        (check,) = check_root(tmp_path, workers=1).datasets
        assert [reason for _, reason in check.missing] == [
            "is missing, but 1.mp4 is there: capitals count on this disk (manifest.csv, line 2)"
        ]


def test_prepared_as_the_six_are(tmp_path):
    names = ("a/1.mp4", "a/2.mp4", "b/1_x.mp4", "b/2_x.mp4")
    for seed, name in enumerate(names):
        add_video(tmp_path, f"Own faces/{name}", audio=name.startswith("a"), seed=seed)
    write_text(tmp_path / "Own faces/manifest.csv", good((3, "b/2_x.mp4,1,test,swap,,,a/2.mp4,0.5-9")))
    clip = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
    done = prepare(tmp_path, tmp_path / "store", clip, workers=1)
    index = done.store.index.set_index("video_id")
    assert index["audio"].to_dict() == {"Own faces/a/1": True, "Own faces/a/2": True, "Own faces/b/1_x": False}
    assert index.loc["Own faces/b/1_x", ["segments", "made_from"]].tolist() == [
        "0.000-0.080 0.100-0.120", "Own faces/a/1",
    ]  # fmt: skip
    assert done.failed["video_id"].tolist() == ["Own faces/b/2_x"]
    assert any(
        "Own faces: 1 pieces of 29 frames at speech in 1 real videos with sound (" in note for note in done.notes
    )
    assert "is 1.20 s long, and a forged part ends at 9.00 s; mend the list." in done.failed["reason"][0]
    # A line that is mended changes the store's rows, and no clip.
    write_text(tmp_path / "Own faces/manifest.csv", good((2, LINES[2].replace("0.1-0.12", "0.2-0.3"))))
    again = prepare(tmp_path, tmp_path / "store", clip, workers=1)
    assert again.made == 1 and again.store.index.set_index("video_id").loc["Own faces/b/1_x", "segments"].endswith(
        "0.300"
    )


def first(root, *names):
    put_videos(root, *(f"Faces/{name}" for name in names))
    made = write_first_manifest(root / "Faces")
    return read_catalog(root).set_index("path"), made


def test_a_first_manifest_of_reals_and_fakes(tmp_path):
    table, made = first(
        tmp_path,
        "original/train/a.mp4",
        "original/test/b.mp4",
        "swap/train/a_x.mp4",
        "lips/test/b.mp4",
        "lips/test/z.avi",
    )
    facts = table.rename(lambda name: name.removeprefix("Faces/"))[["label", "method", "split", "made_from"]]
    assert facts.T.to_dict("list") == {
        "original/train/a.mp4": [0, "real", "train", ""], "original/test/b.mp4": [0, "real", "test", ""],
        "swap/train/a_x.mp4": [1, "swap", "train", "Faces/original/train/a"],
        "lips/test/b.mp4": [1, "lips", "test", "Faces/original/test/b"], "lips/test/z.avi": [1, "lips", "test", ""],
    }  # fmt: skip
    assert "2 of 3 fakes name the real" in made.to_text()


def test_a_first_manifest_of_talking_faces(tmp_path):
    table, made = first(tmp_path, *(f"person {n}/{k}.mp4" for n in range(12) for k in range(2)))
    assert set(table["label"]) == {0} and table["split"].value_counts().to_dict() == {"train": 22, "val": 2}
    assert (table.groupby("identities")["split"].nunique() == 1).all() and table["identities"].nunique() == 12
    assert "taken for real" in made.to_text()


def test_a_first_manifest_of_folders_named_fake_and_real(tmp_path):
    table, _ = first(tmp_path, "data/real_videos/1.mp4", "data/fake/Wav2Lip/1_2.mp4", "data/fake/3.mp4")
    assert table["method"].tolist() == [
        "fake" if "3.mp4" in n else "Wav2Lip" if "Wav2" in n else "real" for n in table.index
    ]
    assert set(table["split"]) == {"test"}


def test_a_first_manifest_replaces_none_and_needs_videos(tmp_path, capsys):
    (tmp_path / "Faces").mkdir()
    for sentence in ("holds no video", "is there already"):
        with pytest.raises(TddError, match=sentence):
            write_first_manifest(tmp_path / "Faces")
        put_videos(tmp_path, "Faces/real/a.mp4")
        write_text(tmp_path / "Faces/manifest.csv", "")
    (tmp_path / "Faces/manifest.csv").unlink()
    assert main(["data", "manifest", str(tmp_path / "Faces")]) == 0
    said = capsys.readouterr().out
    assert f"tdd data check {tmp_path}" in said.replace("\n", " ") and "\\n" not in said
    assert main(["data", "check", str(tmp_path), "--json", str(tmp_path / "r.json"), "--workers", "1"]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["datasets"][0]["counts"][0]["found"] == 1


def test_a_first_manifest_is_not_written_into_a_data_root(tmp_path):
    manifest(tmp_path, good())
    put_videos(tmp_path, "Faces/real/a.mp4")
    with pytest.raises(TddError, match="is a data root: it holds the data set Own faces"):
        write_first_manifest(tmp_path)
    assert not (tmp_path / "manifest.csv").exists()


def test_a_first_manifest_names_what_it_took_for_fakes_without_a_sign(tmp_path):
    _, made = first(tmp_path, "original/a.mp4", "swap/a_x.mp4", "interviews/anna.mp4", "interviews/bob.mp4")
    assert (
        "Of interviews none does: taken for fakes since" in made.to_text()
        and "swap," not in made.to_text().partition("Of interviews")[2]
    )
    _, made = first(tmp_path / "linked", "original/a.mp4", "swap/a_x.mp4")
    assert "taken for fakes since" not in made.to_text()


def test_the_count_table_has_its_methods(tmp_path):
    counts = count_table(read_catalog(manifest(tmp_path, good())))
    assert counts.loc[("Own faces", "swap")].tolist() == [1, 1]
    assert np.array_equal(counts.loc[("Own faces", "real")], [1, 1])
