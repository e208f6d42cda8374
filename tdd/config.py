"""Recipes: every number of a run, as dataclasses. The defaults are the paper's; a YAML recipe lists only what differs.

Each setting knows where its default comes from: the paper (Kim et al., IEIE Summer Conference 2024), RealForensics
(Haliassos et al., CVPR 2022, arXiv 2201.07131), which the paper starts from where it is silent, the code released with
the paper, or this package. ``tdd recipe show`` prints them.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from tdd.errors import TddError
from tdd.names import LRW, SEEN_METHODS

PAPER = "paper"
REALFORENSICS = "RealForensics"
RELEASED = "released code"
OURS = "this package"

STAGE1, STAGE2, EVALUATION, TRIVIAL = "stage1", "stage2", "evaluation", "trivial"
"""Kinds of a run, and of the record it leaves."""

NONE, POSITION, BOTH = "none", "position", "both"
"""How targets are centred: see :func:`tdd.losses.centre`."""

BATCH, RUNNING = "batch", "running"
"""What the batch norm of the frozen teacher normalises by."""

IN_BATCH, BY_DRAWS = "batch", "draws"
"""How close together a fake and the real video that it was made from are shown."""

NEW, FROM_STAGE1 = "new", "stage1"
"""How the auxiliary projector begins."""

BASE = "base"
"""In a recipe's YAML: the recipe that it differs from, where that is not the paper's."""

TIMESTAMPS = "timestamps"
RELABELLED = "relabelled"
TENSORBOARD, WANDB = "tensorboard", "wandb"


def setting(
    default: Any,
    origin: str,
    meaning: str,
    least: float | None = None,
    most: float = math.inf,
    words: tuple[str, ...] = (),
) -> Any:
    """A field of a recipe: its default, where that comes from, and what it means, with its unit.

    A number is never below ``least`` nor above ``most``, and a word is one of ``words``. Every number and every word
    says so; a switch does not, nor does a list of names that the data has.
    """
    said = {"origin": origin, "meaning": meaning, "words": words} | ({} if least is None else {"range": (least, most)})
    return field(default_factory=lambda: copy.copy(default), metadata=said)


@dataclass(frozen=True)
class ClipConfig:
    """Geometry of a clip, from the aligned face to the network's input."""

    frames: int = setting(25, PAPER, "Frames in a clip, at 25 fps.", least=1)
    canvas: int = setting(256, REALFORENSICS, "Side of the square, px, in which the mean face lies.", least=1)
    crop: int = setting(150, REALFORENSICS, "Side of the stored face crop, px, cut from the canvas.", least=1)
    view_crop: int = setting(
        140, REALFORENSICS,
        "Side of the crop that a view takes from the stored one, px: random in training, central otherwise.",
        least=1,
    )  # fmt: skip
    input_size: int = setting(112, REALFORENSICS, "Side of the frames that the networks see, px.", least=1)
    frame_rate: str = setting(
        TIMESTAMPS,
        OURS,
        "How a video of another rate becomes 25 fps: timestamps (the nearest frame in time) or relabelled (every frame "
        "counts as 1/25 s, as RealForensics does it).",
        words=(TIMESTAMPS, RELABELLED),
    )


@dataclass(frozen=True)
class NoiseConfig:
    """What a view may add: the flip is for all training views, the rest for students only."""

    flip: float = setting(0.5, REALFORENSICS, "Probability of a horizontal flip.", least=0, most=1)
    grayscale: float = setting(0.5, REALFORENSICS, "Probability that a clip loses its colour.", least=0, most=1)
    erase: float = setting(
        0.5, REALFORENSICS, "Probability that one rectangle is erased in all frames.", least=0, most=1
    )
    erase_area_min: float = setting(0.02, REALFORENSICS, "Smallest erased share of the frame.", least=0, most=1)
    erase_area_max: float = setting(0.33, REALFORENSICS, "Largest erased share of the frame.", least=0, most=1)
    time_mask_frames: int = setting(
        11, REALFORENSICS, "Longest run of frames set to zero (four times as many in the log-mel).", least=0
    )
    time_mask_stage2: float = setting(
        0.5, REALFORENSICS, "Probability of the time mask in stage 2; stage 1 always draws one.", least=0, most=1
    )
    mel_mask_bins: int = setting(26, REALFORENSICS, "Longest run of mel bins set to zero.", least=0)


