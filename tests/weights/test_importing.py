"""Published files brought in: the networks compute what the published ones did; a bad file leaves nothing behind."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tdd.cli import main
from tdd.config import FindingsConfig, MachineConfig, ModelConfig, Recipe, Stage2Config
from tdd.data.augment import eval_view, normalise
from tdd.detect import Detection, detect
from tdd.errors import TddError
from tdd.evaluation.evaluate import CLIP_LOGITS
from tdd.machine.files import sha256
from tdd.models import build_backbone
from tdd.preprocess.crops import mean_face
from tdd.records.record import read_record
from tdd.records.rows import Row
from tdd.weights.checkpoints import Weights, import_weights, weights_info
from tdd.weights.detector import load_detector, require_same_network
from tdd.weights.importing import import_published
from tdd.weights.published import to_own
from tests.preprocess.trees import face_points
from tests.published import GOLDEN, assert_golden, normal, published_state
from tests.stores import random_store

State = dict[str, Tensor]
MODULES = {
    "csn": "csn101",
    "cnn_lstm": "cnn_lstm.released",
    "cnn_gru_attention": "cnn_gru_attention.released",
    "vivit": "vivit_factorised",
}


VIVIT = Row("vivit", "ViViT", "vivit", 0.3)


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def halved(state: State) -> State:
    """Another network's tensors; a counter stays one."""
    return {name: tensor / 2 if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def projector(channels: int) -> State:
    state = {name: normal(7, 256) for name in ("net.bias", *(f"norm_layer.{n}" for n in ("weight", "bias")))}
    state |= {"net.weight": normal(8, 256, channels), "norm_layer.num_batches_tracked": torch.tensor(3)}
    return state | {"norm_layer.running_mean": normal(9, 256), "norm_layer.running_var": normal(10, 256).abs()}


def stage2(backbone: str, **changes: Tensor) -> State:
    """A stage-2 file's tensors; ``changes`` replace or add some."""
    channels = 512 if backbone == "vivit" else 2048
    head = {"df_head.weight": published_state("head_cosine64")["weight"][:, :channels].clone()}
    return under("backbone.", published_state(MODULES[backbone])) | head | changes


def names_alone(backbone: str) -> State:
    """A stage-2 file whose names are right and whose shapes are not: quick to make, never to be imported."""
    names = [str(line).partition(" ")[0] for line in GOLDEN[f"{MODULES[backbone]}.tensors"]]
    return {f"backbone.{name}": torch.zeros(1) for name in names} | {"df_head.weight": torch.zeros(1)}


def stage1_vivit(teacher: str = "target_backbone.", projection: str = "target_projector.") -> State:
    """A stage-1 file's tensors of the video model; those of the teacher are half the student's."""
    student = published_state("vivit_factorised")
    model = under("backbone.", student) | under("projector.", projector(512))
    model |= under(teacher, halved(student))
    return under("model.model1.", model | under(projection, halved(projector(512))))


@pytest.fixture(scope="module")
def vivit() -> State:
    return stage2("vivit")


def as_pth(state: Any, path: Path) -> Path:
    torch.save(state, path)
    return path


def plain(state: State, folder: Path) -> Path:
    return as_pth(state, folder / "plain.pth")


def under_model(state: State, folder: Path) -> Path:
    return as_pth({"model": state, "epoch": 149}, folder / "nested.pth")


def lightning(state: State, folder: Path) -> Path:
    content = {"epoch": 149, "state_dict": under("model.", state), "optimizer_states": [{"state": {}}], "loops": None}
    return as_pth(content, folder / "epoch.ckpt")


def safetensors(state: State, folder: Path) -> Path:
    save_file(state, folder / "plain.safetensors")
    return folder / "plain.safetensors"


@pytest.mark.parametrize(
    ("backbone", "save"),
    [
        ("vivit", plain),
        ("vivit", lightning),
        ("vivit", safetensors),
        ("cnn_gru_attention", lightning),
        ("csn", plain),
        pytest.param("cnn_lstm", under_model, marks=pytest.mark.slow),
    ],
)
def test_an_imported_detector_computes_what_the_published_one_did(backbone, save, tmp_path):
    done = import_published(save(stage2(backbone), tmp_path), tmp_path / "out")
    detector, recipe = load_detector(import_weights(tmp_path / "out", "stage2", backbone))
    assert done.weights.backbone == backbone and recipe.clip == Recipe().clip
    if backbone.startswith("cnn"):
        assert recipe.findings == FindingsConfig(channels_as_time=True)
        assert "time_axis = as_released" in done.to_text() and "finding A1" in done.to_text()
    with torch.inference_mode():
        assert_golden(MODULES[backbone], detector.backbone(normal(20240612, 2, 3, 25, 112, 112)))
        if backbone != "vivit":
            assert_golden("head_cosine64", detector.head(normal(20240614, 2, 2048, 25))[:, None])


def test_the_csn_of_realforensics_with_what_stage_2_has_no_use_for(tmp_path, capsys):
    auxiliary = under("ssl_head.0.", projector(2048)) | under("ssl_head.1.", published_state("predictor"))
    auxiliary |= {"target_encoder.0.blocks.0.conv.weight": torch.zeros(1)}
    file = as_pth(stage2("csn") | auxiliary, tmp_path / "realforensics_ff.pth")
    assert main(["checkpoint", "import", str(file), "--out", str(tmp_path / "out"), "--backbone", "csn"]) == 0
    said = capsys.readouterr().out
    assert "stage2 weights of csn" in said and "Taken: backbone (624 tensors), head (1 tensor)" in said
    assert "no use for them: ssl_head.* (30 tensors), target_encoder.* (1 tensor)" in said
    assert "time_axis" not in said and "--mean-face" in said
    weights = import_weights(tmp_path / "out", "stage2", "csn")
    assert weights.info["source"]["file"] == "realforensics_ff.pth"
    assert weights.info["source"]["sha256"] == sha256(file)
    theirs = published_state("csn101")
    assert torch.equal(weights.parts["backbone"]["stem.weight"], theirs["blocks.0.conv.weight"])
    depthwise = weights.parts["backbone"]["blocks.32.depthwise.weight"]
    assert torch.equal(depthwise, theirs["blocks.4.res_blocks.2.branch2.conv_b.weight"])
    assert torch.equal(weights.parts["head"]["weight"], published_state("head_cosine64")["weight"][0])

    assert main(["checkpoint", "show", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "backbone: 624 tensors, 21,394,176 parameters" in shown and "head: 1 tensor, 2,048 parameters" in shown
    assert "imported from: realforensics_ff.pth" in shown and "seed: not known" in shown
    assert f"torch {weights.info['packages']['torch']}" in shown


def test_another_time_axis_is_said_and_stored_in_the_recipe(tmp_path):
    zeros = {"df_head.weight": torch.zeros(1, 2048)}
    for line in GOLDEN["cnn_gru_attention.released.tensors"]:
        name, _, sizes = str(line).partition(" ")
        zeros[f"backbone.{name}"] = torch.zeros([int(size) for size in sizes.split(",")])
    done = import_published(plain(zeros, tmp_path), tmp_path / "out", time_axis="per_frame")
    detector, recipe = load_detector(import_weights(tmp_path / "out", "stage2"))
    assert recipe.findings == FindingsConfig()
    assert detector.backbone.time_axis == "per_frame" and "time_axis = per_frame" in done.to_text()


def test_stage_1_of_another_time_axis_is_not_used_unnoticed():
    """The tensors of both are of the same shapes, so nothing else would notice."""
    released = Recipe(findings=FindingsConfig(channels_as_time=True))
    info = weights_info(released, None, {}, None)
    weights = Weights("stage1", "cnn_gru_attention", {}, info)
    require_same_network(weights, released, "stage1")
    with pytest.raises(
        TddError, match=r"time_axis = 'as_released' and recipe 'paper' has 'per_frame'; .*findings\.channels"
    ):
        require_same_network(weights, Recipe(), "stage1")
    explicit = Recipe(model=ModelConfig(backbones={"csn": {"stages": [3, 4, 23, 3]}}))
    require_same_network(Weights("stage1", "csn", {}, weights_info(explicit, 0, {}, None)), Recipe(), "stage1")


@pytest.mark.parametrize(
    "teacher", [("target_backbone.", "target_projector."), ("target_encoder.0.", "target_encoder.1.")]
)
def test_stage_1_keeps_student_and_teacher_apart(teacher, tmp_path):
    unneeded = {"prober_video.net.1.weight": torch.zeros(2), "model.model2.projector.net.bias": torch.zeros(2)}
    unneeded |= under("model.model1.predictor.", published_state("predictor"))
    file = as_pth({"state_dict": stage1_vivit(*teacher) | unneeded, "global_step": 5}, tmp_path / "last.ckpt")
    done = import_published(file, tmp_path / "out")
    assert done.left_out == {
        "model1.predictor.*": 23, "model2.*": 1, "prober_video.*": 1,
        "student.backbone: mlp_head.*": 4, "teacher.backbone: mlp_head.*": 4,
    }  # fmt: skip
    parts = import_weights(tmp_path / "out", "stage1", "vivit").parts
    position = published_state("vivit_factorised")["pos_embedding"][0]
    assert torch.equal(parts["student.backbone"]["position"], position)
    assert torch.equal(parts["teacher.backbone"]["position"], position / 2)
    assert torch.equal(parts["teacher.projector"]["linear.bias"], parts["student.projector"]["linear.bias"] / 2)


def test_a_teacher_that_shares_the_students_memory_is_written_too(tmp_path):
    student = stage1_vivit()
    shared = {name: student.get(name.replace("target_", ""), tensor) for name, tensor in student.items()}
    import_published(plain(shared, tmp_path), tmp_path / "out")
    parts = import_weights(tmp_path / "out", "stage1", "vivit").parts
    assert torch.equal(parts["teacher.backbone"]["embed.weight"], parts["student.backbone"]["embed.weight"])


def test_a_mean_face_is_kept_with_imported_weights(vivit, tmp_path, capsys):
    given = mean_face(face_points(1), 256)
    np.save(tmp_path / "mean.npy", given)
    command = ["checkpoint", "import", str(plain(vivit, tmp_path)), "--mean-face", str(tmp_path / "mean.npy"), "--out"]
    assert main([*command, str(tmp_path / "out")]) == 0
    assert "--mean-face" not in capsys.readouterr().out
    np.testing.assert_array_equal(import_weights(tmp_path / "out").mean_face, given)
    np.save(tmp_path / "mean.npy", given[:5])
    assert main([*command, str(tmp_path / "other")]) == 2
    assert "shape (5, 2)" in capsys.readouterr().err and not (tmp_path / "other").exists()


def test_imported_stage_2_is_scored_by_the_command(vivit, tmp_path):
    """The logit of a clip against the published network's tensors put together by hand."""
    assert main(["checkpoint", "import", str(plain(vivit, tmp_path)), "--out", str(tmp_path / "weights")]) == 0
    store = random_store(tmp_path / "store", crop=150, canvas=256, faces=0, videos=2, frames=25)
    command = ["evaluate", "--checkpoint", str(tmp_path / "weights"), "--store", str(store.folder)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    record = read_record(tmp_path / "out")
    assert record is not None and record["seed"] is None and record["row"] == {"backbone": "vivit"}
    table = pd.read_csv(tmp_path / "out" / CLIP_LOGITS)
    assert set(record["metrics"]) == set(table.loc[table["label"] == 1, "method"])

    network = build_backbone("vivit").eval()
    network.load_state_dict(to_own("vivit", published_state("vivit_factorised")))
    last = table.iloc[-1]
    view = eval_view(store.frames(last["video_id"], int(last["start"]), 25), Recipe().clip)
    with torch.inference_mode():
        feature = network(normalise(torch.from_numpy(view)[None]))[0].mean(dim=1)
    direction = vivit["df_head.weight"][0]
    logit = 64 * float(feature @ direction / feature.norm() / direction.norm())
    assert last["logit"] == pytest.approx(logit, abs=1e-4)


def test_stage_2_starts_from_an_imported_stage_1(tmp_path):
    import_published(plain(stage1_vivit(), tmp_path), tmp_path / "stage1")
    weights = import_weights(tmp_path / "stage1", "stage1", "vivit")
    require_same_network(weights, Recipe(), "stage1")
    stage = Detection(VIVIT, Recipe(), 0.0, 1, weights)
    student, teacher = stage.detector.backbone.state_dict(), stage.auxiliary.teacher.backbone.state_dict()
    for name, tensor in to_own("vivit", published_state("vivit_factorised")).items():
        assert torch.equal(student[name], tensor) and torch.equal(teacher[name], halved({name: tensor})[name])


@pytest.mark.slow
def test_stage_2_runs_from_an_imported_stage_1(tmp_path):
    import_published(plain(stage1_vivit(), tmp_path), tmp_path / "stage1")
    store = random_store(tmp_path / "store", crop=150, canvas=256, faces=0, videos=2, frames=25)
    recipe = Recipe(
        stage2=Stage2Config(batch_size=10, real_per_labelled=0, epochs=1, warmup_epochs=0),
        machine=MachineConfig(accelerator="cpu", workers=0, threads=1),
    )
    record = detect(store, VIVIT, recipe, tmp_path / "run", tmp_path / "stage1")
    assert -1 <= record["history"][0]["auxiliary"] <= 1


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*arguments, "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("tdd: ") and len(said.splitlines()) == 1 and "Traceback" not in said
    assert not out.exists()
    return said


@dataclasses.dataclass
class Custom:
    value: int = 1


class Command:
    """Unpickled without a guard, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"mkdir {self.folder}",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda state: state | {"hyper_parameters": Custom()}, r"Custom besides tensors .* state dict alone"),
        (lambda state: {"state_dict": state, "cfg": Custom()}, r"Custom besides tensors"),
        (lambda state: list(state.values()), "holds no state dict"),
        (lambda _: {}, "holds no state dict"),
        (lambda state: state | {"epoch": 3}, "its entry 'epoch' is no tensor"),
        (lambda state: {k: v for k, v in state.items() if "pos_emb" not in k}, r"backbone: .* lacks pos_embedding"),
        (lambda state: state | {"backbone.scale": torch.zeros(1)}, "backbone: .* has extra scale"),
        (lambda state: state | {"optimizer.lr": torch.zeros(1)}, r"'optimizer\.lr', which no published stage2 file"),
        (lambda state: state | under("model.", {"df_head.weight": torch.zeros(1, 512)}), "twice"),
        (lambda state: {k: v for k, v in state.items() if "df_head" not in k}, r"lacks the head .*\(df_head\.\*\)"),
        (lambda state: state | {"df_head.weight": torch.zeros(2, 512)}, r"head: 'weight' is \(2, 512\), .* \(512,\)"),
        (lambda state: state | {"df_head.bias": torch.zeros(1)}, "head: .* has extra bias"),
        (lambda state: {k.removeprefix("backbone."): v for k, v in state.items()}, "no published stage2 file"),
        (lambda _: published_state("vivit_factorised"), "neither a stage-1 file .* tensor is 'mlp_head"),
        (lambda _: {"backbone.x": torch.zeros(1), "df_head.weight": torch.zeros(1)}, "none of cnn_gru_attention"),
        (
            lambda state: (
                state
                | {
                    "backbone.to_tubelet_embedding.1.weight": torch.zeros(512, 588),
                    "backbone.pos_embedding": torch.zeros(1, 25, 64, 512),
                }
            ),
            r"patches of 14x14 pixels.*\(finding A8",
        ),
        (
            lambda state: state | {"backbone.pos_embedding": torch.zeros(1, 30, 16, 512)},
            r"position' is \(30, 16, 512\)",
        ),
    ],
)
def test_what_is_no_published_file_is_refused_in_one_sentence(change, expected, vivit, tmp_path, capsys):
    file = as_pth(change(vivit), tmp_path / "file.pth")
    said = refused(["checkpoint", "import", str(file)], tmp_path / "out", capsys)
    assert str(file) in said
    assert re.search(expected, said)


def test_a_command_in_a_file_is_never_run(vivit, tmp_path, capsys):
    run = tmp_path / "run"
    file = as_pth(vivit | {"hyper_parameters": Command(run)}, tmp_path / "command.pth")
    assert "system besides tensors" in refused(["checkpoint", "import", str(file)], tmp_path / "out", capsys)
    file.write_bytes(pickle.dumps(Command(run), protocol=2))
    refused(["checkpoint", "import", str(file)], tmp_path / "out", capsys)
    assert not run.exists()
    pickle.loads(file.read_bytes())
    assert run.exists()  # so the file would have run it


@pytest.mark.parametrize("save", [plain, safetensors])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.9999])
def test_a_file_cut_short_is_refused(save, share, vivit, tmp_path, capsys):
    file = save(vivit, tmp_path)
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    assert "cut short" in refused(["checkpoint", "import", str(file)], tmp_path / "out", capsys)


def test_no_file_and_wrong_arguments(vivit, tmp_path, capsys):
    file, out = plain(vivit, tmp_path), tmp_path / "out"
    gru = as_pth(names_alone("cnn_gru_attention"), tmp_path / "gru.pth")
    for arguments, expected in (
        ([str(tmp_path / "none.pth")], "cannot be read (No such file"),
        ([str(tmp_path)], "cannot be read (Is a directory"),
        ([str(file), "--backbone", "csn"], "holds stage2 weights of vivit; weights of csn were asked for"),
        ([str(file), "--backbone", "resnet"], "There is no backbone 'resnet'"),
        ([str(file), "--time-axis", "as_released"], "vivit has no recurrent layer"),
        ([str(gru), "--time-axis", "frames"], "must be 'per_frame' or 'as_released'"),
        ([str(gru)], "the network's is"),
    ):
        assert expected in refused(["checkpoint", "import", *arguments], out, capsys)


@pytest.mark.parametrize("backbone", MODULES)
def test_every_backbone_is_known_by_its_names(backbone, tmp_path):
    with pytest.raises(TddError, match=f"stage2 weights of {backbone}; weights of"):
        other = "csn" if backbone != "csn" else "vivit"
        import_published(plain(names_alone(backbone), tmp_path), tmp_path / "out", other)


def test_two_spellings_of_the_teacher_at_once(tmp_path):
    both = stage1_vivit() | stage1_vivit("target_encoder.0.", "target_encoder.1.")
    with pytest.raises(TddError, match=r"holds teacher\.backbone twice"):
        import_published(plain(both, tmp_path), tmp_path / "out")


def test_weights_in_the_folder_are_kept(vivit, tmp_path):
    file = plain(vivit, tmp_path)
    import_published(file, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(before) == {"weights.json", "weights.safetensors"}
    with pytest.raises(TddError, match="already holds weights"):
        import_published(file, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
