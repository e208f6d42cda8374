"""Recipes: every number of a run, as dataclasses. The defaults are the paper's; a YAML recipe lists only what differs.

Sources are marked as in the method's description: [P] the paper (Kim et al., IEIE Summer Conference 2024), [R]
RealForensics (Haliassos et al., CVPR 2022, arXiv 2201.07131), which the paper starts from where it is silent.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from tdd.errors import TddError


@dataclass(frozen=True)
class ClipConfig:
    """Geometry of a clip, from the aligned face to the network's input."""

    frames: int = 25
    """Frames in a clip, at 25 fps [P]."""
    canvas: int = 256
    """Side of the square, px, in which the mean face lies [R]."""
    crop: int = 150
    """Side of the stored face crop, px, cut from the canvas [R]."""
    view_crop: int = 140
    """Side of the crop that a view takes from the stored one, px: random in training, central otherwise [R]."""
    input_size: int = 112
    """Side of the frames that the networks see, px [R]."""


@dataclass(frozen=True)
class NoiseConfig:
    """What a view may add: the flip is for all training views, the rest for students only [R]."""

    flip: float = 0.5
    """Probability of a horizontal flip."""
    grayscale: float = 0.5
    """Probability that a clip loses its colour."""
    erase: float = 0.5
    """Probability that one rectangle is erased in all frames."""
    erase_area_min: float = 0.02
    """Smallest erased share of the frame."""
    erase_area_max: float = 0.33
    """Largest erased share of the frame."""
    time_mask_frames: int = 11
    """Longest run of frames set to zero (four times as many in the log-mel)."""
    time_mask_stage2: float = 0.5
    """Probability of the time mask in stage 2; stage 1 always draws one."""
    mel_mask_bins: int = 26
    """Longest run of mel bins set to zero."""


@dataclass(frozen=True)
class ModelConfig:
    """Arguments of the networks; empty means their published size."""

    backbones: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keyword arguments by backbone name, for example ``{"cnn_lstm": {"hidden": 64}}``."""
    audio: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the audio ResNet."""
    predictor: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the transformer predictor."""
    projection: int = 256
    """Channels of projections and predictions [P][R]."""


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamP (Heo et al., ICLR 2021, arXiv 2006.08217) and its schedule."""

    learning_rate: float = 7e-4
    """Base rate at batch 256; scaled by sqrt(batch / 256) [R]."""
    weight_decay: float = 1e-2
    """Decoupled weight decay [R]."""


@dataclass(frozen=True)
class Stage1Config:
    """Cross-modal pretraining on real talking faces."""

    batch_size: int = 256
    """Clips per optimiser step [R]."""
    epochs: int = 150
    """Passes over the clips [R]."""
    warmup_epochs: int = 20
    """Linear warm-up, then cosine to zero [R]."""
    clips: int = 5_000
    """Training clips: as many of each word, by name, as make up this number; 0 takes all [P]."""
    ema_base: float = 0.999
    """EMA momentum m is 1 - (1 - ema_base) x batch_size / ema_batch, fixed [R]."""
    ema_batch: int = 96
    """The batch size at which ``ema_base`` holds [R]."""
    optimiser: OptimiserConfig = OptimiserConfig()

    @property
    def momentum(self) -> float:
        """EMA momentum of the teachers."""
        return 1 - (1 - self.ema_base) * self.batch_size / self.ema_batch


@dataclass(frozen=True)
class Stage2Config:
    """Forgery detection with the auxiliary prediction of the stage-1 teacher."""

    batch_size: int = 32
    """Labelled clips per optimiser step [R]."""
    real_per_labelled: float = 8.0
    """Clips of stage-1 data, labelled real, that join each labelled clip [R]."""
    real_repeats: int = 1
    """Clips of each labelled real video an epoch, beside one of each fake; 4 balance four methods (our option)."""
    epochs: int = 150
    """Passes over the labelled videos, one random clip of each [R]."""
    warmup_epochs: int = 5
    """Linear warm-up, then constant [R]."""
    methods: tuple[str, ...] = ("Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures")
    """Forgery methods seen in training [P]."""
    optimiser: OptimiserConfig = OptimiserConfig()


@dataclass(frozen=True)
class EvaluationConfig:
    """Which clips of a test video are scored."""

    faceforensics_frames: int = 110
    """Frames of a FaceForensics++ video that are used, from its start; other data sets are used whole [R]."""
    batch_size: int = 32
    """Clips per forward pass; has no effect on the scores."""


