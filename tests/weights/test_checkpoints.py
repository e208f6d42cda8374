import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from tdd.errors import TddError
from tdd.weights.checkpoints import INFO, WEIGHTS, Weights, export_weights, import_weights, load_part


@pytest.fixture
def weights():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    parts = {"backbone": module.state_dict(), "head": {"weight": torch.randn(2)}}
    return Weights("stage2", "csn", parts, {"seed": 3}, np.arange(136, dtype=np.float32).reshape(68, 2))


def test_a_round_trip_keeps_every_tensor_and_the_facts(tmp_path, weights):
    export_weights(tmp_path, weights)
    back = import_weights(tmp_path, "stage2", "csn")
    assert back.info["seed"] == 3
    assert back.parts.keys() == weights.parts.keys()
    for part, state in weights.parts.items():
        for name, tensor in state.items():
            assert torch.equal(back.parts[part][name], tensor)
    load_part(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), back.parts["backbone"], "backbone")
    np.testing.assert_array_equal(back.mean_face, np.arange(136).reshape(68, 2))


def test_weights_without_a_mean_face_have_none(tmp_path, weights):
    export_weights(tmp_path, dataclasses.replace(weights, mean_face=None))
    assert import_weights(tmp_path).mean_face is None


def test_other_tensors_are_named(weights):
    state = weights.parts["backbone"]
    with pytest.raises(TddError, match=r"lacks tensor '2\.weight'"):
        load_part(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2, bias=False)), state, "backbone")
    with pytest.raises(TddError, match=r"no place for tensor '1\.bias' and 4 more"):
        load_part(nn.Sequential(nn.Linear(3, 2)), state, "backbone")
    with pytest.raises(TddError, match=r"'0\.weight' is \(2, 3\), the network's is \(2, 5\)"):
        load_part(nn.Sequential(nn.Linear(5, 2), nn.BatchNorm1d(2)), state, "backbone")


def test_what_cannot_be_used_is_refused(tmp_path, weights):
    with pytest.raises(TddError, match="run that stage first"):
        import_weights(tmp_path, "stage2", "csn")
    with pytest.raises(TddError, match="parts backbone, head"):
        export_weights(tmp_path, Weights("stage2", "csn", {"head": {}}, {}))
    export_weights(tmp_path, weights)
    with pytest.raises(TddError, match="stage2 weights of csn; stage2 weights of cnn_lstm are needed"):
        import_weights(tmp_path, "stage2", "cnn_lstm")
    data = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(TddError, match="is damaged"):
        import_weights(tmp_path, "stage2", "csn")
    (tmp_path / INFO).write_text("{", encoding="utf-8")
    with pytest.raises(TddError, match="is damaged"):
        import_weights(tmp_path, "stage2", "csn")


def test_a_description_without_its_tensors_is_told_from_a_damaged_file(tmp_path, weights):
    export_weights(tmp_path, weights)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(TddError, match=r"describes weights and holds none \(weights\.safetensors is missing\)"):
        import_weights(tmp_path)


def test_any_kind_is_read_and_a_json_of_something_else_is_refused(tmp_path, weights):
    export_weights(tmp_path, weights)
    assert import_weights(tmp_path).kind == "stage2"
    with pytest.raises(TddError, match="stage1 weights of csn are needed"):
        import_weights(tmp_path, "stage1")
    for text in ("[]", '{"kind": "stage3", "backbone": "csn"}', '{"kind": "stage2"}'):
        (tmp_path / INFO).write_text(text, encoding="utf-8")
        with pytest.raises(TddError, match=r"does not say what weights|no mapping of fields"):
            import_weights(tmp_path)