@dataclass(frozen=True)
class ModelConfig:
    """Arguments of the networks; empty means their published size."""

    backbones: dict[str, dict[str, Any]] = setting(
        {}, PAPER, "Keyword arguments by backbone name, for example {cnn_lstm: {hidden: 64}}; empty: published size."
    )
    audio: dict[str, Any] = setting({}, REALFORENSICS, "Keyword arguments of the audio ResNet; empty: published size.")
    predictor: dict[str, Any] = setting({}, REALFORENSICS, "Keyword arguments of the predictor; empty: published size.")
    projection: int = setting(256, PAPER, "Channels of projections and predictions.", least=1)


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamP (Heo et al., ICLR 2021, arXiv 2006.08217) and its schedule."""

    learning_rate: float = setting(7e-4, REALFORENSICS, "Base rate at batch 256; scaled by sqrt(batch / 256).", least=0)
    weight_decay: float = setting(1e-2, REALFORENSICS, "Decoupled weight decay.", least=0)


@dataclass(frozen=True)
class Stage1Config:
    """Cross-modal pretraining on real talking faces."""

    batch_size: int = setting(256, REALFORENSICS, "Clips per optimiser step.", least=1)
    epochs: int = setting(150, REALFORENSICS, "Passes over the clips.", least=1)
    warmup_epochs: int = setting(20, REALFORENSICS, "Linear warm-up, then cosine to zero.", least=0)
    datasets: tuple[str, ...] = setting(
        (LRW,), PAPER,
        "Data sets whose real videos with sound are heard, in stage 2 too; all but LRW are cut into pieces of 29 "
        "frames where somebody speaks.",
    )  # fmt: skip
    clips: int = setting(
        5_000, PAPER,
        "Training clips: as many of each word, by name, as make up this number; 0 takes all.",
        least=0,
    )  # fmt: skip
    audio: bool = setting(
        True, PAPER,
        "Students predict the other modality's teacher; false: the video student predicts the video teacher, which "
        "sees another view of the clip, and no sound is used.",
    )  # fmt: skip
    ema_base: float = setting(
        0.999, REALFORENSICS,
        "EMA momentum m is 1 - (1 - ema_base) x batch_size / ema_batch, fixed.",
        least=0, most=1,
    )  # fmt: skip
    ema_batch: int = setting(96, REALFORENSICS, "The batch size at which ``ema_base`` holds.", least=1)
    centre_targets: str = setting(
        NONE, OURS,
        "What is taken out of the targets in training: none, position (their mean over clips at each frame) or both "
        "(that, and each clip's own mean over time). The means are over the clips of one forward pass.",
        words=(NONE, POSITION, BOTH),
    )  # fmt: skip
    validation_clips: int = setting(
        1_000, OURS,
        "Validation clips that are looked at after an epoch, at most, spread over the words; 0 takes all.",
        least=0,
    )  # fmt: skip
    micro_batches: int = setting(
        1,
        OURS,
        "Parts of a batch that pass one after the other, gradients added up; batch norm and centre_targets see one "
        "part at a time.",
        least=1,
    )
    optimiser: OptimiserConfig = OptimiserConfig()

    @property
    def momentum(self) -> float:
        """EMA momentum of the teachers."""
        return 1 - (1 - self.ema_base) * self.batch_size / self.ema_batch


@dataclass(frozen=True)
class Stage2Config:
    """Forgery detection with the auxiliary prediction of the stage-1 teacher."""

    batch_size: int = setting(32, REALFORENSICS, "Labelled clips per optimiser step.", least=1)
    real_per_labelled: float = setting(
        8.0, REALFORENSICS,
        "Clips of stage-1 data, labelled real, that join each labelled clip.",
        least=0,
    )  # fmt: skip
    real_repeats: int = setting(
        1, OURS,
        "Clips of each labelled real video an epoch, beside one of each fake; 4 balance four methods.",
        least=1,
    )  # fmt: skip
    pairs: str = setting(
        NONE, OURS,
        "Whether each fake comes with the real video that it was made from: none, batch (both in one batch, each drawn "
        "for itself) or draws (and both shown alike: same frames, crop, flip and noise).",
        words=(NONE, IN_BATCH, BY_DRAWS),
    )  # fmt: skip
    projector: str = setting(
        NEW, REALFORENSICS,
        "How the auxiliary projector begins: new (drawn) or stage1 (the stage-1 student's); the predictor is new.",
        words=(NEW, FROM_STAGE1),
    )  # fmt: skip
    teacher_statistics: str = setting(
        BATCH, REALFORENSICS,
        "What the frozen teacher's batch norm normalises by: batch (the real clips that pass together) or running "
        "(the averages that stage 1 left).",
        words=(BATCH, RUNNING),
    )  # fmt: skip
    centre_targets: str = setting(
        NONE, OURS,
        "What is taken out of the auxiliary targets, as in stage 1; the teacher is frozen, so its mean at each frame "
        "is computed once, over training reals.",
        words=(NONE, POSITION, BOTH),
    )  # fmt: skip
    validation_videos: int = setting(
        350, OURS,
        "Validation videos whose middle clip is scored after each epoch, at most, spread over reals "
        "and seen methods; nothing but patience reads it. 0: none.",
        least=0,
    )  # fmt: skip
    patience: int = setting(
        0, OURS,
        "Training ends before ``epochs`` once so many, one after the other, brought no higher AUC on the validation "
        "videos, counted from where training BCE has left its plateau. 0: never.",
        least=0,
    )  # fmt: skip
    labelled_share: float = setting(
        1.0, OURS,
        "Share of the people of the training videos whose videos are labelled; each is then shown so often that an "
        "epoch is as long as with all.",
        least=0, most=1,
    )  # fmt: skip
    epochs: int = setting(150, REALFORENSICS, "Passes over the labelled videos, one random clip of each.", least=1)
    warmup_epochs: int = setting(5, REALFORENSICS, "Linear warm-up, then constant.", least=0)
    methods: tuple[str, ...] = setting(
        SEEN_METHODS, PAPER,
        "Forgery methods seen in training, by their names in the catalog; the reals of their data sets come with them.",
    )  # fmt: skip
    micro_batches: int = setting(
        1,
        OURS,
        "As in stage 1; each part holds the same share of stage-1 clips, so the logit shift stays that of the batch.",
        least=1,
    )
    optimiser: OptimiserConfig = OptimiserConfig()

    @property
    def joined(self) -> int:
        """Stage-1 clips that join the labelled ones of a batch."""
        return round(self.batch_size * self.real_per_labelled)


@dataclass(frozen=True)
class EvaluationConfig:
    """Which clips of a test video are scored."""

    faceforensics_frames: int = setting(
        110, REALFORENSICS,
        "Frames of a FaceForensics++ video that are used, from its start; other data sets are used whole.",
        least=1,
    )  # fmt: skip
    batch_size: int = setting(32, OURS, "Clips per forward pass; has no effect on the scores.", least=1)


@dataclass(frozen=True)
class FindingsConfig:
    """Where the code released with the paper departs from its text: one switch a finding, all off in ``paper``.

    The numbers A1 to A7 are those of the audit of that code. What was run for the published table is not known.
    """

    channels_as_time: bool = setting(
        False,
        PAPER,
        "A1: GRU and LSTM read maps reshaped without moving time forward; a step holds channels of all frames.",
    )
    repel_teacher: bool = setting(
        False,
        PAPER,
        "A2: stage 2 adds ssl_weight x (+cosine), which pushes the prediction away from the teacher's target.",
    )
    random_teacher: bool = setting(
        False, PAPER, "A3: the teacher of stage 2 keeps its random initial weights, for nothing is loaded into it."
    )
    no_stage1_clips: bool = setting(
        False, PAPER, "A4: no stage-1 clips in stage 2, and a logit shift as if 83 had joined each labelled clip."
    )
    full_lrw_schedule: bool = setting(
        False, PAPER, "A5: the stage-1 schedule is as long as for LRW's 488,763 clips, however many there are."
    )
    drop_last_clips: bool = setting(
        False,
        PAPER,
        "A6: in evaluation, the last partial batch of each method's clips, in random order, is not scored.",
    )
    short_celeb_list: bool = setting(
        False, PAPER, "A7: two reals of the Celeb-DF-v2 test list are left out, as in RealForensics' own list."
    )


STAGE1_FINDINGS = ("channels_as_time", "full_lrw_schedule")
EVALUATION_FINDINGS = ("drop_last_clips", "short_celeb_list")
"""The findings that stage 1 depends on, and those that change nothing but which clips are scored."""


@dataclass(frozen=True)
class MachineConfig:
    """Where and how fast, never what: no field here may change a result beyond rounding, and precision alone that."""

    accelerator: str = setting(
        "auto", OURS,
        "Where networks compute: ``auto`` (on a CUDA GPU where there is one, else on the CPU), ``cpu``, or ``gpu`` "
        "(``cuda`` is the same), which is refused where there is none.",
        words=("auto", "cpu", "gpu", "cuda"),
    )  # fmt: skip
    precision: str = setting(
        "32-true", OURS,
        "Lightning precision: ``32-true``, ``bf16-mixed``, on a GPU ``16-mixed``, or ``64-true``.",
        words=("32-true", "bf16-mixed", "16-mixed", "64-true"),
    )  # fmt: skip
    devices: int = setting(
        1, OURS,
        "GPUs of a run, or processes where it computes on a CPU, each with an equal share of every batch; they take "
        "one step together. Not read where torchrun or srun begins the processes.",
        least=1,
    )  # fmt: skip
    workers: int = setting(4, OURS, "Loader processes per device; 0 loads in the training process.", least=0)
    threads: int = setting(0, OURS, "Torch threads per device; 0 leaves torch's own choice.", least=0)
    checkpoint_epochs: int = setting(1, OURS, "Epochs between resume points.", least=1)
    loggers: tuple[str, ...] = setting(
        (), OURS,
        "What is told of each epoch beside the run's history.csv: ``tensorboard``, ``wandb`` (Weights & Biases), "
        "extras of the package with the same names.",
        words=(TENSORBOARD, WANDB),
    )  # fmt: skip


_MACHINE = tuple(f"machine.{f.name}" for f in fields(MachineConfig) if f.name != "precision")

_NOT_READ = {
    STAGE1: (
        "name", *_MACHINE, "stage2", "evaluation", "noise.time_mask_stage2",
        *(f"findings.{f.name}" for f in fields(FindingsConfig) if f.name not in STAGE1_FINDINGS),
    ),
    STAGE2: ("name", *_MACHINE),
    EVALUATION: ("name", *_MACHINE),
    TRIVIAL: ("name", "machine", "model", "noise", "stage1"),
}  # fmt: skip
"""Sections and settings, by dotted path, that the result of each kind of run does not depend on."""


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
    findings: FindingsConfig = FindingsConfig()
    machine: MachineConfig = MachineConfig()

    def __post_init__(self) -> None:
        """Reject conflicts where they are stated, not hours later."""
        for rules in (_precision_rules, _values, _clip_rules, _stage_rules, _pair_rules, _ending_rules, _device_rules):
            for holds, rule in rules(self):
                if not holds:
                    raise TddError(f"Recipe '{self.name}': {rule}; correct the recipe.")

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as plain values, as saved in run records."""
        return dataclasses.asdict(self)

    def read_by(self, kind: str, backbone: str) -> dict[str, Any]:
        """The settings that the result of a run depends on: where two runs agree in them, one can stand for the other.

        The one answer to which rows share a stage 1, which finished runs are of other settings, and whose resume point
        a run may take up.

        Args:
            kind: of the run: ``STAGE1``, ``STAGE2``, ``EVALUATION`` or ``TRIVIAL``.
            backbone: its network; the sizes of the others do not count.

        Returns:
            nested plain values, as :meth:`to_dict` gives them, without what such a run never reads.
        """
        values = self.to_dict()
        for path in _NOT_READ[kind]:
            *sections, name = path.split(".")
            place = values
            for section in sections:
                place = place[section]
            del place[name]
        if "model" in values:
            networks = values["model"]["backbones"]
            values["model"]["backbones"] = {name: sizes for name, sizes in networks.items() if name == backbone}
        return values


