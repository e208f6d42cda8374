"""What the fields of records and of weights must be, so that a damaged or foreign file is one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tdd.errors import TddError

NUMBER = (int, float)

FIELDS: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "backbone": (str,),
    "recipe": (dict,),
    "seed": (int, type(None)),
    "metrics": (dict,),
    "data": (dict,),
    "data.fingerprint": (str, type(None)),
    "data.synthetic": (bool, type(None)),
    "synthetic": (bool,),
    "seconds": NUMBER,
    "history": (list,),
    "row": (dict, type(None)),
    "checks": (list,),
    "datasets": (dict,),
    "localisation": (dict,),
    "crops": (dict,),
    "machine": (dict,),
    "code": (dict,),
    "packages": (dict,),
    "calibration": (dict, type(None)),
    "sha256": (str,),
    "source": (dict, type(None)),
    "source.file": (str,),
    "source.sha256": (str,),
}
"""Fields by dotted path, and the kinds that each may have where it is there."""

METRIC = ("auc", "low", "high", "reals", "fakes")
"""Numbers of a metric that is no plain number."""

CALIBRATION = ("temperature", "bias", "reals", "fakes", "ece_before", "ece_after")


def require_kinds(values: Any, path: Path) -> dict[str, Any]:
    """Check what a JSON file of a record or of weights says.

    Args:
        values: as read.
        path: of the file, for the sentence.

    Returns:
        ``values``.

    Raises:
        TddError: they are no mapping, or a field is of the wrong kind; the sentence names it.
    """
    if not isinstance(values, dict):
        raise TddError(f"{path} is no mapping of fields; it is damaged: make it again.")
    for field, kinds in FIELDS.items():
        section, _, name = field.rpartition(".")
        place = values.get(section) if section else values
        if not isinstance(place, dict) or name not in place:
            continue
        value = place[name]
        # To Python true is the number 1.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise _wrong(path, field, value)
    for name, value in (values.get("metrics") or {}).items():
        if not (_is_number(value) or _is_metric(value) or _holds_groups(value)):
            raise _wrong(path, f"metrics.{name}", value)
    _require_calibration(values.get("calibration"), path)
    return values


def _is_metric(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(name)) for name in METRIC)


def _holds_groups(value: Any) -> bool:
    """Whether it is what robustness keeps of one corruption: metrics by method and by data set."""
    return isinstance(value, dict) and all(isinstance(value.get(name), dict) for name in ("methods", "datasets"))


def _require_calibration(kept: Mapping[str, Any] | None, path: Path) -> None:
    if not kept or "temperature" not in kept:
        return
    for name in CALIBRATION:
        if not _is_number(kept.get(name)):
            raise _wrong(path, f"calibration.{name}", kept.get(name))
    if not (0 < kept["temperature"] < math.inf and math.isfinite(kept["bias"])):
        raise TddError(
            f"{path} has a calibration with temperature {kept['temperature']} and bias {kept['bias']}, which makes no "
            "chance of a logit; make the weights again, or take the calibration out."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, NUMBER) and not isinstance(value, bool)


def _wrong(path: Path, field: str, value: Any) -> TddError:
    said = repr(value)
    shown = said if len(said) < 60 else f"{said[:50]} ..."
    return TddError(f"{path} has {field} = {shown}, which is none of its kind; it is damaged: make it again.")
