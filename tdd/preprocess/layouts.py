"""Data sets in their owners' layouts: which videos the official lists name, and where each lies.

A reader yields what the lists say, whether or not the file is on the disk; only LRW and DF40, which have no list, are
read from their folders. None renames, copies or needs a hand-made list, and none follows a list out of its data set.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tdd.errors import TddError
from tdd.names import (
    AVDEEPFAKE1M,
    CELEB_DF,
    CELEB_DF_METHOD,
    CELEB_DF_PP,
    DEEPERFORENSICS,
    DEEPERFORENSICS_METHOD,
    DF40,
    DFDC,
    DFDC_METHOD,
    FACEFORENSICS,
    FACEFORENSICS_METHODS,
    FAKEAVCELEB,
    LAVDF,
    LIP_RETIMING,
    LRW,
    REAL,
    SPLITS,
)
from tdd.preprocess.folders import Passed, folders_below
from tdd.preprocess.listed import Video, beside_or_in, relative
from tdd.preprocess.lists import (
    AGAIN,
    listed_file,
    listed_path,
    parse_mapping,
    parse_pairs,
    parse_table,
    read_list,
    text_lines,
)
from tdd.preprocess.localised import list_av_deepfake1m, list_lavdf
from tdd.preprocess.many_methods import CELEB_FOLDERS, list_celeb_df_pp, list_df40
from tdd.preprocess.naming import is_hidden, on_disk, same_name

COMPRESSION = "c23"
"""Which of the owner's versions of FaceForensics++ is read."""

