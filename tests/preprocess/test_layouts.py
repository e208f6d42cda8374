"""Owners' layouts: what the lists say, and lists that are not to be trusted."""

import json
from collections import Counter

import numpy as np
import pytest

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
        (
            CELEB,
            "0 Celeb-real/a.mp4\n",
            r"line 1: Celeb-real/a\.mp4 is labelled 0 \(1 real",
        ),
        (CELEB, "1 YouTube-real/a.mp4\n0 YouTube-real/b.mp4\n", "line 2: YouTube-real/b"),
        (CELEB, "1 Celeb-synthesis/a.mp4\n", "is labelled 1"),
        (
            "FakeAVCeleb/meta_data.csv",
            META + "a,-,-,real,RealVideo-RealAudio,a.mp4,FakeAVCeleb/FakeVideo-FakeAudio/x\n",
            "of type RealVideo-RealAudio and lies in FakeVideo-FakeAudio",
        ),
    ],
)
def test_broken_lists_are_refused_with_the_mend(tmp_path, listing, text, sentence):
    write_text(tmp_path / listing, text)
    refused(tmp_path, sentence)
