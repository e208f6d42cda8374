"""The model card of exported weights: what the Hugging Face Hub shows of them, from what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tdd.machine.kit import repository
from tdd.metrics.kept_calibration import calibration_text
from tdd.records.paper import CITATION as PAPER
from tdd.weights.checkpoints import PACKED_WEIGHTS

LIBRARY = "tdd"
TASK = "video-classification"
CITATIONS = (
    PAPER,
    'A. Haliassos, R. Mira, S. Petridis, M. Pantic, "Leveraging Real Talking Faces via Self-Supervision for Robust '
    'Forgery Detection", CVPR 2022, arXiv 2201.07131',
)

DRAWN_LIMIT = (
    "**It is a detector of drawn faces.** It was trained on drawings of people and on drawn stand-ins for forgery "
    "methods, and on nothing else. On a video of a person its score is at most a rank, and nobody has measured whether "
    "that rank is right."
)
FILMED_LIMIT = (
    "Its figures hold for videos like those of its test sets: forgeries of other methods, cameras or encoders may look "
    "real to it, and a threshold that fits one data set does not fit the next."
)
UNKNOWN_LIMIT = "What it was trained on is not recorded with it, so nothing is known of where it can be trusted."
USE_LIMIT = (
    "A score is not evidence. Do not use it to accuse anyone, to moderate without a person's judgement, or to identify "
    "people."
)


def model_card(info: dict[str, Any], aligned: bool) -> str:
    """The text of ``README.md``: front matter that the Hub reads, then what a reader needs to judge the weights.

    Args:
        info: what ``config.json`` says, as :func:`tdd.weights.packed.pack_weights` gives it.
        aligned: whether the weights hold the mean face that faces are to be aligned to.
    """
    front = yaml.safe_dump(front_matter(info), sort_keys=False, allow_unicode=True)
    sections = [f"# {_title(info)}", *_use(aligned), *_data(info), *_figures(info), *_training(info), *_rights(info)]
    return "\n\n".join([f"---\n{front}---", *sections]) + "\n"


def front_matter(info: dict[str, Any]) -> dict[str, Any]:
    """What the Hub reads of a model: licence, library, task, tags, and the figures as a model index."""
    synthetic = info["data"].get("synthetic")
    licence = {"license": "mit"} if synthetic else {"license": "other", "license_name": "terms-of-the-training-data"}
    tags = [LIBRARY, "deepfake-detection", "video", info["backbone"], *(["synthetic-data"] if synthetic else [])]
    return licence | {
        "library_name": LIBRARY,
        "pipeline_tag": TASK,
        "tags": tags,
        "model-index": [{"name": _title(info), "results": _results(info, bool(synthetic))}],
    }


def _results(info: dict[str, Any], synthetic: bool) -> list[dict[str, Any]]:
    prefix = "synthetic stand-in for " if synthetic else ""
    return [
        {
            "task": {"type": TASK, "name": "Deepfake detection"},
            "dataset": {"type": f"tdd-{'synthetic' if synthetic else 'real'}", "name": f"{prefix}{method}"},
            "metrics": [{"type": "roc_auc", "name": "AUC over videos", "value": round(value["auc"], 4)}],
        }
        for method, value in _methods(info)
    ]


def _methods(info: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, value) for name, value in (info.get("metrics") or {}).items() if isinstance(value, dict)]


def _title(info: dict[str, Any]) -> str:
    drawn = " of drawn faces" if info["data"].get("synthetic") else ""
    return f"Deepfake detector{drawn}: {info['backbone']}, recipe {info['recipe']['name']}"


def _use(aligned: bool) -> Iterator[str]:
    face = "" if aligned else " --mean-face FILE.npy"
    needs = "" if aligned else "\n\nThe mean face that faces are aligned to is not among the files."
    yield (
        "A detector of forged faces in videos, for `tdd`, a kit that reproduces a "
        "paper on local and global temporal information. It takes clips of aligned faces and gives a logit a clip; a "
        "video's score comes from their mean."
    )
    yield (
        '## Use\n\n{_copy()}\n\n```\npip install -e ".[faces]" ./opencv-stand-in huggingface_hub\n'
        f"tdd predict VIDEO --checkpoint hf://USER/NAME{face}\n```\n\n"
        f"Without `huggingface_hub` in Python: `hf download USER/NAME --local-dir DIR`, then `--checkpoint DIR`.{needs}"
    )


def _copy() -> str:
    """Where a reader gets the kit: the commands below are typed in a copy of it."""
    address = repository()
    return f"In a copy of [the kit]({address}) (`git clone {address}`):" if address else "In a copy of the kit:"


def _data(info: dict[str, Any]) -> Iterator[str]:
    data, synthetic = info["data"], info["data"].get("synthetic")
    methods = ", ".join(info["recipe"].get("stage2", {}).get("methods", [])) or "not known"
    what = {
        True: "the synthetic benchmark of the kit (drawn people who speak real words; no real person, no real forgery)",
        False: "real data sets in their owners' layouts",
        None: "not known",
    }[synthetic]
    yield (
        f"## Data\n\n- trained on: {what}\n- forgeries in training: {methods}\n"
        f"- fingerprint of the prepared clips: `{data.get('fingerprint') or 'not known'}`"
    )
    limit = {True: DRAWN_LIMIT, False: FILMED_LIMIT, None: UNKNOWN_LIMIT}[synthetic]
    yield f"## Limits\n\n{limit}\n\n{USE_LIMIT}"


def _figures(info: dict[str, Any]) -> Iterator[str]:
    trained = info["recipe"].get("stage2", {}).get("methods", [])
    lines = [
        f"| {name} | {'yes' if name in trained else 'no'} | {100 * value['auc']:.1f} "
        f"[{100 * value['low']:.1f}, {100 * value['high']:.1f}] | {value['reals']} | {value['fakes']} |"
        for name, value in _methods(info)
    ]
    if not lines:
        yield "## Figures\n\nNone are recorded with these weights."
        return
    forged = " the stand-in for" if info["data"].get("synthetic") else ""
    head = f"| test videos forged by{forged} | seen in training | AUC over videos, % | reals | fakes |"
    head += "\n|---|---|---:|---:|---:|"
    yield (
        "\n".join(["## Figures", "", head, *lines]) + "\n\nIn brackets: 95% interval over targets or videos, of one "
        "training run. Other seeds give other figures, often by more than the interval of one."
    )


def _training(info: dict[str, Any]) -> Iterator[str]:
    made = f"tdd {info.get('code', {}).get('version')}, torch {info.get('packages', {}).get('torch')}"
    kept = calibration_text(info.get("calibration"))
    yield (
        f"## Training\n\n- recipe `{info['recipe']['name']}` (in `config.json`), seed {info.get('seed')}, {made}\n"
        f"- calibration: {kept}\n- precision of the file: {info['precision']}\n"
        f"- SHA-256 of `{PACKED_WEIGHTS}`: `{info['sha256']}`"
    )


def _rights(info: dict[str, Any]) -> Iterator[str]:
    if info["data"].get("synthetic"):
        licence = "The weights are under the MIT licence, as the kit is: all that they were trained on was drawn by it."
    else:
        licence = (
            "The weights follow the terms of the data that they were trained on, which for the common data sets of "
            "forgeries allow research only; whoever publishes them states those terms here, and in the front matter."
        )
    yield f"## Licence\n\n{licence}"
    yield "## Citation\n\nThe method is its authors':\n\n" + "\n".join(f"- {entry}" for entry in CITATIONS)
