"""The panel of notebook 08 without a browser: what is uploaded is kept, scored and shown."""

import sys
from datetime import datetime, timezone

import numpy as np
import pytest
from IPython.display import Image as Picture
from IPython.display import Pretty
from PIL import Image

from tdd.data.video import read_video
from tdd.evaluation.predict import VideoScorer, predict_video
from tdd.notebook.upload import DOT, UploadPanel, marked_faces, timeline_image
from tdd.preprocess.crops import mean_face
from tests.evaluation.test_predict import export
from tests.preprocess.trees import SIZE, add_video, face_points
from tests.videos import counting_frames, encode

NOW = datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return export(tmp_path_factory.mktemp("upload"), mean_face=mean_face(face_points(1), 72))


@pytest.fixture
def panel(weights, tmp_path):
    return UploadPanel(VideoScorer(weights), tmp_path / "uploads")


@pytest.fixture
def shown(monkeypatch):
    """What the panel displays."""
    seen = []
    monkeypatch.setattr("tdd.notebook.upload.display", lambda *objects: seen.extend(objects))
    return seen


def texts(shown):
    return "\n".join(one.data for one in shown if isinstance(one, Pretty))


def uploaded(path, version=8):
    """A file as ipywidgets hands it over."""
    about = {"name": path.name, "type": "", "size": path.stat().st_size, "last_modified": NOW}
    return (
        ({**about, "content": memoryview(path.read_bytes())},)
        if version == 8
        else {path.name: {"content": path.read_bytes(), "metadata": {"name": path.name}}}
    )


def test_an_uploaded_video_is_scored_and_shown(panel, weights, tmp_path, shown):
    add_video(tmp_path, "talk.mp4", 60)
    points = tmp_path / "landmarks" / "talk.npy"
    panel.video.value, panel.landmarks.value = uploaded(tmp_path / "talk.mp4"), uploaded(points)
    panel.button.click()
    assert panel.prediction.logit == predict_video(tmp_path / "talk.mp4", weights, points).logit
    assert f"talk.mp4: score {panel.prediction.score:.3f}" in texts(shown)
    assert sum(isinstance(one, Picture) for one in shown) == 2
    assert (panel.folder / "talk.mp4").read_bytes() == (tmp_path / "talk.mp4").read_bytes()


def test_files_are_kept_in_the_folder_whatever_their_name_and_widgets(panel, tmp_path):
    add_video(tmp_path, "talk.mp4", 30)
    outside = {"name": "../../talk.mp4", "content": memoryview(b"x")}
    assert list(panel._kept((outside,))) == [panel.folder / "talk.mp4"]
    assert list(panel._kept(uploaded(tmp_path / "talk.mp4", version=7))) == [panel.folder / "talk.mp4"]
    assert (panel.folder / "talk.mp4").read_bytes() == (tmp_path / "talk.mp4").read_bytes()


@pytest.mark.parametrize("name", ["..", "a/..", "", "x" * 300 + ".mp4", "\udcb0.mp4", "CON.mp4"])
def test_names_that_no_file_can_have_are_said(name, panel, shown):
    panel.video.value = ({"name": name, "type": "", "size": 1, "last_modified": NOW, "content": memoryview(b"x")},)
    panel.button.click()
    assert "Not scored: " in texts(shown) and panel.prediction is None and not panel.folder.exists()


@pytest.mark.parametrize("path", ["a\0b.mp4", "x" * 5000, "\udcb0.mp4", "."])
def test_paths_that_no_file_can_have_are_said(path, panel, shown):
    panel.path.value = path
    panel.button.click()
    assert "is no file" in texts(shown) and panel.prediction is None


def test_a_video_whose_picture_changes_its_size_is_shown(panel, tmp_path, shown):
    for number, size in enumerate((SIZE, 2 * SIZE, 64)):
        encode(tmp_path / f"{number}.h264", counting_frames(12, size, size), container="h264")
    (tmp_path / "all.h264").write_bytes(b"".join((tmp_path / f"{n}.h264").read_bytes() for n in range(3)))
    np.save(tmp_path / "all.npy", face_points(36))
    panel.landmarks.value, panel.path.value = uploaded(tmp_path / "all.npy"), str(tmp_path / "all.h264")
    panel.button.click()
    assert panel.prediction.frames == 36 and sum(isinstance(one, Picture) for one in shown) == 2
    assert marked_faces(tmp_path / "all.h264", face_points(36)).shape == (6, SIZE, SIZE, 3)


def test_a_path_is_taken_too_and_what_cannot_be_scored_is_said(panel, tmp_path, shown):
    panel.button.click()
    assert "Not scored: there is no video yet" in texts(shown)
    add_video(tmp_path, "talk.mp4", 30)
    panel.landmarks.value, panel.path.value = uploaded(tmp_path / "landmarks/talk.npy"), str(tmp_path / "talk.mp4")
    panel.button.click()
    assert panel.prediction.frames == 30
    panel.path.value = str(tmp_path / "missing.mp4")
    panel.button.click()
    assert "is no file" in texts(shown) and panel.prediction is None


def test_on_colab_a_video_is_taken_by_its_path_alone(weights, tmp_path, monkeypatch):
    elsewhere = UploadPanel(VideoScorer(weights), tmp_path)
    assert elsewhere.video.layout.display is None and not elsewhere.note.value
    monkeypatch.setitem(sys.modules, "google.colab", object())
    panel = UploadPanel(VideoScorer(weights), tmp_path)
    assert panel.video.layout.display == "none" and panel.path.placeholder == "/content/NAME.mp4"
    assert "1 MB" in panel.note.value and "Files" in panel.note.value and panel.note in panel.children


def test_the_dots_are_on_the_landmarks(tmp_path):
    add_video(tmp_path, "talk.mp4", 30, seed=1)
    points = np.load(tmp_path / "landmarks" / "talk.npy")
    marked = marked_faces(tmp_path / "talk.mp4", points, 3)
    assert marked.shape == (3, SIZE, SIZE, 3)
    frames = read_video(tmp_path / "talk.mp4")[0]
    for picture, number in zip(marked, (0, 14, 29), strict=True):
        changed = np.argwhere((picture != frames[number]).any(2))[:, ::-1]
        near = np.linalg.norm(changed[:, None] - points[number][None], axis=2).min(1)
        assert near.max() < 3 and (picture == DOT).all(2).sum() >= 60


def test_the_timeline_is_a_small_picture(weights, tmp_path):
    add_video(tmp_path, "talk.mp4", 60)
    picture = timeline_image(predict_video(tmp_path / "talk.mp4", weights, tmp_path / "landmarks" / "talk.npy"))
    (tmp_path / "timeline.png").write_bytes(picture.data)
    assert len(picture.data) < 200_000 and Image.open(tmp_path / "timeline.png").width > 1000
