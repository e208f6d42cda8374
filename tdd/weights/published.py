"""From the parameter names of the published code to this package's, one explicit table per network.

The tables hold the published sizes' names: CSN and audio of RealForensics (Haliassos et al., CVPR 2022,
arXiv 2201.07131), the other backbones of Kim et al. (IEIE Summer Conference 2024). Names start at the network itself:
an importer first strips what a checkpoint puts before them, such as `backbone.`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from tdd.errors import TddError

_WEIGHT = ("weight",)
_WEIGHT_BIAS = ("weight", "bias")
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def to_own(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a published network's tensors, and reshape those whose layout differs here.

    Args:
        name: "csn", "cnn_lstm", "cnn_gru_attention", "vivit", "audio", "projector", "predictor" or "head".
        state: the published state dict of that network; ViViT's unused classifier may be in it or not.

    Returns:
        A state dict for `load_state_dict(..., strict=True)` of the network here, at published size. Tensors share
        memory with `state`.

    Raises:
        TddError: an unknown name, or tensors missing from `state` or left over in it; the sentence names them.
    """
    if name not in _TABLES:
        raise TddError(f"No published names are known for {name!r}; choose one of {', '.join(sorted(_TABLES))}.")
    table = _TABLES[name]()
    missing = sorted(set(table) - set(state))
    extra = sorted(set(state) - set(table) - _UNUSED.get(name, frozenset()))
    if missing or extra:
        faults = [f"{fault} {_listed(names)}" for fault, names in (("lacks", missing), ("has extra", extra)) if names]
        raise TddError(f"This is not a published {name} state dict: it {' and '.join(faults)}.")
    fit = _LAYOUTS.get(name, _unchanged)
    return {own: fit(own, state[published]) for published, own in table.items()}


def published_names(name: str) -> frozenset[str]:
    """The tensors that `to_own` takes from a published state dict of `name`."""
    return frozenset(_TABLES[name]())


def _listed(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _rename(pairs: Mapping[str, str], kinds: tuple[str, ...]) -> dict[str, str]:
    """{published module: own module} -> {published tensor: own tensor}, for tensors of the given kinds."""
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in pairs.items() for kind in kinds}


def _csn() -> dict[str, str]:
    convs = {"blocks.0.conv": "stem"}
    norms = {"blocks.0.norm": "stem_norm"}
    done = 0  # blocks of the stages before: they are numbered through here
    for stage, depth in enumerate((3, 4, 23, 3)):
        for block in range(depth):
            theirs, ours = f"blocks.{stage + 1}.res_blocks.{block}", f"blocks.{done + block}"
            for letter, part in (("a", "reduce"), ("b", "depthwise"), ("c", "expand")):
                convs[f"{theirs}.branch2.conv_{letter}"] = f"{ours}.{part}"
                norms[f"{theirs}.branch2.norm_{letter}"] = f"{ours}.{part}_norm"
        first, shortcut = f"blocks.{stage + 1}.res_blocks.0", f"blocks.{done}.shortcut"
        convs[f"{first}.branch1_conv"] = f"{shortcut}.0"
        norms[f"{first}.branch1_norm"] = f"{shortcut}.1"
        done += depth
    return _rename(convs, _WEIGHT) | _rename(norms, _BATCH_NORM)


def _recurrent(layer: str, published_layer: str, convs: int) -> dict[str, str]:
    kinds = tuple(
        f"{tensor}_{gate}_l0{direction}"
        for direction in ("", "_reverse")
        for tensor in ("weight", "bias")
        for gate in ("ih", "hh")
    )
    # A published layer is convolution, ReLU and pool: every third module holds tensors.
    stem = {f"conv_layers.{3 * index}": f"stem.convs.{index}" for index in range(convs)}
    return _rename(stem | {"fc": "out"}, _WEIGHT_BIAS) | _rename({published_layer: layer}, kinds)


def _cnn_lstm() -> dict[str, str]:
    return _recurrent("lstm", "lstm", convs=3)


def _cnn_gru_attention() -> dict[str, str]:
    attention = {f"temporal_attention.{part}_conv": f"attention.{part}" for part in ("query", "key", "value")}
    return _recurrent("gru", "bi_gru", convs=4) | _rename(attention, _WEIGHT_BIAS)