Rules = Iterator[tuple[bool, str]]
"""What must hold, and the sentence where it does not. Later ones may rest on earlier ones."""


def _precision_rules(recipe: Recipe) -> Rules:
    precision = recipe.machine.precision
    why = "in which the teachers' small moves are lost; bf16-mixed and 16-mixed keep weights in single precision"
    yield precision not in ("bf16-true", "16-true"), f"machine.precision is '{precision}', {why}"


def _values(section: Any, where: str = "") -> Rules:
    """Every number within its range, none infinite or no number; every word one that the setting knows."""
    for known in fields(section):
        value, path = getattr(section, known.name), f"{where}{known.name}"
        if dataclasses.is_dataclass(value):
            yield from _values(value, f"{path}.")
        elif "range" in known.metadata:
            least, most = known.metadata["range"]
            reach = f"is {least:g} or more" if math.isinf(most) else f"lies from {least:g} to {most:g}"
            yield math.isfinite(value) and least <= value <= most, f"{path} {reach}, not {value:g}"
        elif words := known.metadata.get("words"):
            for word in [value] if isinstance(value, str) else value:
                yield word in words, f"{path} is {' or '.join(words)}, not {word!r}"


def _clip_rules(recipe: Recipe) -> Rules:
    clip, noise = recipe.clip, recipe.noise
    yield clip.view_crop <= clip.crop <= clip.canvas, "clip: view_crop <= crop <= canvas must hold"
    yield noise.time_mask_frames < clip.frames, "noise.time_mask_frames must be below clip.frames"
    yield noise.erase_area_min <= noise.erase_area_max, "noise.erase_area_min exceeds erase_area_max"


