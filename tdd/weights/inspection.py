"""Exported weights in words: what a folder holds, for ``tdd checkpoint show``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tdd.config import Recipe
from tdd.metrics.kept_calibration import calibration_text
from tdd.weights.checkpoints import check_part, import_weights
from tdd.weights.detector import part_networks, stored_recipe


def weights_text(folder: Path) -> str:
    """Kind, backbone, parts with tensors and parameters, recipe, metrics and source of the weights in a folder.

    Raises:
        TddError: no finished weights there, or weights that do not fit the networks of their recipe.
    """
    weights = import_weights(folder)
    recipe, info = stored_recipe(weights), weights.info
    lines = [f"{weights.kind} weights of {weights.backbone}"]
    for part, network in part_networks(weights.kind, weights.backbone, recipe).items():
        state = weights.parts[part]
        check_part(network, state, f"{folder}, {part}")
        parameters = sum(parameter.numel() for parameter in network.parameters())
        lines.append(f"  {part}: {len(state)} tensor{'s' * (len(state) != 1)}, {parameters:,} parameters")
    changed = _differences(recipe.to_dict(), Recipe().to_dict())
    lines.append(f"recipe: {recipe.name}" + (", which differs from the paper's in" if changed else ""))
    lines += [f"  {line}" for line in changed]
    lines.append(f"seed: {_known(info.get('seed'))}")
    if weights.kind == "stage2":
        lines.append(f"calibration: {calibration_text(info.get('calibration'))}")
    lines += ["metrics:", *metric_lines(info.get("metrics") or {})]
    lines.append(f"data: {_known(info.get('data', {}).get('fingerprint'))}")
    lines.append(f"mean face: {'not known' if weights.mean_face is None else 'kept'}")
    packages = info.get("packages", {})
    lines.append(f"made with: tdd {_known(info.get('code', {}).get('version'))}, torch {_known(packages.get('torch'))}")
    source = info.get("source")
    if source:
        lines.append(f"imported from: {source['file']}, SHA-256 {source['sha256']}")
    return "\n".join(lines)


def _known(value: Any) -> Any:
    return "not known" if value is None else value


def _differences(mine: dict[str, Any], other: dict[str, Any], where: str = "") -> list[str]:
    """One line for each setting that differs, but the recipe's name."""
    lines = []
    for key, value in mine.items():
        if isinstance(value, dict) and isinstance(other.get(key), dict):
            lines += _differences(value, other[key], f"{where}{key}.")
        elif value != other.get(key) and where + key != "name":
            lines.append(f"{where}{key} = {value}")
    return lines


def metric_lines(metrics: dict[str, Any]) -> list[str]:
    """One line a metric: a test method's AUC with its interval, or a plain number."""
    if not metrics:
        return ["  none"]
    return [
        f"  {name}: AUC {value['auc']:.4f} ({value['low']:.4f} to {value['high']:.4f}), "
        f"{value['reals']} reals and {value['fakes']} fakes"
        if isinstance(value, dict)
        else f"  {name}: {value:.4g}"
        for name, value in metrics.items()
    ]
