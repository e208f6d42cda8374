"""Weights that are handed on: half precision, checksums, names, the Hub's layout; nothing here needs the network."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

import tdd
from tdd.cli import main
from tdd.config import load_recipe, override
from tdd.data.augment import normalise
from tdd.errors import TddError
from tdd.evaluation.evaluate import score_test_videos
from tdd.evaluation.predict import predict_video
from tdd.metrics import video_scores
from tdd.records.record import read_record
from tdd.weights.checkpoints import Weights, export_weights, import_weights
from tdd.weights.detector import load_detector
from tdd.weights.hub import export_to_hub, fetch_weights
from tdd.weights.packed import HALF, pack_weights
from tdd.weights.shipped import SHIPPED, find_weights, shipped_names, shipped_run
from tests.evaluation.test_predict import export
from tests.preprocess.trees import add_video
from tests.stores import random_store

SCORE, AUC = 0.002, 0.001
"""How far half precision may move the score of a video, and an AUC."""

METRICS = {"Deepfakes": {"auc": 0.9, "low": 0.8, "high": 1.0, "reals": 9, "fakes": 9}}
FACE = np.random.default_rng(0).uniform(10, 60, (68, 2)).astype(np.float32)


@pytest.fixture
def run(tmp_path):
    return export(tmp_path / "run", mean_face=FACE, synthetic=True, metrics=METRICS)


def tensors(folder, kind=None):
    return {f"{part}/{name}": t for part, s in import_weights(folder, kind).parts.items() for name, t in s.items()}


def test_full_precision_keeps_every_bit(run, tmp_path):
    pack_weights(run, tmp_path / "out")
    before, after = tensors(run), tensors(tmp_path / "out")
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_half_precision_is_numpys_and_is_read_as_float32(run, tmp_path):
    info = pack_weights(run, tmp_path / "out", HALF)
    before, after = tensors(run), tensors(tmp_path / "out")
    for name, tensor in before.items():
        kept = tensor.numpy().astype(np.float16).astype(np.float32) if tensor.is_floating_point() else tensor.numpy()
        assert after[name].dtype == tensor.dtype
        np.testing.assert_array_equal(after[name], kept)
    held = load_file(tmp_path / "out/model.safetensors")
    assert held["head/weight"].dtype == torch.float16 and held["mean_face"].dtype == torch.float32
    np.testing.assert_array_equal(import_weights(tmp_path / "out").mean_face, FACE)
    assert info["precision"] == HALF and pack_weights(tmp_path / "out", tmp_path / "again") == info


def test_numbers_that_half_precision_cannot_hold_are_refused(run, tmp_path):
    weights = import_weights(run)
    weights.parts["head"]["weight"][0] = 7e4
    export_weights(run, weights)
    with pytest.raises(TddError, match="holds 7e\\+04, and half precision ends at 65504"):
        pack_weights(run, tmp_path / "out", HALF)


def test_a_changed_file_is_told_by_its_checksum(run, tmp_path):
    pack_weights(run, tmp_path / "out")
    file = tmp_path / "out/model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(TddError, match="its SHA-256 is another"):
        import_weights(tmp_path / "out")


def test_weights_are_never_written_over_others(run, tmp_path):
    pack_weights(run, tmp_path / "out")
    for place in (run, tmp_path / "out"):
        with pytest.raises(TddError, match="holds weights; choose another folder"):
            pack_weights(run, place)


@pytest.mark.parametrize("name", shipped_names())
def test_what_comes_with_the_package_is_whole_and_small(name):
    weights, record = import_weights(find_weights(name)), read_record(find_weights(name))
    assert record["weights"]["sha256"] == weights.info["sha256"] and record["history"] and record["data"]["fingerprint"]
    assert weights.info["data"]["synthetic"] and record["recipe"] == weights.info["recipe"]
    kind, own = weights.kind, weights.backbone if weights.kind == "stage1" else record["row"]["id"]
    demo = load_recipe("demo")
    assert shipped_run(demo, kind, own, 0) == SHIPPED / name, "the recipe demo has changed since: ship the weights anew"
    assert shipped_run(demo, kind, own, 1) is None
    changed = "stage1.epochs" if kind == "stage1" else "stage2.epochs"
    assert shipped_run(override(demo, {changed: 7}), kind, own, 0) is None
    if "rounding" in record:
        assert record["rounding"]["score"] < SCORE and record["rounding"]["auc"] <= AUC


def test_all_that_comes_with_the_package_is_in_a_wheel_and_below_eight_megabytes():
    files = {path for path in SHIPPED.rglob("*") if path.is_file()}
    assert 0 < sum(path.stat().st_size for path in files) < 8_000_000
    toml = pytest.importorskip("tomllib")
    package = Path(tdd.__file__).parent
    patterns = toml.loads((package.parent / "pyproject.toml").read_text(encoding="utf-8"))
    found = {path for one in patterns["tool"]["setuptools"]["package-data"]["tdd"] for path in package.glob(one)}
    assert files <= found


def rounded_from(folder, out):
    """Weights in full precision, each number less than half a step of half precision from that in ``folder``."""
    weights, rng = import_weights(folder), torch.Generator().manual_seed(0)
    parts = {}
    for part, state in weights.parts.items():
        parts[part] = {}
        for name, tensor in state.items():
            moved = tensor
            if tensor.is_floating_point():
                step = torch.from_numpy(np.spacing(tensor.abs().numpy().astype(np.float16)).astype(np.float32))
                moved = tensor + 0.49 * step * (2 * torch.rand(tensor.shape, generator=rng) - 1)
            parts[part][name] = moved
    info = {key: value for key, value in weights.info.items() if key not in ("sha256", "precision")}
    export_weights(out, Weights(weights.kind, weights.backbone, parts, info, weights.mean_face))
    return out


def test_half_precision_moves_no_score_far_and_no_auc(tmp_path):
    """Of the detector that the notebooks load, on clips of random pixels."""
    full = rounded_from(find_weights("demo-ssl_0.3"), tmp_path / "full")
    pack_weights(full, tmp_path / "half", HALF)
    store = random_store(tmp_path / "store", crop=64, canvas=110, faces=0, videos=3)
    found = []
    for folder in (full, tmp_path / "half"):
        detector, recipe = load_detector(import_weights(folder))
        clips, metrics = score_test_videos(detector, store, recipe)
        found.append((torch.sigmoid(torch.tensor(video_scores(clips)["logit"].to_numpy())), metrics))
    (scores, metrics), (half_scores, half_metrics) = found
    assert not torch.equal(scores, half_scores) and (scores - half_scores).abs().max() < SCORE
    assert all(abs(metrics[name]["auc"] - half_metrics[name]["auc"]) <= AUC for name in metrics)


def test_stage_1_comes_with_its_sound():
    from tdd.evaluation.correspondence import load_correspondence

    model, recipe = load_correspondence(find_weights("demo-stage1-cnn_gru_attention"))
    size = recipe.clip.input_size
    with torch.inference_mode():
        fit = model(normalise(torch.zeros(1, 3, 25, size, size, dtype=torch.uint8)), torch.zeros(1, 1, 100, 80))
    assert fit.shape == (1, 1) and torch.isfinite(fit).all()


def test_a_video_is_scored_by_the_name_of_weights(tmp_path, capsys):
    add_video(tmp_path, "a.mp4", 60)
    given = ["predict", str(tmp_path / "a.mp4"), "--landmarks", str(tmp_path / "landmarks/a.npy"), "--checkpoint"]
    assert main([*given, "demo-ssl_0.3"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "A detector of drawn faces" in said and "at most a rank" in said
    assert main([*given, "demo-ssl_3"]) == 2
    out, err = capsys.readouterr()
    assert "they are demo-cnn_gru_attention, " in err and "Scoring" not in out
    assert main(["checkpoint", "list"]) == 0
    assert set(shipped_names()) <= set(capsys.readouterr().out.replace(":", " ").split())


def test_of_a_folder_and_weights_of_one_name_the_one_that_is_taken_is_said(run, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    assert find_weights("demo-csn") == SHIPPED / "demo-csn" and not caplog.text
    (tmp_path / "demo-csn").mkdir()
    assert find_weights("demo-csn") == SHIPPED / "demo-csn"
    assert "The folder demo-csn here holds no weights, so those of that name are taken that come with" in caplog.text
    assert find_weights("./demo-csn") == Path("demo-csn")
    caplog.clear()
    for where, copy in (("demo-csn", shutil.copytree), ("demo-scratch", pack_weights)):  # a run's, and packed ones
        shutil.rmtree(tmp_path / where, ignore_errors=True)
        copy(run, tmp_path / where)
        assert find_weights(where) == Path(where)
        assert f"The folder {where} here is taken, and not the weights of that name that come" in caplog.text


def front_matter(folder):
    _, front, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def test_an_export_scores_as_its_run_and_its_card_says_what_it_is(run, tmp_path, capsys):
    assert main(["checkpoint", "export", str(run), "--hub", str(tmp_path / "hub")]) == 0
    assert "hf upload USER/NAME" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    add_video(tmp_path, "a.mp4", 60)
    video, points = tmp_path / "a.mp4", tmp_path / "landmarks/a.npy"
    assert predict_video(video, tmp_path / "hub", points).logit == predict_video(video, run, points).logit
    front, text = front_matter(tmp_path / "hub")
    assert (front["license"], front["library_name"], front["pipeline_tag"]) == ("mit", "tdd", "video-classification")
    (result,) = front["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == 0.9 and result["dataset"]["name"] == "synthetic stand-in for Deepfakes"
    assert "90.0 [80.0, 100.0]" in text and "detector of drawn faces" in text and "arXiv 2201.07131" in text
    assert json.loads((tmp_path / "hub/config.json").read_text())["sha256"] in text


def test_an_export_overwrites_nothing(run, tmp_path, capsys):
    for name, kept in (("holds", "holds/README.md"), ("file", "file")):
        (tmp_path / kept).parent.mkdir(exist_ok=True)
        (tmp_path / kept).write_text("mine")
        assert main(["checkpoint", "export", str(run), "--hub", str(tmp_path / name)]) == 2
        assert "give a new folder" in capsys.readouterr().err
        assert (tmp_path / kept).read_text() == "mine"
    assert [path.name for path in (tmp_path / "holds").iterdir()] == ["README.md"]
    (tmp_path / "cloned/.git").mkdir(parents=True)  # an empty repository of the Hub
    assert main(["checkpoint", "export", str(run), "--hub", str(tmp_path / "cloned")]) == 0


def test_weights_of_real_or_unknown_data_take_no_licence_of_ours(tmp_path):
    for synthetic in (False, None):
        out = export_to_hub(export(tmp_path / f"run{synthetic}", synthetic=synthetic), tmp_path / f"hub{synthetic}")
        front, text = front_matter(out)
        assert front["license"] == "other" and "MIT" not in text and "drawn" not in text
        assert "--mean-face" in text


def test_the_hub_accepts_the_card(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(export_to_hub(run, tmp_path / "hub") / "README.md")
    assert card.data.license == "mit" and card.data.pipeline_tag == "video-classification"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.task_type) == ("roc_auc", 0.9, "video-classification")


def test_only_a_detector_is_exported(tmp_path, capsys):
    given = ["checkpoint", "export", "demo-stage1-cnn_gru_attention", "--hub", str(tmp_path / "hub")]
    assert main(given) == 2
    assert "stage2 weights" in capsys.readouterr().err and not (tmp_path / "hub").exists()


class FakeHub:
    """In place of huggingface_hub: a repository that lies in a folder, as its cache does."""

    def __init__(self, folder):
        self.folder, self.asked = folder, None

    def snapshot_download(self, repository, revision, allow_patterns):
        assert {"config.json", "model.safetensors"} <= set(allow_patterns)
        self.asked = (repository, revision)
        if not self.folder.is_dir():
            raise ConnectionError("no route\nto the host")
        return str(self.folder)


def test_weights_of_the_hub_are_found_by_their_address(run, tmp_path, monkeypatch):
    hub = FakeHub(export_to_hub(run, tmp_path / "hub"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert import_weights(find_weights("hf://someone/detector@v1")).kind == "stage2"
    assert hub.asked == ("someone/detector", "v1")
    shutil.rmtree(hub.folder)
    with pytest.raises(
        TddError, match=r"could not be fetched \(ConnectionError: no route\).*hf download someone/detector"
    ):
        find_weights("hf://someone/detector")
    with pytest.raises(TddError, match="names no repository"):
        fetch_weights("hf://detector")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(TddError, match="pip install huggingface_hub"):
        fetch_weights("hf://someone/detector")