def _stage_rules(recipe: Recipe) -> Rules:
    momentum = recipe.stage1.momentum
    yield 0 <= momentum < 1, f"stage1 gives EMA momentum {momentum:.4g}, outside [0, 1)"
    for name, stage in (("stage1", recipe.stage1), ("stage2", recipe.stage2)):
        parts = stage.micro_batches
        yield stage.warmup_epochs < stage.epochs, f"{name}.warmup_epochs must be below {name}.epochs"
        yield stage.batch_size % parts == 0, f"{name}.micro_batches must divide batch_size"
        yield stage.batch_size // parts > 1, f"{name}: batch norm needs 2 clips or more in a batch"


def _pair_rules(recipe: Recipe) -> Rules:
    stage2, parts = recipe.stage2, recipe.stage2.micro_batches
    if stage2.pairs == NONE:
        return
    yield (
        stage2.batch_size // parts % 2 == 0,
        "stage2.pairs wants an even number of clips in a batch and in each of its micro_batches",
    )
    yield stage2.real_repeats == 1, "stage2.pairs brings a real with each fake; real_repeats is 1 then"
    yield (
        (stage2.batch_size / 2 + stage2.joined) // parts > 1,
        "stage2.pairs leaves one real clip in each of the micro_batches, and the auxiliary task takes two",
    )


