"""The collapse watch of stage 1: does the representation still spread out, and do the two modalities find each
other?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from tdd.config import BOTH
from tdd.losses import centre
from tdd.machine.ranks import in_turn

History = Sequence[Mapping[str, float]]
"""One dictionary an epoch: its number, and what was measured."""

GROUP = 32
"""Clips among which a clip is to be found, where there are as many; for chance see :func:`retrieval_chance`."""

SPREAD_FLOOR = 0.3
"""Spread of the targets at and below which two clips' targets point almost the same way: the mean cosine between
random ones is 1 - spread^2 when channels vary alike, so above 0.9 here. Healthy runs pass it in their first epochs."""

WELL_ABOVE = 0.2
"""Lead of an accuracy over chance from which a fall counts: half of it is two standard errors of 0.5 on 100 clips."""

KEPT = 0.5
"""Share of its best lead over chance that an accuracy must keep."""


COUNTING = 0.6
"""Share of the targets' variance that position explains from which a clip retrieval near chance means that the two
modalities have agreed to count frames. Runs of the demo that find clips stay below it."""


class CollapseWatch:
    """Gathers what stage 1 makes of the validation clips, and says after each epoch what that means."""

    def __init__(self, words: int, clips: int = GROUP) -> None:
        """Watch a stage 1 whose prober tells ``words`` words apart, by ``clips`` validation clips."""
        self.words, self.clips = words, clips
        self._parts: list[dict[str, Tensor]] = []

    def update(self, prediction: Tensor, target: Tensor, video_target: Tensor, named: Tensor, word: Tensor) -> None:
        """Add a batch of validation clips; they leave the device, and half precision, as they come.

        Args:
            prediction: of the video student, shape (B, C, T).
            target: what it is to predict, shape (B, C, T).
            video_target: projections of the video teacher, shape (B, C, T).
            named: the word that the prober names, shape (B,).
            word: the word that is said, shape (B,); below 0 where no training clip says it.
        """
        batch = {"prediction": prediction, "target": target, "video_target": video_target}
        batch |= {"correct": named == word, "known": word >= 0}
        self._parts.append({name: values.detach().float().cpu() for name, values in batch.items()})

    def compute(self) -> dict[str, float]:
        """Metrics of all clips since the last call, of all devices; none where there were none."""
        parts = in_turn(self._parts)
        self._parts = []
        if not parts:
            return {}
        whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        prediction, target, known = whole["prediction"], whole["target"], whole["known"].bool()
        found = {
            "target_std": feature_spread(whole["video_target"]),
            "retrieval": clip_retrieval(prediction, target),
            "retrieval_centred": clip_retrieval(centre(prediction, BOTH), centre(target, BOTH)),
            "frame_retrieval": frame_retrieval(prediction, target),
        } | variance_split(target)
        return found | ({"prober": float(whole["correct"][known].mean())} if known.any() else {})

    def warnings(self, history: History) -> list[str]:
        """All that :func:`collapse_warnings` has to say of ``history``."""
        return collapse_warnings(history, self.words, self.clips)

    def new_warnings(self, history: History) -> list[str]:
        """What its last epoch is the first to show."""
        return self.warnings(history)[len(self.warnings(history[:-1])) :]


def feature_spread(features: Tensor) -> float:
    """Standard deviation over clips and frames of length-normalised features, times sqrt(C): 1 spread out, 0 collapsed.

    The measure of SimSiam (Chen and He, CVPR 2021, arXiv 2011.10566, section 4.1).

    Args:
        features: shape (B, C, T).
    """
    flat = F.normalize(features.transpose(1, 2).flatten(0, 1), dim=1)  # (B T, C)
    return float(flat.std(0).mean() * flat.shape[1] ** 0.5)


def clip_retrieval(prediction: Tensor, target: Tensor, group: int = GROUP) -> float:
    """Share of clips whose prediction of the other modality is nearest, among ``group`` clips, to the clip's own
    target.

    Clips compare by the mean cosine over their frames. Clips beyond the last whole group join it.

    Args:
        prediction: shape (B, C, T), from one modality.
        target: shape (B, C, T), of the other, clip by clip.
        group: clips to choose among; all where there are fewer.
    """
    a, b = (F.normalize(x, dim=1).flatten(1) for x in (prediction, target))  # (B, C T): dot = sum of frame cosines
    hits = 0
    edges = [*range(0, max(1, len(a) - group + 1), group)]
    for i, start in enumerate(edges):
        end = len(a) if i == len(edges) - 1 else start + group
        chosen = slice(max(0, end - max(group, end - start)), end)
        nearest = (a[start:end] @ b[chosen].T).argmax(1)
        own = torch.arange(start, end, device=a.device) - (chosen.start or 0)
        hits += int((nearest == own).sum())
    return hits / len(a)


def retrieval_chance(clips: int, group: int = GROUP) -> float:
    """What :func:`clip_retrieval` is of ``clips`` clips by chance: each of its groups finds one."""
    return max(1, clips // group) / max(1, clips)


def frame_retrieval(prediction: Tensor, target: Tensor) -> float:
    """Share of frames whose prediction is nearest, among the frames of its own clip, to the frame's own target.

    High only when features follow time; chance is 1 / T.

    Args:
        prediction: shape (B, C, T).
        target: shape (B, C, T).
    """
    a, b = F.normalize(prediction, dim=1), F.normalize(target, dim=1)
    nearest = torch.einsum("bct,bcs->bts", a, b).argmax(2)
    return float((nearest == torch.arange(a.shape[2], device=a.device)).float().mean())


def variance_split(target: Tensor) -> dict[str, float]:
    """What the variance of length-normalised targets is made of: three shares that sum to one.

    A two-way analysis of variance over clips and positions. ``position_share``: the frame's place in the clip, the same
    in all clips. Both modalities can count frames from the edges of a clip, where convolutions are padded and recurrent
    layers begin; near 1 they have agreed on that alone: the loss is low, and clips are not told apart. ``clip_share``:
    the clip, the same at all its frames (who, which voice). ``moment_share``: what is left, clip x position: what is
    said when. Of noise, position takes about 1 / B and the clip 1 / T.

    Args:
        target: shape (B, C, T).
    """
    unit = F.normalize(target, dim=1)
    whole = unit.mean((0, 2), keepdim=True)
    total = (unit - whole).square().sum(1).mean().clamp(min=1e-12)
    position = (unit.mean(0, keepdim=True) - whole).square().sum(1).mean() / total
    clip = (unit.mean(2, keepdim=True) - whole).square().sum(1).mean() / total
    return {
        "position_share": float(position), "clip_share": float(clip), "moment_share": float(1 - position - clip),
    }  # fmt: skip


def collapse_warnings(history: History, words: int, clips: int = GROUP) -> list[str]:
    """What the collapse watch of stage 1 has to say: a sentence for each thing that fell, and one for frames counted.

    Each comes once, for the first epoch that showed it.

    The sentences about the first epochs stay the first when epochs are added. An epoch without validation is passed
    over.

    Args:
        history: one dictionary an epoch: ``epoch`` (from 0), and where known ``target_std``, ``retrieval``,
            ``position_share``, ``prober``.
        words: that the prober tells apart; 0 where there is none.
        clips: that are looked at, by which chance goes.
    """
    chance = retrieval_chance(clips)
    found = [
        _spread_warning(history),
        _fall_warning(history, "retrieval", "clip retrieval", chance),
        _counting_warning(history, chance),
        _fall_warning(history, "prober", "the word prober's accuracy", 1 / max(1, words)),
    ]
    return [sentence for _, sentence in sorted((at for at in found if at), key=lambda at: at[0])]


def _spread_warning(history: History) -> tuple[float, str] | None:
    """The epoch, and the sentence, of the first spread that is low and does not rise."""
    known = [entry for entry in history if "target_std" in entry]
    for before, entry in pairwise(known):
        spread = entry["target_std"]
        if not (spread > SPREAD_FLOOR or spread > before["target_std"]):  # so that nan warns too
            return entry["epoch"], (
                f"Stage 1 may be collapsing: after epoch {entry['epoch'] + 1:.0f} the spread of the targets is "
                f"{spread:.2f} (1 spread out, 0 collapsed) and does not rise."
            )
    return None


def _fall_warning(history: History, key: str, name: str, chance: float) -> tuple[float, str] | None:
    """The epoch, and the sentence, of the first value that has lost most of the best lead over chance."""
    best = chance
    for entry in history:
        value = entry.get(key, best)
        best = max(best, value)
        if best - chance >= WELL_ABOVE and value - chance < KEPT * (best - chance):
            return entry["epoch"], (
                f"Stage 1 may be collapsing: after epoch {entry['epoch'] + 1:.0f} {name} is {value:.0%}, down from "
                f"{best:.0%} (chance {chance:.1%})."
            )
    return None


def _counting_warning(history: History, chance: float) -> tuple[float, str] | None:
    """The epoch, and the sentence, of the first targets that say where in the clip a frame is and not which clip."""
    for entry in history:
        share, retrieval = entry.get("position_share", 0.0), entry.get("retrieval", 1.0)
        # Of a single clip, position is all there is.
        if share > COUNTING and retrieval - chance < WELL_ABOVE / 2 and chance < 1:
            return entry["epoch"], (
                f"Stage 1 may be counting frames: after epoch {entry['epoch'] + 1:.0f} the position in the clip "
                f"explains {share:.0%} of the targets' variance, and clip retrieval is {retrieval:.0%} "
                f"(chance {chance:.1%})."
            )
    return None
