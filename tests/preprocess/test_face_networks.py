"""The networks of face-alignment with random weights: read from files, batched, and refused when they are others'."""

import numpy as np
import pytest
import torch

from tdd.errors import TddError
from tdd.preprocess import face_networks
from tdd.preprocess.face_networks import HeatMapPoints, PackageDetector, load_network
from tdd.preprocess.face_weights import DETECTORS, LANDMARKS
from tdd.preprocess.faces import FaceLandmarker
from tdd.preprocess.heatmaps import points_of
from tests.preprocess.discs import DiscDetector

pytest.importorskip("face_alignment")


def random_fan(path):
    from face_alignment.models import FAN

    torch.manual_seed(0)
    network = FAN(4).eval()
    torch.save(network.state_dict(), path)
    return network


def test_the_landmark_network_gives_the_same_in_a_batch_and_one_by_one(tmp_path):
    theirs = random_fan(tmp_path / LANDMARKS.name)
    network = load_network(tmp_path / LANDMARKS.name, "cpu")
    finder = HeatMapPoints(network, 195.0, "cpu")
    crops = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    together = finder.heat_maps(crops)
    alone = np.concatenate([finder.heat_maps(crop[None]) for crop in crops])
    assert together.shape == (2, 68, 64, 64)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    square = np.full((2, 2), 128.0), np.full(2, 256.0)
    np.testing.assert_array_equal(points_of(together, *square)[0], points_of(alone, *square)[0])
    with torch.inference_mode():
        own = theirs(torch.from_numpy(crops[:1].transpose(0, 3, 1, 2)).float() / 255)[-1]
    np.testing.assert_allclose(alone[:1], own, rtol=0, atol=1e-5)


def test_an_older_archive_is_read_as_torchscript(tmp_path):
    class Small(torch.nn.Module):
        def forward(self, crops):
            return torch.nn.functional.avg_pool2d(crops, 4).repeat(1, 23, 1, 1)[:, :68]

    torch.jit.save(torch.jit.script(Small()), str(tmp_path / "2DFAN4-cd938726ad.zip"))
    network = load_network(tmp_path / "2DFAN4-cd938726ad.zip", "cpu")
    crops = torch.rand(2, 3, 256, 256)
    assert network(crops).shape == (2, 68, 64, 64)
    assert torch.equal(network(crops), Small()(crops))


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "a.pth.tar").write_bytes(b"<html>")
    (tmp_path / "a.zip").write_bytes(b"PK")
    torch.save({"x": torch.zeros(1)}, tmp_path / "b.pth.tar")
    torch.save(DiscDetector(), tmp_path / "c.pth.tar")  # would run code if it were read
    for name in ("a.pth.tar", "a.zip", "b.pth.tar", "c.pth.tar", "none.pth.tar"):
        with pytest.raises(TddError, match="does not hold the weights that its name says"):
            load_network(tmp_path / name, "cpu")


def test_a_missing_package_is_said_with_the_command(tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(face_networks.importlib, "import_module", absent)
    with pytest.raises(TddError, match=r'pip install .*\[faces\]" .*opencv-stand-in.*--detector dlib'):
        FaceLandmarker(weights=tmp_path, device="cpu")


@pytest.mark.parametrize("name", ["blazeface", "retinaface"])
def test_a_detector_of_the_package_sees_large_frames_smaller(tmp_path, name):
    if name == "blazeface":
        from face_alignment.detection.blazeface.net_blazeface import BlazeFace

        network = BlazeFace()
        np.save(tmp_path / "anchors.npy", np.random.default_rng(0).uniform(0, 1, (896, 4)).astype(np.float32))
    else:
        from face_alignment.detection.retinaface.net_retinaface import RetinaFace

        network = RetinaFace()
    torch.save(network.state_dict(), tmp_path / DETECTORS[name][0].name)
    files = {file.name: tmp_path / file.name for file in DETECTORS[name]}
    detector = PackageDetector(name, files, "cpu")
    if name == "retinaface":
        detector.detector.confidence_threshold = 1.0  # random weights see nothing that sure
        assert detector(np.zeros((96, 128, 3), np.uint8)).shape == (0, 5)
    sizes = []

    def remember(image):
        sizes.append(image.shape)
        return [[10, 20, 30, 40, 0.7]]

    detector.detector.detect_from_image = remember
    boxes = detector(np.zeros((720, 1280, 3), np.uint8))
    assert sizes == [(360, 640, 3)]
    np.testing.assert_allclose(boxes, [[20, 40, 60, 80, 0.7]])
    assert detector.reference_scale == {"blazeface": 195, "retinaface": 165}[name]


def test_a_detector_that_does_not_exist_is_refused():
    with pytest.raises(TddError, match="detector 'dlib' is unknown; choose one of sfd"):
        PackageDetector("dlib", {}, "cpu")
