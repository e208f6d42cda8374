"""Run records: what was run, on what, with which result. Tables and figures are made from these alone."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tdd
from tdd.config import MachineConfig
from tdd.machine.files import read_json, write_json
from tdd.machine.source import commit
from tdd.records.kinds import require_kinds

STUDY = "study.json"
"""What a study's folder says of its plan: rows, seeds, and the folder of each run."""

CONTRASTS, LATER = "contrasts", "contrasts_stated_later"
"""Keys of ``study.json``: the family of comparisons, and whether runs of its rows were there before it was written."""

RECORD = "record.json"
CLIP_LOGITS = "clip_logits.csv"
FAILURE = "failure.json"
"""What a run that failed leaves in place of a record: the sentence, and where it happened."""
SCHEMA = 1

PACKAGES = ("torch", "torchvision", "torchaudio", "lightning", "adamp", "av", "numpy", "opencv-python-headless")


BESIDE = "beside"
"""Relation of two numbers of which neither has to be the larger."""


@dataclass(frozen=True)
class Check:
    """A number held against a target, or shown beside another without a verdict: recorded, never enforced."""

    name: str
    value: float
    target: float
    sentence: str
    relation: str = ">="
    """``>=``, ``<=``, or ``BESIDE``."""

    def to_dict(self) -> dict[str, Any]:
        """As stored in a record, with the verdict."""
        verdicts = {">=": self.value >= self.target, "<=": self.value <= self.target, BESIDE: None}
        return asdict(self) | {"passed": verdicts[self.relation]}


class Clock:
    """When a run started, and how long it has taken."""

    def __init__(self) -> None:
        self.started, self.zero = datetime.now(timezone.utc), time.monotonic()  # a wall clock may be set meanwhile

    def read(self) -> dict[str, Any]:
        """The fields ``started`` (ISO 8601, UTC) and ``seconds`` of a record."""
        return {"started": self.started.isoformat(timespec="seconds"), "seconds": time.monotonic() - self.zero}


@dataclass(frozen=True)
class Record:
    """One run. ``kind`` is ``stage1``, ``stage2`` or ``evaluation``; ``row`` says which row of a table it serves."""

    kind: str
    name: str
    seed: int | None
    """``None`` where it is not known: imported weights."""
    synthetic: bool
    recipe: dict[str, Any]
    data: dict[str, Any]
    started: str
    seconds: float
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    row: dict[str, Any] | None = None
    checks: list[dict[str, Any]] = field(default_factory=list)
    datasets: dict[str, Any] = field(default_factory=dict)
    """As ``metrics``, but by data set: all its forgeries that can be seen against its reals (evaluation only)."""
    listed: dict[str, Any] = field(default_factory=dict)
    """Test videos that the data sets' lists name, found or not: see
    :func:`tdd.evaluation.selection.listed_test_videos`; empty where that is not known."""
    machine: dict[str, str] = field(default_factory=dict)
    """What it was computed on: see :func:`machine_of`."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """What turned logits into chances: see :func:`tdd.metrics.kept_calibration.calibrate`; empty where nothing did."""

    localisation: dict[str, Any] = field(default_factory=dict)
    """When videos are forged, by data set: see :func:`tdd.evaluation.localisation.localise`; empty where no forged part
    is known."""

    crops: dict[str, Any] = field(default_factory=dict)
    """What the crops looked like that the detector was trained on: see :func:`tdd.evaluation.likeness.kept`; empty
    where that is not known."""

    def write(self, run: Path) -> None:
        """Publish the record: its presence says that the run is finished."""
        write_json(run / RECORD, {"schema": SCHEMA} | asdict(self) | provenance())


def read_record(run: Path) -> dict[str, Any] | None:
    """The record of a finished run, else ``None``.

    Raises:
        TddError: the record is damaged.
    """
    path = run / RECORD
    return require_kinds(read_json(path), path) if path.is_file() else None


def provenance() -> dict[str, Any]:
    """What computed a result: ``code`` (version, commit) and ``packages`` (versions)."""
    return {"code": {"version": tdd.__version__, "commit": commit()}, "packages": package_versions()}


def package_versions() -> dict[str, str]:
    """Versions of the packages that can move a number."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine_of(machine: MachineConfig) -> dict[str, str]:
    """What a run computes on: two runs of one seed may differ where these do.

    Returns:
        ``device`` (``cpu``, or the name of the GPU), ``devices`` (how many), ``precision``, ``processor``, and
        ``capability``, the instruction set that torch computes with on a CPU.
    """
    import torch

    from tdd.data.clips import on_gpu
    from tdd.machine.ranks import world

    return {
        "device": torch.cuda.get_device_name() if on_gpu(machine) else "cpu",
        "devices": str(world()),
        "precision": machine.precision,
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def _processor() -> str:
    """The processor's name; Linux keeps it where ``platform`` does not look."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
