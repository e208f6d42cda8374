"""Can the scores of a detector on new data mean anything? What the scores themselves say, and what their crops say.

Each question is a check with its number and its limit; none changes a figure. Limits of the crops are in
:mod:`tdd.evaluation.likeness`; those of the scores:

- One sign: of the reals and of the fakes of a data set, weighed equally, less than 95% have to be on one side of the
  threshold. Beyond that at least nine in ten of either class are called the same, and the two rates of a decision
  differ by a tenth at most: at its threshold the detector is within 5 points of a guess.
- Reversed: the interval of the AUC of a whole data set has to reach up to 0.5.
- Sets apart: the reals of two data sets may differ in mean logit by as much as fakes and reals do (mean over data
  sets), or by what chance makes of two groups of so many videos once in 1,000 times (3.3 standard errors). Beyond, the
  score says more about where a video comes from than about whether it is forged, and no threshold serves both.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tdd.data.store import ClipStore
from tdd.evaluation.likeness import crop_checks, look_at, mean_face_check, restored
from tdd.evaluation.selection import real_class
from tdd.metrics import UNCALIBRATED
from tdd.metrics.kept_calibration import known_calibration
from tdd.names import FAKE_SOUND_ALONE
from tdd.records.record import Check
from tdd.weights.checkpoints import Weights

CROPS_PICTURE = "crops.png"
"""What is drawn beside the scores: the crops of every data set under those of training."""

LEAST_VIDEOS = 10
"""Of each class, for a check of scores."""
ONE_SIGN = 0.95
CHANCE = 3.3
"""Standard errors that a difference of two means passes by chance once in 1,000 times."""

UNKNOWN = (
    "What the crops of training looked like is not known (an older version made these weights, or they were imported), "
    f"so that nothing says whether these crops are like them: compare {CROPS_PICTURE} with pictures of the training "
    "data by eye, or stores with tdd inspect STORE --against STORE."
)


def sanity_checks(
    weights: Weights, store: ClipStore, videos: pd.DataFrame, datasets: Mapping[str, Any], where: str
) -> list[dict[str, Any]]:
    """All checks of an evaluation, as a record keeps them.

    Args:
        weights: of the detector; its ``info`` keeps the crops of training where they are known.
        store: holds the crops.
        videos: scores, as :func:`tdd.metrics.video_scores` gives them.
        datasets: metrics by data set, with ``auc``, ``low`` and ``high``.
        where: what holds the weights, for a sentence.

    Raises:
        TddError: what the weights keep of their crops is damaged.
    """
    scale = known_calibration(weights.info.get("calibration")) or UNCALIBRATED
    threshold = 0.0 - scale.bias * scale.temperature  # where the chance of a fake is 0.5
    checks = [*sign_checks(videos, threshold), *_reversed(datasets), *apart_checks(videos)]
    checks += mean_face_check(weights.mean_face, store)
    crops = weights.info.get("crops")
    if crops:
        known = restored(crops, where)
        index = store.index[store.index["video_id"].isin(videos.index)]
        for dataset, rows in index.groupby("dataset"):
            checks += crop_checks(known, look_at(store, rows), str(dataset), CROPS_PICTURE)
    return [check.to_dict() for check in checks]


def seen_fakes(videos: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The fakes of a data set whose picture is forged."""
    own = videos[(videos["dataset"] == dataset) & (videos["label"] == 1)]
    return own[~own["method"].str.startswith(FAKE_SOUND_ALONE)]