def _attention(theirs: str, ours: str) -> dict[str, str]:
    full = {f"{theirs}.norm": f"{ours}.norm", f"{theirs}.fn.to_out.0": f"{ours}.out"}
    return _rename(full, _WEIGHT_BIAS) | _rename({f"{theirs}.fn.to_qkv": f"{ours}.qkv"}, _WEIGHT)


def _vivit() -> dict[str, str]:
    table = {"pos_embedding": "position"} | _rename({"to_tubelet_embedding.1": "embed"}, _WEIGHT_BIAS)
    for block in range(6):
        theirs, ours = f"transformer.layers.{block}", f"blocks.{block}"
        table |= _attention(f"{theirs}.0", f"{ours}.spatial") | _attention(f"{theirs}.1", f"{ours}.temporal")
        mlp = {f"{theirs}.2.norm": f"{ours}.mlp.0"}
        # Between the two stand GELU and dropout, without tensors; here dropout is left out and the norm stands inside.
        mlp |= {f"{theirs}.2.fn.net.0": f"{ours}.mlp.1", f"{theirs}.2.fn.net.3": f"{ours}.mlp.3"}
        table |= _rename(mlp, _WEIGHT_BIAS)
    return table


def _audio() -> dict[str, str]:
    convs = {"model.conv1": "stem"}
    norms = {"model.bn1": "stem_norm"}
    for stage in range(4):
        for block in range(2):
            theirs, ours = f"model.layer{stage + 1}.{block}", f"blocks.{2 * stage + block}"
            convs |= {f"{theirs}.conv{index}": f"{ours}.conv{index}" for index in (1, 2)}
            norms |= {f"{theirs}.bn{index}": f"{ours}.norm{index}" for index in (1, 2)}
        if stage > 0:  # the first stage keeps its channels and has no shortcut convolution
            first, shortcut = f"model.layer{stage + 1}.0.downsample", f"blocks.{2 * stage}.shortcut"
            convs[f"{first}.0"] = f"{shortcut}.0"
            norms[f"{first}.1"] = f"{shortcut}.1"
    return _rename(convs, _WEIGHT) | _rename(norms, _BATCH_NORM)


def _projector() -> dict[str, str]:
    return _rename({"net": "linear"}, _WEIGHT_BIAS) | _rename({"norm_layer": "norm"}, _BATCH_NORM)


def _predictor() -> dict[str, str]:
    block = "transformer.layers.0"
    linear = {"projection_layer": "widen", "mlp_head.3": "out"}
    linear |= {f"{block}.1.fn.net.0": "mlp.widen", f"{block}.1.fn.net.3": "mlp.narrow"}
    norms = {f"{block}.1.norm.1": "mlp.norm", "mlp_head.1": "norm"}
    return _rename(linear, _WEIGHT_BIAS) | _attention(f"{block}.0", "attention") | _rename(norms, _BATCH_NORM)


def _head() -> dict[str, str]:
    return {"weight": "weight"}


def _unchanged(own: str, tensor: Tensor) -> Tensor:  # noqa: ARG001 - one signature for all layouts
    return tensor


def _csn_layout(own: str, tensor: Tensor) -> Tensor:
    """1x1x1 convolutions are 2-D here."""
    return tensor.squeeze(2) if tensor.dim() == 5 and tensor.shape[2:] == (1, 1, 1) and own != "stem.weight" else tensor


def _without_batch_axis(own: str, tensor: Tensor) -> Tensor:
    """The published position embedding and head weight have a leading axis of length one; a longer one is kept."""
    return tensor.squeeze(0) if own in ("position", "weight") else tensor


_TABLES: dict[str, Callable[[], dict[str, str]]] = {
    "audio": _audio,
    "cnn_gru_attention": _cnn_gru_attention,
    "cnn_lstm": _cnn_lstm,
    "csn": _csn,
    "head": _head,
    "predictor": _predictor,
    "projector": _projector,
    "vivit": _vivit,
}

_LAYOUTS: dict[str, Callable[[str, Tensor], Tensor]] = {
    "csn": _csn_layout,
    "head": _without_batch_axis,
    "vivit": _without_batch_axis,
}

_UNUSED: dict[str, frozenset[str]] = {
    # ViViT's classifier: the released training code takes the features before it.
    "vivit": frozenset({"mlp_head.0.weight", "mlp_head.0.bias", "mlp_head.1.weight", "mlp_head.1.bias"}),
}