def _ending_rules(recipe: Recipe) -> Rules:
    stage2, share = recipe.stage2, recipe.stage2.labelled_share
    yield share > 0, "stage2.labelled_share is above 0 and up to 1"
    yield (
        abs(1 / share - round(1 / share)) <= 1e-6,
        f"stage2.labelled_share is 1 divided by a whole number, as 0.5 or 0.1, not {share:g}, so that an epoch can be "
        "as long as with all",
    )
    yield not stage2.patience or stage2.validation_videos > 0, "stage2.patience wants validation_videos to go by"


def _device_rules(recipe: Recipe) -> Rules:
    stage1, stage2, devices = recipe.stage1, recipe.stage2, recipe.machine.devices
    for name, clips, parts in (
        ("stage1.batch_size", stage1.batch_size, stage1.micro_batches),
        ("stage2.batch_size", stage2.batch_size, stage2.micro_batches),
        ("stage2.batch_size x real_per_labelled", stage2.joined, stage2.micro_batches),
    ):
        yield (
            clips // parts % devices == 0,
            f"{devices} devices cannot share {name} equally: {clips} clips in {parts} part(s)",
        )
    yield stage2.joined % stage2.micro_batches == 0, "stage2.micro_batches must divide the stage-1 clips of a batch"


def choices(path: str) -> tuple[str, ...]:
    """What a setting that is a word may be; ``path`` is dotted, as ``stage1.centre_targets``."""
    section, name = path.split(".")
    return tuple(next(known.metadata["words"] for known in fields(getattr(Recipe(), section)) if known.name == name))


