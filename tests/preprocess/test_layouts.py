"""Owners' layouts: what the lists say, and lists that are not to be trusted."""

import errno
import json
import os
from collections import Counter
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdd.errors import TddError
from tdd.names import FACEFORENSICS_METHODS, REAL
from tdd.preprocess.catalog import read_catalog
from tdd.preprocess.layouts import READERS, list_faceforensics
from tdd.preprocess.lists import listed_path
from tests.preprocess.trees import (
    put_videos,
    write_deeperforensics,
    write_dfdc,
    write_fakeavceleb,
    write_root,
    write_text,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("owners")
    for write in (write_root, write_deeperforensics, write_dfdc, write_fakeavceleb):
        write(root)
    catalog = read_catalog(root)
    assert all((root / path).is_file() for path in catalog["path"])
    return catalog.set_index("video_id")


def test_ids_and_methods_are_unique_over_all_data_sets(table):
    assert table.index.is_unique
    fakes = table[table["label"] == 1]
    assert (fakes.groupby("method")["dataset"].nunique() == 1).all()
    assert ((table["method"] == REAL) == (table["label"] == 0)).all()


def test_deeperforensics_versions_are_methods_and_sources_are_no_reals(table):
    rows = table[table["dataset"] == "DeeperForensics-1.0"]
    assert len(rows) == 6 and rows["label"].all()
    one = rows.loc["DeeperForensics-1.0/end_to_end/002_M102"]
    assert one[["method", "split", "identities"]].tolist() == ["DeeperForensics", "test", "002 M102"]
    assert rows.loc["DeeperForensics-1.0/end_to_end_level_5/000_W101", "method"] == "DeeperForensics-end_to_end_level_5"


def test_dfdc_parts_and_public_test_set(table):
    rows = table[table["dataset"] == "DFDC"]
    assert rows["label"].to_dict() == {
        "DFDC/dfdc_train_part_0/a": 1, "DFDC/dfdc_train_part_0/b": 0, "DFDC/test/x": 1, "DFDC/test/y": 0,
    }  # fmt: skip
    assert rows["split"].tolist() == ["train", "train", "test", "test"]


def test_fakeavceleb_types_methods_and_people(table):
    rows = table[table["dataset"] == "FakeAVCeleb"].set_index("method")
    assert rows["label"].to_dict() == {
        "real": 0, "FakeAVCeleb-RVFA-rtvc": 1, "FakeAVCeleb-FVRA-fsgan": 1, "FakeAVCeleb-FVFA-wav2lip": 1,
    }  # fmt: skip
    assert rows.loc["FakeAVCeleb-FVFA-wav2lip", "identities"] == "id1 id2 id3"
    assert rows["audio"].all() and (rows["split"] == "test").all()


def test_sound_and_compression(table):
    assert set(table.loc[table["audio"], "dataset"]) == {"LRW", "FakeAVCeleb"}
    assert table.groupby("dataset")["compression"].unique().map(list)["FaceForensics++"] == ["c23"]
    assert (table.loc[table["dataset"] != "FaceForensics++", "compression"] == "").all()


def test_lists_of_360_70_and_70_pairs_give_720_140_and_140_videos_a_class(tmp_path):
    names = np.random.default_rng(0).permutation([f"{number:03d}" for number in range(1000)]).tolist()
    pairs = [names[k : k + 2] for k in range(0, 1000, 2)]
    for split, part in {"train": pairs[:360], "val": pairs[360:430], "test": pairs[430:]}.items():
        write_text(tmp_path / "FaceForensics++/splits" / f"{split}.json", json.dumps(part))
    for method in FACEFORENSICS_METHODS:
        (tmp_path / "FaceForensics++/manipulated_sequences" / method).mkdir(parents=True)
    counts = Counter((video.method, video.split) for video in list_faceforensics(tmp_path))
    expected = {"train": 720, "val": 140, "test": 140}
    assert counts == {(m, split): n for m in (REAL, *FACEFORENSICS_METHODS) for split, n in expected.items()}


CELEB = "Celeb-DF-v2/List_of_testing_videos.txt"
META = "source,target1,target2,method,type,path,\n"


@pytest.mark.parametrize(
    "name", ["../secret", "a/../../secret", "/etc/passwd", "..\\secret", "C:\\secret", "a\0b", "."]
)
def test_paths_that_lead_out_are_refused(name):
    with pytest.raises(TddError, match="no path inside the data set"):
        listed_path(name, "list.txt")


@pytest.mark.parametrize(
    ("listing", "text"),
    [
        ("FaceForensics++/splits/train.json", '[["000", "../001"]]'),
        ("Celeb-DF-v2/List_of_testing_videos.txt", "1 ../Celeb-real/a.mp4"),
        ("DeeperForensics-1.0/lists/splits/train.txt", "../a.mp4"),
        ("DFDC/test/labels.csv", "filename,label\n../a.mp4,1\n"),
        ("DFDC/dfdc_train_part_0/metadata.json", '{"../a.mp4": {"label": "FAKE", "split": "train"}}'),
        ("FakeAVCeleb/meta_data.csv", f"{META}a,-,-,real,RealVideo-RealAudio,a.mp4,..\n"),
        ("FakeAVCeleb/meta_data.csv", f"{META}a,-,-,real,RealVideo-RealAudio,../a.mp4,x\n"),
    ],
)
def test_no_reader_follows_a_list_out_of_its_data_set(tmp_path, listing, text):
    (tmp_path / "DeeperForensics-1.0/manipulated_videos/end_to_end").mkdir(parents=True)
    write_text(tmp_path / listing, text)
    with pytest.raises(TddError, match="no path inside the data set"):
        list(READERS[listing.split("/")[0]](tmp_path))


def test_names_with_spaces_and_korean(tmp_path):
    put_videos(
        tmp_path, "LRW/lipread_mp4/안녕 하세요/train/안녕 하세요_00001.mp4", "Celeb-DF-v2/Celeb-real/아이 디0_0000.mp4"
    )
    write_text(tmp_path / CELEB, "\ufeff1 Celeb-real/아이 디0_0000.mp4\r\n")
    table = read_catalog(tmp_path)
    assert table["video_id"].tolist() == ["LRW/train/안녕 하세요_00001", "Celeb-DF-v2/Celeb-real/아이 디0_0000"]
    assert table["word"].tolist() == ["안녕 하세요", ""]


def refused(root, sentence):
    with pytest.raises(TddError, match=sentence):
        read_catalog(root)


def test_a_list_in_another_encoding(tmp_path):
    write_text(tmp_path / CELEB, "")
    (tmp_path / CELEB).write_bytes("1 Celeb-real/가.mp4".encode("cp949"))
    refused(tmp_path, "not readable UTF-8")


def test_a_list_that_is_a_circle_of_links(tmp_path):
    write_text(tmp_path / CELEB, "")
    (tmp_path / CELEB).unlink()
    (tmp_path / CELEB).symlink_to("List_of_testing_videos.txt")
    refused(tmp_path, "in a circle.*celeb-deepfakeforensics")


def test_links_back_to_the_data_set_are_not_read_twice(tmp_path):
    write_dfdc(tmp_path)
    (tmp_path / "DFDC/loop").symlink_to(".")
    (tmp_path / "DFDC/self").symlink_to("self")
    assert len(read_catalog(tmp_path)) == 4


def test_names_that_some_disks_take_for_one_are_refused(tmp_path):
    names = ["Celeb-real/ID0_0000.mp4", "Celeb-real/id1_0000.mp4", "Celeb-real/id0_0000.mp4"]
    put_videos(tmp_path, *(f"Celeb-DF-v2/{name}" for name in names))
    write_text(tmp_path / CELEB, "".join(f"1 {name}\n" for name in names))
    refused(tmp_path, r"Celeb-real/ID0_0000\.mp4 and .*Celeb-real/id0_0000\.mp4 differ only in capitals")
    write_text(tmp_path / CELEB, "".join(f"1 {name}\n" for name in names[:2]))
    assert len(read_catalog(tmp_path)) == 2


def test_a_video_in_two_splits_is_refused_with_both(tmp_path):
    write_root(tmp_path)
    write_text(tmp_path / "FaceForensics++/splits/test.json", '[["000", "005"]]')
    refused(tmp_path, r"real/c23/000 is on the lists of FaceForensics\+\+ twice \(train and test\)")


@pytest.mark.parametrize(
    ("listing", "text", "sentence"),
    [
        ("DFDC/test/labels.csv", "filename,label\na.mp4,fake\n", "'fake', not 0"),
        ("DFDC/test/labels.csv", "filename,label\na.mp4\n", "line 2: too few columns"),
        ("DFDC/test/labels.csv", "file,label\n", "no column 'filename'"),
        ("DFDC/part/metadata.json", "[1]", "an object for each file"),
        ("DFDC/part/metadata.json", "{", "is not JSON"),
        ("DFDC/part/metadata.json", '{"a.mp4": {"label": "FAKE"}}', "label 'FAKE' and split None"),
        ("DFDC/readme.txt", "", "no metadata.json and no labels.csv"),
        ("FakeAVCeleb/meta_data.csv", META + "a,-,-,real,Real,a.mp4,x\n", "type 'Real'"),
        ("FakeAVCeleb/readme.txt", "", "meta_data.csv is missing"),
        ("DeeperForensics-1.0/lists/splits/test.txt", "", "holds none of the folders"),
        ("LRW/readme.txt", "", "lipread_mp4 is missing"),
        (CELEB, "1 Celeb-real/a.mp4\n", "none of the 1 videos"),
    ],
)
def test_broken_lists_are_refused_with_the_mend(tmp_path, listing, text, sentence):
    write_text(tmp_path / listing, text)
    refused(tmp_path, sentence)


HELD = {
    "Celeb-DF-v2/List_of_testing_videos.txt": [
        "0 Celeb-real/x.mp4", "1 Celeb-synthesis/x.mp4", "0 YouTube-real/x.mp4", "1 elsewhere/x.mp4",
    ],
    "FakeAVCeleb/meta_data.csv": [
        f"{META}a,-,-,real,RealVideo-RealAudio,a.mp4,FakeAVCeleb/FakeVideo-RealAudio/African\n",
        f"{META}a,-,-,faceswap,FakeVideo-RealAudio,a.mp4,RealVideo-RealAudio/African\n",
        f"{META}a,-,-,faceswap,FakeVideo-RealAudio,a.mp4,FakeAVCeleb\n",
    ],
    "DFDC/part/metadata.json": ['{"a.mp4": {"label": "REAL", "split": "train", "original": "b.mp4"}}'],
}  # fmt: skip


@pytest.mark.parametrize(("listing", "text"), [(listing, text) for listing in HELD for text in HELD[listing]])
def test_labels_are_held_against_folders(tmp_path, listing, text):
    write_text(tmp_path / listing, text)
    with pytest.raises(TddError, match=r"not agree|label REAL") as raised:
        list(READERS[listing.split("/")[0]](tmp_path))
    assert ", line " in str(raised.value) or listing.endswith("json")


PAIRS = "FaceForensics++/splits/train.json"
PART = "DFDC/part/metadata.json"
LABELS = "DFDC/part/labels.csv"
TABLE = "FakeAVCeleb/meta_data.csv"
ROW = "a,-,-,real,RealVideo-RealAudio,{},RealVideo-RealAudio\n"

BROKEN = {
    "brackets": (PAIRS, "[" * 100_000, "not a list of pairs"),
    "brackets of an object": (PART, '{"a":' * 100_000, "brackets within"),
    "half a character": (PAIRS, '[["\\ud800", "001"]]', "no text in UTF-8"),
    "half a character as a key": (PART, '{"\\udcff.mp4": {"label": "FAKE", "split": "train"}}', "no text in UTF-8"),
    "letters for a pair": (PAIRS, '["ab"]', "entry 1 is 'ab'"),
    "numbers": (PAIRS, "[[1, 2]]", "entry 1"),
    "three": (PAIRS, '[["0", "1"], ["0", "1", "2"]]', "entry 2"),
    "an object for a list": (PAIRS, '{"ab": "cd"}', "not a list of pairs"),
    "a number of 9,999 digits": (PAIRS, "9" * 9999, "not a list of pairs"),
    "the same key": (PART, '{"a.mp4": {"label": "FAKE"}, "b": {}, "a.mp4": {"label": "REAL"}}', "'a.mp4' 2 times"),
    "the same key within": (PART, '{"a": {"label": "FAKE", "split": "train", "label": "REAL"}}', "'label' 2 times"),
    "a name of 300 letters": (PART, json.dumps({"x" * 300: {"label": "FAKE", "split": "train"}}), "300 bytes"),
    "a device": (PART, '{"nul.mp4": {"label": "FAKE", "split": "train"}}', "device"),
    "a deep label": (PART, '{"a": {"label": ' + "[" * 500 + "]" * 500 + ', "split": "train"}}', "has label"),
    "an open quote": (TABLE, META + ROW.format("b.mp4") + '"' + ROW.format("a.mp4") * 3, "line 3: a quote"),
    "a long open quote": (TABLE, META + ROW.format("b.mp4") + '"' + ROW.format("a.mp4") * 9000, "line 3: a quote"),
    "a quote closed later": (LABELS, 'filename,label\na.mp4,1\n"b.mp4\nc.mp4",1\n', "line 3: a quote"),
    "two columns of a name": (LABELS, "filename,label,label\na.mp4,0,1\n", "more than one column 'label'"),
    "a column too many": (LABELS, "filename,label\na.mp4,0\nb.mp4,0,1\n", "line 3: too many columns"),
    "no header": (LABELS, "", "no column 'filename'"),
    "zero bytes": (LABELS, "filename,label\na.mp4\0,0\n", "line 2: a zero byte"),
    "a comma in a Celeb line": (CELEB, "\n1 Celeb-real/a.mp4\n1,Celeb-real/b.mp4\n", "line 3: expected"),
    "a tab that ends nothing": (CELEB, "1 \tCeleb-real/\0.mp4", "line 1: a zero byte"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_no_list_holds_is_one_sentence_with_its_place(tmp_path, kind):
    listing, text, sentence = BROKEN[kind]
    write_text(tmp_path / listing, text)
    with pytest.raises(TddError, match=sentence) as raised:
        read_catalog(tmp_path)
    said = str(raised.value)
    assert str(tmp_path / listing) in said and len(said.splitlines()) == 1 and len(said) < 600


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lists_in_any_encoding_are_read_or_told(tmp_path, encoding, ending):
    names = {"cp949": ["아이"], "latin-1": ["é"]}.get(encoding, ["아이 디0", "가\u2028나"])
    text = "".join(f"1\tCeleb-real/{name}_0000.mp4 {ending}" for name in ("ascii", *names))
    (tmp_path / CELEB).parent.mkdir()
    (tmp_path / CELEB).write_bytes(text.encode(encoding))
    try:
        found = [video.video_id for video in READERS["Celeb-DF-v2"](tmp_path)]
    except TddError as error:
        assert encoding in ("cp949", "latin-1")
        assert f"{CELEB}, line 2" in str(error) and "save it as UTF-8" in str(error)
    else:
        assert found == [f"Celeb-DF-v2/Celeb-real/{name}_0000" for name in ("ascii", *names)]


@given(st.binary(max_size=60), st.sampled_from((PAIRS, PART, LABELS, TABLE, CELEB)))
def test_no_bytes_end_in_another_error(tmp_path_factory, content, listing):
    root = tmp_path_factory.mktemp("list")
    (root / listing).parent.mkdir(parents=True)
    (root / listing).write_bytes(b"1 Celeb-real/a" + content if listing == CELEB else content)
    try:
        list(READERS[listing.split("/")[0]](root))
    except TddError as error:
        assert len(str(error).splitlines()) == 1


def test_dfdc_parts_lie_at_any_depth(tmp_path):
    write_dfdc(tmp_path)
    part = {"c.mp4": {"label": "REAL", "split": "train"}}
    for place in ("train/dfdc_train_part_1", "a/b/c/d"):
        write_text(tmp_path / "DFDC" / place / "metadata.json", json.dumps(part))
        put_videos(tmp_path, f"DFDC/{place}/c.mp4")
    write_text(tmp_path / "DFDC/.hidden/metadata.json", json.dumps(part))
    write_text(tmp_path / "DFDC/validation/labels.csv", "filename,label\nv.mp4,1\n")
    (tmp_path / "DFDC/again").symlink_to("train/dfdc_train_part_1")
    table = read_catalog(tmp_path).set_index("video_id")
    assert table.loc["DFDC/train/dfdc_train_part_1/c", "path"] == "DFDC/train/dfdc_train_part_1/c.mp4"
    assert table["split"].to_dict() == {
        "DFDC/a/b/c/d/c": "train", "DFDC/dfdc_train_part_0/a": "train", "DFDC/dfdc_train_part_0/b": "train",
        "DFDC/test/x": "test", "DFDC/test/y": "test", "DFDC/train/dfdc_train_part_1/c": "train",
        "DFDC/validation/v": "val",
    }  # fmt: skip


@pytest.mark.parametrize(("listed", "stored"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_lists_and_folders_of_other_machines_meet(tmp_path, listed, stored):
    names = [f"Celeb-real/{name}_0000.mp4" for name in ("한글", "Zoë")]
    put_videos(tmp_path, *(f"Celeb-DF-v2/{normalize(stored, name)}" for name in names))
    write_text(tmp_path / CELEB, "".join(f"1 {normalize(listed, name)}\n" for name in names))
    word = normalize(stored, "안녕")
    put_videos(tmp_path, f"LRW/lipread_mp4/{word}/train/{normalize(listed, '안녕')}_00001.mp4")
    write_text(tmp_path / "DFDC/part/labels.csv", f"filename,label\n{normalize(listed, '둘')}.mp4,1\n")
    put_videos(tmp_path, f"DFDC/part/videos/{normalize(stored, '둘')}.mp4")
    folder = "FakeAVCeleb/RealVideo-RealAudio/서울"
    row = normalize(listed, f"a,-,-,real,RealVideo-RealAudio,셋.mp4,{folder}\n")
    write_text(tmp_path / "FakeAVCeleb/meta_data.csv", META + row)
    put_videos(tmp_path, normalize(stored, f"{folder}/셋.mp4"))
    table = read_catalog(tmp_path)
    assert all((tmp_path / path).is_file() for path in table["path"])
    assert table["video_id"].tolist()[3:] == ["DFDC/part/둘", f"{folder}/셋"]
    ids = ["LRW/train/안녕_00001", "Celeb-DF-v2/Celeb-real/한글_0000", "Celeb-DF-v2/Celeb-real/Zoë_0000"]
    assert table["video_id"].tolist()[:3] == ids and table["word"][0] == "안녕"


def test_two_files_of_one_name_are_told_with_both(tmp_path):
    folder = "LRW/lipread_mp4/é/train"
    put_videos(tmp_path, *(f"{folder}/{normalize(form, 'é')}_1.mp4" for form in ("NFC", "NFD")))
    if len(list((tmp_path / folder).iterdir())) == 1:
        pytest.skip("this disk takes both spellings for one name")
    refused(tmp_path, r"_1.mp4 and .*_1.mp4 \(train\) are both called LRW/train/é_1")


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    for name in ("A", "B", "C"):
        put_videos(tmp_path, f"LRW/lipread_mp4/{name}/train/{name}_1.mp4")
    closed(monkeypatch, tmp_path / "LRW/lipread_mp4/B/train")
    refused(tmp_path, r"B/train cannot be read \(Permission denied\)")
    write_dfdc(tmp_path / "other")
    closed(monkeypatch, tmp_path / "other/DFDC/test")
    refused(tmp_path / "other", r"DFDC/test cannot be read \(Permission denied\)")


def closed(monkeypatch, folder):
    """Have the folder refuse to be read, as one of another user does; root may read all."""
    for module, name in ((os, "listdir"), (os, "scandir")):
        own = getattr(module, name)

        def refuse(path, own=own):
            if Path(path) == folder:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return own(path)

        monkeypatch.setattr(module, name, refuse)
