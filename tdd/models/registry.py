"""The backbones by name: `build_backbone("cnn_gru_attention", input_size=56, widths=(8, 16, 32, 64))`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tdd.errors import TddError
from tdd.models.backbones.cnn_gru_attention import CnnGruAttention
from tdd.models.backbones.cnn_lstm import CnnLstm
from tdd.models.backbones.csn import Csn
from tdd.models.backbones.vivit import Vivit
from tdd.models.contract import Backbone

BACKBONES: dict[str, Callable[..., Backbone]] = {
    "cnn_gru_attention": CnnGruAttention,
    "cnn_lstm": CnnLstm,
    "csn": Csn,
    "vivit": Vivit,
}
"""Name -> builder. Every backbone maps video (B, 3, T, H, W) to features (B, out_channels, T)."""


def accepted_arguments(name: str) -> tuple[str, ...]:
    """Names of the keyword arguments that backbone `name` takes.

    Raises:
        TddError: there is no backbone of that name.
    """
    if name not in BACKBONES:
        raise TddError(f"There is no backbone {name!r}; choose one of {', '.join(sorted(BACKBONES))}.")
    return tuple(inspect.signature(BACKBONES[name]).parameters)


def full_arguments(name: str, **kwargs: Any) -> dict[str, Any]:
    """All arguments of backbone `name`: those given, and the paper's values of those left out.

    Raises:
        TddError: an unknown name or an unknown argument.
    """
    accepted = accepted_arguments(name)
    unknown = sorted(set(kwargs) - set(accepted))
    if unknown:
        raise TddError(f"{name} takes no argument {', '.join(unknown)}; it takes {', '.join(accepted)}.")
    bound = inspect.signature(BACKBONES[name]).bind(**kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def build_backbone(name: str, **kwargs: Any) -> Backbone:
    """Build a backbone; arguments left out have the paper's values.

    Raises:
        TddError: an unknown name, an unknown argument, or a value the network cannot have.
    """
    arguments = full_arguments(name, **kwargs)
    return BACKBONES[name](**arguments)