@dataclass(frozen=True)
class MachineConfig:
    """Where and how fast, never what: no field here may change a result beyond rounding."""

    accelerator: str = "auto"
    """Lightning accelerator: ``auto``, ``cpu``, ``gpu``."""
    devices: int = 1
    """Devices per run."""
    precision: str = "32-true"
    """Lightning precision, for example ``bf16-mixed`` on a GPU."""
    workers: int = 4
    """Loader processes per run; 0 loads in the training process."""
    threads: int = 0
    """Torch threads per run; 0 leaves torch's own choice."""
    checkpoint_epochs: int = 1
    """Epochs between resume points."""


@dataclass(frozen=True)
class Recipe:
    """All numbers of a reproduction."""

    name: str = "paper"
    clip: ClipConfig = ClipConfig()
    noise: NoiseConfig = NoiseConfig()
    model: ModelConfig = field(default_factory=ModelConfig)
    stage1: Stage1Config = Stage1Config()
    stage2: Stage2Config = Stage2Config()
    evaluation: EvaluationConfig = EvaluationConfig()
    machine: MachineConfig = MachineConfig()

    def __post_init__(self) -> None:
        """Reject conflicts where they are stated, not hours later."""
        clip, noise, stage1, stage2 = self.clip, self.noise, self.stage1, self.stage2
        _require(clip.view_crop <= clip.crop <= clip.canvas, "clip: view_crop <= crop <= canvas must hold", self.name)
        _require(noise.time_mask_frames < clip.frames, "noise.time_mask_frames must be below clip.frames", self.name)
        _require(noise.erase_area_min <= noise.erase_area_max, "noise.erase_area_min exceeds erase_area_max", self.name)
        _require(
            0 <= stage1.momentum < 1, f"stage1 gives EMA momentum {stage1.momentum:.4g}, outside [0, 1)", self.name
        )
        _require(stage1.warmup_epochs < stage1.epochs, "stage1.warmup_epochs must be below stage1.epochs", self.name)
        _require(stage2.warmup_epochs < stage2.epochs, "stage2.warmup_epochs must be below stage2.epochs", self.name)
        _require(stage1.batch_size > 1 and stage2.batch_size > 1, "batch norm needs batch_size above 1", self.name)
        for chance in ("flip", "grayscale", "erase", "time_mask_stage2"):
            _require(0 <= getattr(noise, chance) <= 1, f"noise.{chance} is a probability", self.name)

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain values, as saved in run records."""
        return dataclasses.asdict(self)


def _require(condition: bool, rule: str, name: str) -> None:
    if not condition:
        raise TddError(f"Recipe '{name}': {rule}; correct the recipe.")


def scaled_rate(optimiser: OptimiserConfig, batch_size: int) -> float:
    """Learning rate at ``batch_size`` clips a step: base x sqrt(batch / 256) [R]."""
    return optimiser.learning_rate * math.sqrt(batch_size / 256)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("tdd") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Load a recipe by its name or from a YAML file.

    Raises:
        TddError: no such recipe, unreadable YAML, an unknown key, a value of the wrong type, or values in conflict.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise TddError(f"There is no recipe file {path}; name a file or one of: {', '.join(recipe_names())}.")
        text, name = path.read_text(encoding="utf-8"), path.stem
    elif str(name_or_path) in recipe_names():
        name = str(name_or_path)
        text = (resources.files("tdd") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise TddError(f"Unknown recipe '{name_or_path}'; known recipes: {', '.join(recipe_names())}.")
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise TddError(f"Recipe '{name}' is not valid YAML: {' '.join(str(error).split())}.") from error
    return recipe_from_dict({"name": name} | values)


def recipe_from_dict(values: dict[str, Any]) -> Recipe:
    """Build a recipe from nested plain values, refusing keys that no field has.

    Raises:
        TddError: an unknown key, a value of the wrong type, or values in conflict.
    """
    return _build(Recipe, values, "recipe")


def _build(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise TddError(f"{where} must be a mapping of settings, not {values!r}.")
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = [key for key in values if key not in known]
    if unknown:
        raise TddError(f"{where} has no setting '{unknown[0]}'; its settings are: {', '.join(known)}.")
    default = cls()
    built = {}
    for key, value in values.items():
        present = getattr(default, key)
        place = f"{where}.{key}"
        built[key] = (
            _build(type(present), value, place) if dataclasses.is_dataclass(present) else _cast(present, value, place)
        )
    return cls(**built)


def _cast(default: Any, value: Any, where: str) -> Any:
    """Accept ``value`` only when it has the kind of ``default`` (an int may stand for a float, a list for a tuple)."""
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise TddError(f"{where} must be {type(default).__name__}, not {value!r}.")
    return value