DEEPERFORENSICS_FOLDERS = (
    "end_to_end",
    *(f"end_to_end_level_{level}" for level in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{count}_distortions" for count in range(2, 5)),
    "reenact_postprocess",
)

CELEB_DF_LABELS = {"Celeb-real": "1", "YouTube-real": "1", "Celeb-synthesis": "0"}
"""The label of every video in a folder of Celeb-DF-v2, as its list writes it."""

DFDC_LABELS, DFDC_METADATA = "labels.csv", "metadata.json"

FAKEAVCELEB_TYPES = ("RealVideo-RealAudio", "RealVideo-FakeAudio", "FakeVideo-RealAudio", "FakeVideo-FakeAudio")
FAKEAVCELEB_COLUMNS = ("source", "target1", "target2", "method", "type", "path", "")  # the owner's last has no name

PUBLISHED = {
    LRW: "LRW comes from https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrw1.html, on request",
    FACEFORENSICS: "run tdd data fetch-splits, or copy dataset/splits/ of the FaceForensics repository, "
    "https://github.com/ondyari/FaceForensics",
    CELEB_DF: "it comes with Celeb-DF-v2, https://github.com/yuezunli/celeb-deepfakeforensics",
    DEEPERFORENSICS: "it comes with DeeperForensics-1.0, https://github.com/EndlessSora/DeeperForensics-1.0",
    DFDC: "it comes with DFDC, https://ai.meta.com/datasets/dfdc",
    FAKEAVCELEB: "it comes with FakeAVCeleb, https://github.com/DASH-Lab/FakeAVCeleb",
}
"""Where the owner publishes lists and data."""


def list_lrw(root: Path) -> Iterator[Video]:
    """``LRW/lipread_mp4/<WORD>/{train,val,test}/<WORD>_00001.mp4``: real talking faces."""
    folder = root / LRW / "lipread_mp4"
    if not folder.is_dir():
        raise TddError(f"{folder} is missing; LRW's videos lie in a folder lipread_mp4 ({PUBLISHED[LRW]}).")
    for home in _shown(folder):
        word = same_name(home.name)
        for split in SPLITS:
            for path in _shown(home / split):  # recipes take the first of each word
                # A clip in another word's folder would get that word for its label.
                if path.suffix == ".mp4" and same_name(path.name).startswith(f"{word}_"):
                    video_id = f"{LRW}/{split}/{same_name(path.stem)}"
                    yield Video(video_id, LRW, REAL, 0, split, relative(path, root), "", word, audio=True)


def _shown(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden, by name; nothing where there is no folder.

    Raises:
        OSError: it cannot be read. Not to be passed over: its videos are on no list that would miss them.
    """
    try:
        paths = [path for path in folder.iterdir() if not is_hidden(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(paths, key=lambda path: (same_name(path.name), path.name))


def list_faceforensics(root: Path) -> Iterator[Video]:
    """FaceForensics++ (with FaceShifter, where present) by its split lists of pairs.

    A pair [a, b] stands for the reals a and b and, in every method, the fakes a_b and b_a.
    """
    home = root / FACEFORENSICS
    methods = [m for m in (*FACEFORENSICS_METHODS, LIP_RETIMING) if (home / "manipulated_sequences" / m).is_dir()]
    for split in SPLITS:
        listing = home / "splits" / f"{split}.json"
        pairs = parse_pairs(read_list(listing, PUBLISHED[FACEFORENSICS]), str(listing))
        reals = [(name,) for name in sorted(identity for pair in pairs for identity in pair)]
        fakes = sorted(pair for a, b in pairs for pair in ((a, b), (b, a)))
        for method in (REAL, *methods):
            for people in reals if method == REAL else fakes:
                name = same_name("_".join(people))
                path = on_disk(root / faceforensics_folder(method), f"{name}.mp4")
                video_id = f"{FACEFORENSICS}/{method}/{COMPRESSION}/{name}"
                yield Video(
                    video_id, FACEFORENSICS, method, int(method != REAL), split, relative(path, root),
                    same_name(" ".join(people)), compression=COMPRESSION,
                )  # fmt: skip


def faceforensics_folder(method: str) -> str:
    """Folder, relative to the data root, of a method's videos or of the reals, at the compression that is read."""
    sequences = "original_sequences/youtube" if method == REAL else f"manipulated_sequences/{method}"
    return f"{FACEFORENSICS}/{sequences}/{COMPRESSION}/videos"


def list_celeb_df(root: Path) -> Iterator[Video]:
    """Celeb-DF-v2 by its list of test videos, in which 1 means real and 0 fake; some copies add a folder ``videos``.

    A label that its video's folder contradicts is refused.
    """
    home = root / CELEB_DF
    listing = home / "List_of_testing_videos.txt"
    for place, line in text_lines(read_list(listing, PUBLISHED[CELEB_DF]), str(listing)):
        flag, _, name = line.replace("\t", " ", 1).partition(" ")
        if flag not in ("0", "1") or "/" not in name:
            raise TddError(f"{place}: expected '1 folder/file.mp4', not {reprlib.repr(line)}.")
        listed = listed_path(same_name(name.strip()), place)
        if CELEB_DF_LABELS.get(listed.parts[0]) != flag:
            known = ", ".join(f"{label} for {folder}" for folder, label in CELEB_DF_LABELS.items())
            raise TddError(f"{place}: the label {flag} and the folder of {listed} do not agree ({known}); {AGAIN}.")
        method = REAL if flag == "1" else CELEB_DF_METHOD
        path = beside_or_in(home, listed.parent, "videos", listed.name)
        identities = " ".join(listed.stem.split("_")[:-1])  # the last part is the video's number
        video_id = f"{CELEB_DF}/{listed.with_suffix('')}"
        yield Video(video_id, CELEB_DF, method, int(method != REAL), "test", relative(path, root), identities)


def list_deeperforensics(root: Path) -> Iterator[Video]:
    """DeeperForensics-1.0: fakes of every version that is there; its own ``source_videos`` are not the real class.

    The undistorted ``end_to_end`` is the method ``DeeperForensics``; another version's name is added to that.
    """
    home = root / DEEPERFORENSICS
    folders = [name for name in DEEPERFORENSICS_FOLDERS if (home / "manipulated_videos" / name).is_dir()]
    if not folders:
        raise TddError(
            f"{home / 'manipulated_videos'} holds none of the folders {', '.join(DEEPERFORENSICS_FOLDERS)}; "
            "unpack the data set as its owner says."
        )
    for split in SPLITS:
        listing = home / "lists" / "splits" / f"{split}.txt"
        lines = text_lines(read_list(listing, PUBLISHED[DEEPERFORENSICS]), str(listing))
        names = sorted({listed_path(same_name(line), place).name for place, line in lines})
        for folder in folders:
            method = DEEPERFORENSICS_METHOD + ("" if folder == "end_to_end" else f"-{folder}")
            for name in names:
                path = on_disk(home / "manipulated_videos" / folder, name)
                stem = PurePosixPath(name).stem
                video_id = f"{DEEPERFORENSICS}/{folder}/{stem}"
                people = " ".join(stem.split("_", 1))
                yield Video(video_id, DEEPERFORENSICS, method, 1, split, relative(path, root), people)


def list_dfdc(root: Path) -> Iterator[Video]:
    """DFDC: parts with a ``metadata.json``, and the public test set with a ``labels.csv`` in which 1 means fake.

    Each part is ``DFDC`` or a folder at any depth below it, its videos beside the list or in a folder ``videos``.
    """
    home, passed = root / DFDC, Passed()
    parts = sorted(
        (place, DFDC_LABELS if DFDC_LABELS in names else DFDC_METADATA)
        for place, files in folders_below(home, passed)
        if not (names := {path.name for path in files}).isdisjoint((DFDC_LABELS, DFDC_METADATA))
    )
    for place, reason in passed.unreadable:
        raise TddError(f"{place} cannot be read ({reason}).")
    if not parts:
        raise TddError(f"{home} and its folders hold no {DFDC_METADATA} and no {DFDC_LABELS}: {PUBLISHED[DFDC]}.")
    for part, listing in parts:
        # The owner's validation set has the same kind of list as the test set.
        split = "val" if {"val", "validation"} & set(part.relative_to(home).parts) else "test"
        entries = _dfdc_labels(part / listing, split) if listing == DFDC_LABELS else _dfdc_metadata(part / listing)
        for name, label, split in entries:
            path = beside_or_in(part, PurePosixPath(), "videos", name)
            video_id = same_name(f"{relative(part, root)}/{PurePosixPath(name).stem}")
            yield Video(video_id, DFDC, DFDC_METHOD if label else REAL, label, split, relative(path, root), "")


def _dfdc_labels(listing: Path, split: str) -> Iterator[tuple[str, int, str]]:
    for place, row in parse_table(read_list(listing, PUBLISHED[DFDC]), str(listing), ("filename", "label")):
        if row["label"] not in ("0", "1"):
            raise TddError(
                f"{place}: the label of {row['filename']} is {reprlib.repr(row['label'])}, not 0 (real) or 1 (fake)."
            )
        yield listed_file(same_name(row["filename"]), place), int(row["label"]), split


def _dfdc_metadata(listing: Path) -> Iterator[tuple[str, int, str]]:
    for name, entry in sorted(parse_mapping(read_list(listing, PUBLISHED[DFDC]), str(listing)).items()):
        label, split = entry.get("label"), entry.get("split")
        if label not in ("REAL", "FAKE") or split not in SPLITS:
            raise TddError(
                f"{listing}: {name} has label {reprlib.repr(label)} and split {reprlib.repr(split)}; expected REAL or "
                f"FAKE, and {', '.join(SPLITS)}."
            )
        if label == "REAL" and entry.get("original"):
            raise TddError(f"{listing}: {name} has label REAL, and an original that it was forged from; {AGAIN}.")
        yield listed_file(same_name(name), str(listing)), int(label == "FAKE"), str(split)


def list_fakeavceleb(root: Path) -> Iterator[Video]:
    """FakeAVCeleb by its ``meta_data.csv``, all of it for testing; a file that is listed twice counts once.

    A method's name holds the initials of its type, so that FVRA has a false picture and a real voice. Those of
    RealVideo-FakeAudio (RVFA) are labelled fake too: they are for detectors that listen.
    """
    home = root / FAKEAVCELEB
    listing = home / "meta_data.csv"
    seen = set()
    for line, row in parse_table(read_list(listing, PUBLISHED[FAKEAVCELEB]), str(listing), FAKEAVCELEB_COLUMNS):
        folder = listed_path(same_name(row[""]), line)
        # The owner's folders begin with the data set's own name.
        parts = folder.parts[1:] if folder.parts[0] == FAKEAVCELEB else folder.parts
        name = listed_file(same_name(row["path"]), line)
        if row["type"] not in FAKEAVCELEB_TYPES:
            raise TddError(
                f"{line}: {name} is of type {reprlib.repr(row['type'])}; known are {', '.join(FAKEAVCELEB_TYPES)}."
            )
        if parts[:1] != (row["type"],):
            raise TddError(f"{line}: the type {row['type']} and the folder {folder} of {name} do not agree; {AGAIN}.")
        path = on_disk(home, PurePosixPath(*parts, name))
        if path in seen:  # true of about 22 files
            continue
        seen.add(path)
        real = row["type"] == FAKEAVCELEB_TYPES[0]
        initials = "".join(letter for letter in row["type"] if letter.isupper())
        method = REAL if real else f"{FAKEAVCELEB}-{initials}-{row['method']}"
        people = " ".join(row[who] for who in ("source", "target1", "target2") if row[who] not in ("", "-"))
        place = relative(path, root)
        video_id = same_name(str(PurePosixPath(place).with_suffix("")))
        yield Video(video_id, FAKEAVCELEB, method, int(not real), "test", place, people, audio=True)


READERS: dict[str, Callable[[Path], Iterator[Video]]] = {
    LRW: list_lrw,
    FACEFORENSICS: list_faceforensics,
    CELEB_DF: list_celeb_df,
    DEEPERFORENSICS: list_deeperforensics,
    DFDC: list_dfdc,
    FAKEAVCELEB: list_fakeavceleb,
    CELEB_DF_PP: list_celeb_df_pp,
    DF40: list_df40,
    LAVDF: list_lavdf,
    AVDEEPFAKE1M: list_av_deepfake1m,
}
"""The reader of each data set, by its name; each raises ``TddError`` for a list that is missing or malformed."""

FOLDERS: dict[str, tuple[str, ...]] = {
    LRW: (f"{LRW}/lipread_mp4",),
    FACEFORENSICS: tuple(faceforensics_folder(method) for method in (REAL, *FACEFORENSICS_METHODS)),
    CELEB_DF: tuple(f"{CELEB_DF}/{name}" for name in CELEB_DF_LABELS),
    DEEPERFORENSICS: tuple(f"{DEEPERFORENSICS}/manipulated_videos/{name}" for name in DEEPERFORENSICS_FOLDERS),
    DFDC: (DFDC,),
    FAKEAVCELEB: tuple(f"{FAKEAVCELEB}/{name}" for name in FAKEAVCELEB_TYPES),
    CELEB_DF_PP: tuple(f"{CELEB_DF_PP}/{name}" for name in CELEB_FOLDERS),
    DF40: (DF40,),
    LAVDF: (LAVDF,),
    AVDEEPFAKE1M: (AVDEEPFAKE1M,),
}
"""Folders, relative to the data root, in which a data set's videos lie."""
