"""Names of files: spellings of Unicode, and names that no file can have."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdd.errors import TddError
from tdd.preprocess.landmarks import landmark_path, read_landmarks
from tdd.preprocess.naming import folded_name, name_problem, on_disk, same_name
from tdd.preprocess.probe import why_missing
from tests.preprocess.trees import face_points

NAMES = ("한글", "Ångström", "ñandú", "Việt", "ガギ", "é")


def spelled(name, form):
    return unicodedata.normalize(form, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("stored", "asked"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFC", "NFC"), ("NFD", "NFD")])
def test_a_name_meets_its_other_spelling(name, stored, asked, tmp_path):
    (tmp_path / spelled(f"{name} 1", stored)).mkdir()
    (tmp_path / spelled(f"{name} 1", stored) / spelled(f"{name}.npy", stored)).write_bytes(b"x")
    found = on_disk(tmp_path, f"{spelled(name, asked)} 1/{spelled(name, asked)}.npy")
    assert found.read_bytes() == b"x"


def test_what_is_not_there_keeps_its_name(tmp_path):
    assert on_disk(tmp_path, "한/글.npy") == tmp_path / "한/글.npy"
    assert on_disk(tmp_path / "none", "한글.npy") == tmp_path / "none" / "한글.npy"


def test_a_file_that_comes_later_is_found(tmp_path):
    assert not on_disk(tmp_path, "한글").exists()
    (tmp_path / spelled("한글", "NFD")).write_bytes(b"")
    assert on_disk(tmp_path, "한글").exists()


def test_the_exact_spelling_wins_and_two_others_are_told(tmp_path):
    mixed = spelled("éa", "NFC") + spelled("é", "NFD")
    names = [spelled("éaé", "NFD"), mixed]
    for name in names:
        (tmp_path / name).write_text(name)
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this disk takes both spellings for one name")
    assert [on_disk(tmp_path, name).read_text() for name in names] == names
    with pytest.raises(TddError, match="2 files of the name éaé"):
        on_disk(tmp_path, spelled("éaé", "NFC"))


def test_landmarks_of_a_mac_are_found_elsewhere(tmp_path):
    path = landmark_path(tmp_path, spelled("Celeb-DF-v2/한글/이.mp4", "NFD"))
    path.parent.mkdir(parents=True)
    np.save(path, face_points(3))
    assert len(read_landmarks(tmp_path, "Celeb-DF-v2/한글/이.mp4")) == 3


@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=80))
def test_one_name_has_one_spelling(text):
    assert same_name(spelled(text, "NFD")) == same_name(spelled(text, "NFC")) == same_name(same_name(text))


@pytest.mark.parametrize("name", ["a.mp4", "a b/c.d.mp4", "한글.mp4", "console.mp4", "com10.mp4", "x" * 247, "가" * 82])
def test_names_that_can_be_kept(name):
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("LRW/\udcb0\udca1.mp4", "no text in UTF-8"), ("\ud800", "no text in UTF-8"), ("x" * 248, "248 bytes"),
        ("a/" + "가" * 83 + "/b", "249 bytes"), ("CON", "device"), ("a/aux.mp4", "device"), ("Lpt1.x.mp4", "device"),
    ],
)  # fmt: skip
def test_names_that_cannot(name, reason):
    assert reason in name_problem(name)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("a.mp4", "A.MP4", True), (spelled("é", "NFD"), "É", True), ("Straße", "STRASSE", True), ("a1", "a2", False)],
)
def test_names_meet_as_on_a_disk_that_ignores_case(one, other, same):
    assert (folded_name(one) == folded_name(other)) == same


def test_a_neighbour_that_differs_in_case_is_named(tmp_path):
    (tmp_path / "Éva.MP4").write_bytes(b"")
    asked = tmp_path / "éva.mp4"
    if asked.exists():
        pytest.skip("this disk takes both for one name")
    assert why_missing(asked) == "is missing, but Éva.MP4 is there: capitals count on this disk"
    assert why_missing(tmp_path / "eva.mp4") == "is missing"
    assert why_missing(tmp_path / "none/eva.mp4") == "is missing"
