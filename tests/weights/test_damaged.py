"""Weights and records that are damaged, foreign or hostile: one sentence each, and never a score that is no number."""

import json
import math
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tdd.config import load_recipe
from tdd.errors import TddError
from tdd.records.record import RECORD, read_record
from tdd.weights.checkpoints import INFO, WEIGHTS, Weights, export_weights, import_weights, weights_info
from tdd.weights.detector import Detector, load_detector
from tdd.weights.importing import import_published
from tdd.weights.inspection import weights_text

CALIBRATION = {"temperature": 1.5, "bias": 0.1, "reals": 9, "fakes": 9, "ece_before": 0.2, "ece_after": 0.1}
METRICS = {"Deepfakes": {"auc": 0.9, "low": 0.8, "high": 1.0, "reals": 9, "fakes": 9}, "loss": 0.3}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder of stage-2 weights: what it says, and its files."""
    folder = tmp_path_factory.mktemp("good")
    recipe = load_recipe("tiny")
    torch.manual_seed(0)
    detector = Detector("cnn_gru_attention", recipe)
    parts = {"backbone": detector.backbone.state_dict(), "head": detector.head.state_dict()}
    info = weights_info(recipe, 0, METRICS, "abc", True) | {"calibration": CALIBRATION}
    face = np.random.default_rng(0).uniform(0, 72, (68, 2)).astype(np.float32)
    export_weights(folder, Weights("stage2", "cnn_gru_attention", parts, info, face))
    return folder


def use(folder):
    """All that is done with weights before a video is read."""
    text = weights_text(folder)
    load_detector(import_weights(folder, "stage2"))
    return text


def copy(good, folder, change=None, tensors=None):
    folder.mkdir(parents=True, exist_ok=True)
    info = json.loads((good / INFO).read_text())
    if change:
        change(info)
    (folder / INFO).write_text(json.dumps(info))
    data = (good / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data)
    if tensors:
        held = load_file(folder / WEIGHTS)
        tensors(held)
        save_file(held, folder / WEIGHTS)
    return folder


def test_the_folder_that_the_others_are_made_from_is_good(good, tmp_path):
    assert use(good) == use(copy(good, tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", None),
        ("data", []),
        ("data.fingerprint", 3),
        ("recipe", None),
        ("recipe", "tiny"),
        ("recipe.model.backbones.cnn_gru_attention.widths", ["a"]),
        ("recipe.model.backbones.cnn_gru_attention.widths", [-4, 8]),
        ("recipe.model.backbones.cnn_gru_attention.widths", [10**9, 8]),
        ("recipe.clip.frames", 0),
        ("recipe.clip.frames", "25"),
        ("recipe.clip.canvas", math.nan),
        ("metrics", 3),
        ("metrics.Deepfakes", None),
        ("metrics.Deepfakes.auc", "high"),
        ("code", 1),
        ("packages", []),
        ("source", {"file": 3}),
        ("calibration", []),
        ("calibration", 1.0),
        ("calibration.temperature", 0),
        ("calibration.temperature", -1.0),
        ("calibration.temperature", math.nan),
        ("calibration.temperature", math.inf),
        ("calibration.temperature", [1.0]),
        ("calibration.bias", math.nan),
        ("calibration.bias", None),
        ("calibration.reals", "9"),
        ("kind", "stage3"),
        ("kind", ["stage2"]),
        ("backbone", None),
        ("backbone", "resnet"),
        ("seed", "none"),
    ],
)
def test_a_field_of_another_kind_is_named(name, value, good, tmp_path):
    def change(info):
        *sections, last = name.split(".")
        for section in sections:
            info = info[section]
        info[last] = value

    with pytest.raises(TddError) as caught:
        use(copy(good, tmp_path, change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "face",
    [
        torch.zeros(3),
        torch.zeros(68, 3),
        torch.full((68, 2), math.nan),
        torch.zeros(68, 2),
        torch.ones(68, 2, dtype=torch.int64),
        torch.rand(68, 2, dtype=torch.float64),
    ],
)
def test_a_mean_face_of_another_shape_or_kind_is_refused(face, good, tmp_path):
    with pytest.raises(TddError, match="mean face of"):
        use(copy(good, tmp_path, tensors=lambda held: held.update(mean_face=face)))


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: torch.full_like(tensor, math.nan),
        lambda tensor: torch.full_like(tensor, math.inf),
        lambda tensor: torch.zeros_like(tensor, dtype=torch.int32),
        lambda tensor: torch.zeros_like(tensor, dtype=torch.bool),
        lambda tensor: tensor[:0].clone(),
    ],
)
def test_tensors_that_would_give_no_score_are_refused_before_any_video_is_read(change, good, tmp_path):
    name = "head/weight"
    with pytest.raises(TddError, match="head"):
        use(copy(good, tmp_path, tensors=lambda held: held.update({name: change(held[name])})))


@pytest.mark.parametrize("name", [INFO, RECORD])
@pytest.mark.parametrize("text", ["null", "3", "[]", '"a"', "[" * 100_000, '{"a": ' * 100_000, "", "\x00"])
def test_a_json_file_of_anything_is_one_sentence(name, text, good, tmp_path):
    copy(good, tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(TddError) as caught:
        import_weights(tmp_path) if name == INFO else read_record(tmp_path)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_tensor_files_that_are_cut_or_changed_never_raise_anything_else(seed, good, tmp_path_factory):
    rng = np.random.default_rng(seed)
    folder = copy(good, tmp_path_factory.mktemp("cut"))
    data = bytearray((good / WEIGHTS).read_bytes())
    header = 8 + struct.unpack("<Q", data[:8])[0]
    if rng.random() < 0.4:
        data = data[: rng.integers(0, len(data))]
    for _ in range(rng.integers(0, 4)):
        if data:
            data[rng.integers(0, min(header, len(data)))] = rng.integers(0, 256)
    (folder / WEIGHTS).write_bytes(data)
    try:
        use(folder)
    except TddError as error:
        assert str(error)


class Circle:
    """Pickles of mappings that hold themselves."""

    @staticmethod
    def one():
        content = {}
        content["state_dict"] = content
        return content

    @staticmethod
    def two():
        content = {"model": {}}
        content["model"]["state_dict"] = content
        return content

    @staticmethod
    def deep():
        content = {}
        for _ in range(300):
            content = {"model": content}
        return content


@pytest.mark.parametrize("make", [Circle.one, Circle.two, Circle.deep])
def test_a_pickle_that_holds_itself_is_refused_at_once(make, tmp_path):
    torch.save(make(), tmp_path / "circle.pth")
    began = time.monotonic()
    with pytest.raises(TddError, match="holds no state dict"):
        import_published(tmp_path / "circle.pth", tmp_path / "out")
    assert time.monotonic() - began < 5 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(1).expand(10**12),
        torch.eye(3).to_sparse(),
        torch.empty(2, device="meta"),
        torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.quint8),
    ],
)
def test_tensors_of_other_forms_are_refused(tensor, tmp_path):
    torch.save({"backbone.stem.weight": tensor, "df_head.weight": tensor}, tmp_path / "a.pth")
    with pytest.raises(TddError):
        import_published(tmp_path / "a.pth", tmp_path / "out")
