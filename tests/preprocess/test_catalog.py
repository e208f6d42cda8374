import pytest

from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.preprocess.catalog import count_table, read_catalog
from tdd.preprocess.prepare import prepare
from tests.preprocess.trees import write_root


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path)


def test_every_official_rule_shows_in_the_table(root):
    table = read_catalog(root).set_index("video_id")
    assert table.index.is_unique
    same_file = ["FaceForensics++/Deepfakes/c23/000_003", "FaceForensics++/FaceShifter/c23/000_003"]
    assert list(table.loc[same_file, "path"].str.endswith("000_003.mp4")) == [True, True]
    assert table.loc[same_file[0], ["label", "split", "identities"]].tolist() == [1, "train", "000 003"]
    assert table.loc["FaceForensics++/real/c23/002", ["label", "split"]].tolist() == [0, "test"]
    # Celeb-DF-v2 writes 1 for real; and only the listed videos are its test set
    assert table.loc["Celeb-DF-v2/YouTube-real/00170", ["label", "method"]].tolist() == [0, "real"]
    assert table.loc["Celeb-DF-v2/Celeb-synthesis/id0_id1_0000", ["label", "identities"]].tolist() == [1, "id0 id1"]
    assert "Celeb-DF-v2/Celeb-real/id1_0000" not in table.index
    assert table.loc["LRW/train/ABOUT_00001", "word"] == "ABOUT"


def test_counts_per_split_and_method(root):
    counts = count_table(read_catalog(root))
    assert counts.loc[("FaceForensics++", "Deepfakes")].tolist() == [2, 2, 2]
    assert counts.loc[("Celeb-DF-v2", "real"), "test"] == 2


def test_celeb_df_copies_with_a_videos_level_are_read(root):
    folder = root / "Celeb-DF-v2" / "Celeb-real"
    (folder / "videos").mkdir()
    (folder / "id0_0000.mp4").rename(folder / "videos" / "id0_0000.mp4")
    assert "Celeb-DF-v2/Celeb-real/id0_0000" in set(read_catalog(root)["video_id"])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda root: (root / "FaceForensics++/splits/val.json").unlink(), "dataset/splits/ of the FaceForensics"),
        (lambda root: (root / "FaceForensics++/splits/val.json").write_text("[[1]]"), "not a list of pairs"),
        (lambda root: (root / "Celeb-DF-v2/List_of_testing_videos.txt").unlink(), "comes with Celeb-DF-v2"),
        (lambda root: (root / "Celeb-DF-v2/List_of_testing_videos.txt").write_text("real a.mp4"), "line 1"),
    ],
)
def test_broken_trees_are_refused_with_the_mend(root, damage, sentence):
    damage(root)
    with pytest.raises(TddError, match=sentence):
        read_catalog(root)


def test_a_listed_video_that_is_missing_stays_in_the_table(root):
    before = read_catalog(root)
    (root / "FaceForensics++/original_sequences/youtube/c23/videos/000.mp4").unlink()
    assert read_catalog(root).equals(before)


def test_an_empty_root_is_refused(tmp_path):
    with pytest.raises(TddError, match="No data set was found"):
        read_catalog(tmp_path)


def test_preparing_an_incomplete_copy_sets_the_missing_video_aside(root, tmp_path):
    (root / "FaceForensics++/original_sequences/youtube/c23/videos/000.mp4").unlink()
    clip = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
    done = prepare(root, tmp_path / "store", clip, workers=1)
    assert set(done.store.index["segments"]) == {""}
    assert done.made == 24 and done.failed["video_id"].tolist() == ["FaceForensics++/real/c23/000"]
