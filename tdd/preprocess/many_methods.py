"""Celeb-DF++ and DF40: many forgery methods each, in their owners' layouts."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tdd.errors import TddError
from tdd.names import CELEB_DF_METHOD, CELEB_DF_PP, DF40, DF40_CDF, DF40_FF, FACEFORENSICS, REAL, SPLITS
from tdd.preprocess.folders import Passed, files_below
from tdd.preprocess.listed import Video, beside_or_in, relative
from tdd.preprocess.lists import AGAIN, listed_path, parse_pairs, read_list, text_lines
from tdd.preprocess.naming import on_disk, same_name
from tdd.preprocess.probe import VIDEO_SUFFIXES

CELEB_PUBLISHED = "it comes with Celeb-DF++, https://github.com/OUC-VAS/Celeb-DF-PP"
SPLITS_PUBLISHED = "run tdd data fetch-splits: DF40 is made from FaceForensics++ and divided by its lists"

CELEB_METHODS = {
    "FaceSwap": ("Celeb-DF", "BlendFace", "GHOST", "HifiFace", "InSwapper", "MobileFaceSwap", "SimSwap", "UniFace"),
    "FaceReenact": ("DaGAN", "FSRT", "HyperReenact", "LIA", "LivePortrait", "MCNET", "TPSMM"),
    "TalkingFace": ("AniTalker", "EchoMimic", "EDTalk", "FLOAT", "IP_LAP", "Real3DPortrait", "SadTalker"),
}
"""Folders of Celeb-DF++'s fakes, by scenario, as its README has them."""

CELEB_TESTED = {"FaceSwap": 200, "FaceReenact": 200, "TalkingFace": 300}
"""Test videos of each method of a scenario, as its README says."""

OTHER_NAME = {"Celeb-DF": "Celeb-DF-v2", "Celeb-DF-v2": "Celeb-DF"}
"""The owners' README and their own code call one folder by two names."""

CELEB_FOLDERS = ("Celeb-real", "YouTube-real", "Celeb-synthesis")


def celeb_method(folder: str) -> str:
    """The method's name in the catalog, which no other data set has."""
    return f"{CELEB_DF_PP}-{CELEB_DF_METHOD if folder in OTHER_NAME else folder}"


def list_celeb_df_pp(root: Path) -> Iterator[Video]:
    """Celeb-DF++ by its list of test videos, ``FLAG Celeb-synthesis/<scenario>/<method>/<name>.mp4``.

    The folder says what a video is. What the flags mean is not written down anywhere: all reals must have one, and all
    fakes the other.
    """
    home = root / CELEB_DF_PP
    listing = home / "List_of_testing_videos.txt"
    flags: dict[int, tuple[str, str]] = {}
    for place, line in text_lines(read_list(listing, CELEB_PUBLISHED), str(listing)):
        flag, _, name = line.replace("\t", " ", 1).partition(" ")
        if flag not in ("0", "1") or "/" not in name:
            raise TddError(f"{place}: expected '0 folder/file.mp4' or '1 ...', not {reprlib.repr(line)}.")
        listed = listed_path(same_name(name.strip()), place)
        label, method = _celeb_label(listed, place)
        known = flags.setdefault(label, (flag, place))
        other = flags.get(1 - label, ("", ""))
        if known[0] != flag or other[0] == flag:
            against = known[1] if known[0] != flag else other[1]
            raise TddError(f"{place}: the flag {flag} and the folder of {listed} do not agree with {against}; {AGAIN}.")
        people = " ".join(part for part in listed.stem.split("_") if re.fullmatch(r"id\d+", part))
        video_id = f"{CELEB_DF_PP}/{listed.with_suffix('')}"
        path = relative(_celeb_path(home, listed), root)
        yield Video(video_id, CELEB_DF_PP, method, label, "test", path, people)


