"""The audio side of a stage 1: it comes back as it was, and the questions asked of it have known answers."""

import pytest
import torch

from tdd.config import load_recipe, override
from tdd.data.augment import normalise
from tdd.data.clips import PretrainingClips, fixed_batches, loader
from tdd.errors import TddError
from tdd.evaluation.correspondence import Correspondence, load_correspondence
from tdd.pretrain import pretrain
from tdd.training.collapse import clip_retrieval
from tdd.weights.checkpoints import AUDIO, WEIGHTS, import_weights
from tdd.weights.inspection import weights_text
from tests.stores import random_store

RECIPE = load_recipe("tiny")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "stage1"
    pretrain(store, "cnn_gru_attention", RECIPE, folder)
    return folder


@pytest.fixture(scope="module")
def batch(store):
    faces = store.index[(store.index["dataset"] == "LRW") & (store.index["split"] == "val")]
    clips = PretrainingClips(store, faces, RECIPE, train=False)
    return next(iter(loader(clips, fixed_batches(len(clips), len(clips)), RECIPE)))


@torch.no_grad()
def test_it_finds_the_sounds_that_the_run_itself_found(run, batch):
    model, recipe = load_correspondence(run)
    found = clip_retrieval(model.seen(normalise(batch["clean"])), model.heard(batch["mel"]))
    recorded = import_weights(run).info["metrics"]["retrieval"]
    assert found == pytest.approx(recorded) and recipe == RECIPE


@torch.no_grad()
def test_similarities_are_mean_cosines_of_frames(run, batch):
    model, _ = load_correspondence(run)
    video, mel = normalise(batch["clean"][:3]), batch["mel"][:4]
    table = model(video, mel)
    frames = [torch.cosine_similarity(model.seen(video)[1, :, t], model.heard(mel)[2, :, t], dim=0) for t in range(25)]
    assert table.shape == (3, 4) and table.abs().max() <= 1
    assert float(table[1, 2]) == pytest.approx(float(torch.stack(frames).mean()), abs=1e-5)


def test_the_export_can_be_looked_at(run):
    text = weights_text(run / AUDIO)
    assert text.startswith("stage1_audio weights of cnn_gru_attention") and "teacher.projector: " in text


def test_a_run_without_its_audio_side_is_refused(run, tmp_path):
    with pytest.raises(TddError, match="run that stage first"):
        load_correspondence(tmp_path)
    (run / AUDIO / WEIGHTS).rename(tmp_path / WEIGHTS)
    with pytest.raises(TddError, match="holds none"):
        load_correspondence(run)


def test_sizes_that_the_audio_network_has_not_are_told():
    with pytest.raises(TddError, match=r"Recipe 'tiny': model\.audio takes no widht; it takes .*width"):
        Correspondence("cnn_gru_attention", override(RECIPE, {"model.audio": {"widht": 4}}))