def override(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with some settings changed, each named by its dotted path: ``{"stage1.clips": 500}``.

    Raises:
        TddError: no such setting, a value of the wrong type, or values in conflict.
    """
    values = recipe.to_dict()
    for path, value in changes.items():
        *sections, name = path.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise TddError(f"There is no setting '{path}': '{section}' is a value; correct the path.")
        place[name] = value
    return recipe_from_dict(values)


def scaled_rate(optimiser: OptimiserConfig, batch_size: int) -> float:
    """Learning rate at ``batch_size`` clips a step: base x sqrt(batch / 256), as RealForensics scales it."""
    return optimiser.learning_rate * math.sqrt(batch_size / 256)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("tdd") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Load a recipe by its name or from a YAML file.

    Args:
        name_or_path: of the recipe.
        settings: changes to it, each ``path=value`` as ``stage1.clips=500``. A recipe with another setting than the
            machine's gets them into its name, for its results are not the recipe's.

    Raises:
        TddError: no such recipe, unreadable YAML, an unknown key, a value of the wrong type, or values in conflict.
    """
    recipe = _load(name_or_path)
    changes = dict(_read_setting(setting) for setting in settings)
    if not changes:
        return recipe
    changed = override(recipe, changes)
    method = [f"{path}={value}" for path, value in changes.items() if not path.startswith("machine.")]
    return dataclasses.replace(changed, name=", ".join([changed.name, *method]))


def _read_setting(text: str) -> tuple[str, Any]:
    path, found, value = (part.strip() for part in text.partition("="))
    if not (path and found and value):
        raise TddError(f"'{text}' sets nothing; write a setting and its value, as machine.workers=8.")
    with contextlib.suppress(ValueError):
        return path, float(value) if not value.lstrip("+-").isdigit() else int(value)  # YAML takes 8e-3 for text
    try:
        return path, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise TddError(f"The value of '{text}' is not valid YAML: {' '.join(str(error).split())}.") from error


def _load(name_or_path: str | Path, above: tuple[str, ...] = ()) -> Recipe:
    """A recipe, and before it the one that it differs from; ``above`` are those that differ from it."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise TddError(f"There is no recipe file {path}; name a file or one of: {', '.join(recipe_names())}.")
        try:
            text, name = path.read_bytes(), path.stem
        except OSError as error:
            raise TddError(f"Recipe file {path} cannot be read ({error.strerror}); make it readable.") from error
    elif str(name_or_path) in recipe_names():
        name = str(name_or_path)
        text = (resources.files("tdd") / "recipes" / f"{name}.yaml").read_bytes()
    else:
        raise TddError(f"Unknown recipe '{name_or_path}'; known recipes: {', '.join(recipe_names())}.")
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise TddError(f"Recipe '{name}' is not valid YAML: {' '.join(str(error).split())}.") from error
    base = values.pop(BASE, None) if isinstance(values, dict) else None
    if base is None:
        return recipe_from_dict({"name": name} | values)
    chain = (*above, str(name_or_path))
    if str(base) in chain:
        raise TddError(f"Recipe '{name}' is its own base ({' -> '.join((*chain, str(base)))}); name another.")
    return recipe_from_dict(_merged(_load(str(base), chain).to_dict(), {"name": name} | values))


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Nested ``values`` with the ``changes``, which win."""
    both = {key: (values[key], change) for key, change in changes.items() if key in values}
    sections = {key: pair for key, pair in both.items() if all(isinstance(part, dict) for part in pair)}
    return values | changes | {key: _merged(old, new) for key, (old, new) in sections.items()}


def recipe_from_dict(values: Any) -> Recipe:
    """Build a recipe from nested plain values, refusing keys that no field has.

    Raises:
        TddError: an unknown key, a value of the wrong type, or values in conflict.
    """
    return _build(Recipe, values, "recipe")


def _build(cls: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise TddError(f"{where} must be a mapping of settings, not {values!r}.")
    known = {f.name: f for f in fields(cls)}
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


_IS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list", dict: "a mapping"}


def _cast(default: Any, value: Any, where: str) -> Any:
    """Accept ``value`` only when it has the kind of ``default`` (an int may stand for a float, a list for a tuple)."""
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        kinds = {type(item) for item in default}
        if kinds and not {type(item) for item in value} <= kinds:
            raise TddError(f"{where} must hold {' and '.join(sorted(map(_IS.__getitem__, kinds)))}, not {value!r}.")
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise TddError(f"{where} must be {_IS[type(default)]}, not {value!r}.")
    return value