def sign_checks(videos: pd.DataFrame, threshold: float = 0.0) -> list[Check]:
    """Whether nearly all videos of a data set lie on one side of a threshold; for data sets with enough of each class.

    Args:
        videos: with ``dataset``, ``method``, ``label`` and ``logit``.
        threshold: logit from which a video is called fake.
    """
    checks = []
    for dataset in sorted(set(videos["dataset"])):
        classes = [real_class(videos, dataset)["logit"], seen_fakes(videos, dataset)["logit"]]
        if min(map(len, classes)) < LEAST_VIDEOS:
            continue
        shares = [float((logits >= threshold).mean()) for logits in classes]
        above = sum(shares) / 2
        share = max(above, 1 - above)
        called, reals, fakes = ("fake", *shares) if above >= 0.5 else ("real", *(1 - part for part in shares))
        checks.append(
            Check(
                f"one sign, {dataset}", share, ONE_SIGN,
                f"{reals:.0%} of the {len(classes[0])} reals and {fakes:.0%} of the {len(classes[1])} fakes of "
                f"{dataset} are called {called} (logit {'above' if called == 'fake' else 'below'} {threshold:.2g}), in "
                f"the mean {share:.1%}, and {ONE_SIGN:.0%} is what a detector near a guess gives: most often the crops "
                f"are not those it was trained on; see {CROPS_PICTURE}",
                "<=",
            )
        )  # fmt: skip
    return checks


def _reversed(datasets: Mapping[str, Any]) -> list[Check]:
    return [
        Check(
            f"order, {dataset}", values["high"], 0.5,
            f"the AUC of {dataset} is {100 * values['auc']:.1f}% [{100 * values['low']:.1f}, "
            f"{100 * values['high']:.1f}], and the interval has to reach 50: below, reals look more forged than fakes, "
            f"so that labels are swapped or the crops are not those of training; see {CROPS_PICTURE}",
        )
        for dataset, values in datasets.items()
        if min(values["reals"], values["fakes"]) >= LEAST_VIDEOS
    ]  # fmt: skip


def apart_checks(videos: pd.DataFrame) -> list[Check]:
    """Whether the reals of two data sets differ more than the classes do: the pair that differs most.

    Args:
        videos: with ``dataset``, ``method``, ``label`` and ``logit``.
    """
    reals = {
        str(dataset): group["logit"]
        for dataset, group in videos[videos["label"] == 0].groupby("dataset")
        if len(group) >= LEAST_VIDEOS
    }
    gaps = [
        seen_fakes(videos, dataset)["logit"].mean() - logits.mean()
        for dataset, logits in reals.items()
        if len(seen_fakes(videos, dataset)) >= LEAST_VIDEOS
    ]
    if len(reals) < 2 or not gaps:
        return []
    gap = max(0.0, float(np.mean(gaps)))
    low, high = max(itertools.permutations(reals, 2), key=lambda two: reals[two[1]].mean() - reals[two[0]].mean())
    apart = float(reals[high].mean() - reals[low].mean())
    error = float(np.sqrt(sum(reals[name].var() / len(reals[name]) for name in (low, high))))
    return [
        Check(
            "real sets apart", apart, max(gap, CHANCE * error),
            f"reals of {high} score {apart:.2f} above reals of {low} (mean logit), and fakes {gap:.2f} above reals of "
            f"their own data set; chance makes up to {CHANCE * error:.2f}. A threshold found on one of them is wrong "
            f"on the other, and their videos may not be ranked together; see {CROPS_PICTURE}",
            "<=",
        )
    ]  # fmt: skip


def sanity_lines(record: Mapping[str, Any]) -> list[str]:
    """What an evaluation says of its sanity."""
    return [*checks_text(record.get("checks") or []), *([] if record.get("crops") else [UNKNOWN])]


def checks_text(checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Failed checks with their sentence, and how many passed."""
    failed = [check for check in checks if check["passed"] is False]
    said = [f"CHECK FAILED, {check['name']}: {check['sentence']}." for check in failed]
    if not checks:
        return ["Sanity: nothing could be checked; each side takes 10 videos or more."]
    names = dict.fromkeys(check["name"].split(",")[0] for check in checks if check["passed"])
    passed = f": {', '.join(names)}" if names else ""
    return [*said, f"Sanity: {len(checks) - len(failed)} of {len(checks)} checks passed{passed}."]