def _celeb_label(listed: PurePosixPath, place: str) -> tuple[int, str]:
    """Label and method of a listed video, by its folders."""
    if listed.parts[0] in CELEB_FOLDERS[:2]:
        return 0, REAL
    folders = listed.parts[1:3]
    known = {(scenario, name) for scenario, names in CELEB_METHODS.items() for name in names}
    folders = (folders[0], OTHER_NAME["Celeb-DF-v2"]) if folders[1:] == ("Celeb-DF-v2",) else folders
    if listed.parts[0] != CELEB_FOLDERS[2] or len(listed.parts) < 4 or folders not in known:
        raise TddError(
            f"{place}: {listed} lies in no folder of the data set; known are Celeb-real, YouTube-real and "
            f"Celeb-synthesis with {', '.join('/'.join((s, n)) for s, names in CELEB_METHODS.items() for n in names)}."
        )
    return 1, celeb_method(folders[1])


def _celeb_path(home: Path, listed: PurePosixPath) -> Path:
    path = beside_or_in(home, listed.parent, "videos", listed.name)
    other = OTHER_NAME.get(listed.parent.name)
    if other is None or path.is_file():
        return path
    again = beside_or_in(home, listed.parent.with_name(other), "videos", listed.name)
    return again if again.is_file() else path


DF40_DOMAINS = {"ff": DF40_FF, "cdf": DF40_CDF}
DF40_OWN = {"real": 0, "fake": 1}
DF40_SPLITS = ("train", "test")
DF40_NAME = re.compile(r"(\d{3})(?:_(\d{3}))?(?:_.*)?")
"""A video that is forged from FaceForensics++: the numbers of one or two of its originals."""


def list_df40(root: Path) -> Iterator[Video]:
    """DF40's videos, ``DF40/[train|test]/<method>/.../{ff,cdf,fake,real}/.../<name>.mp4``; there is no list of them.

    Those below ``ff`` are divided by the split lists of FaceForensics++, and its reals are their real class; those
    below ``cdf`` are for testing, against the reals of Celeb-DF-v2. A method that comes with reals of its own (folders
    ``fake`` and ``real``) is a data set for testing. A video whose place or name says none of this is not read.
    """
    home, passed = root / DF40, Passed()
    split_of: dict[str, str] = {}
    found = False
    for path in sorted(files_below(home, passed)):
        video = PurePosixPath(same_name(path.relative_to(home).as_posix()))
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        parts = video.parts[1:-1] if video.parts[0] in DF40_SPLITS else video.parts[:-1]
        if not parts:
            continue
        kinds = {part for part in parts[1:] if part in DF40_DOMAINS or part in DF40_OWN}
        facts = None
        if len(kinds) == 1:
            (kind,) = kinds
            if kind == "ff" and not split_of:
                split_of = _splits_of_originals(root)
            facts = _df40_facts(parts[0], kind, video.stem, split_of)
        if facts:
            found = True
            dataset, method, label, split, people = facts
            video_id = f"{DF40}/{video.with_suffix('')}"
            yield Video(video_id, dataset, method, label, split, relative(path, root), people)
    for place, reason in passed.unreadable:
        raise TddError(f"{place} cannot be read ({reason}).")
    if not found:
        raise TddError(
            f"{home} holds no video of DF40 that can be read, <method>/ff/000_003.mp4 for instance. Its owners' "
            "processed version is pictures; get the original fake videos (their README, Reproduction and "
            "Development): https://github.com/YZY-stack/DF40."
        )


def _df40_facts(method: str, kind: str, stem: str, split_of: dict[str, str]) -> tuple[str, str, int, str, str] | None:
    """Data set, method, label, split and identities; ``None`` where a name does not tell."""
    if kind in DF40_OWN:
        label = DF40_OWN[kind]
        return f"{DF40}-{method}", f"{DF40}-{method}" if label else REAL, label, "test", ""
    name = f"{DF40}-{method}-{kind}"
    if kind == "cdf":
        people = [part for part in stem.split("_") if re.fullmatch(r"id\d+", part)]
        return DF40_CDF, name, 1, "test", " ".join(people)
    match = DF40_NAME.fullmatch(stem)
    people = [number for number in match.groups() if number] if match else []
    splits = {split_of.get(number, "") for number in people}
    return (DF40_FF, name, 1, splits.pop(), " ".join(people)) if len(splits) == 1 and "" not in splits else None


def _splits_of_originals(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for split in SPLITS:
        listing = on_disk(root / FACEFORENSICS / "splits", f"{split}.json")
        for pair in parse_pairs(read_list(listing, SPLITS_PUBLISHED), str(listing)):
            found |= dict.fromkeys(pair, split)
    return found
