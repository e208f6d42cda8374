"""Names of data sets, methods and splits: the words that tie catalog, clip store, recipes, scores and tables together.

A data set's name is also its folder below the data root. A method's name is unique over all data sets.
"""

from __future__ import annotations

from collections.abc import Iterable

LRW = "LRW"
FACEFORENSICS = "FaceForensics++"
CELEB_DF = "Celeb-DF-v2"
DEEPERFORENSICS = "DeeperForensics-1.0"
DFDC = "DFDC"
FAKEAVCELEB = "FakeAVCeleb"
CELEB_DF_PP = "Celeb-DF++"
DF40 = "DF40"
DF40_FF, DF40_CDF = f"{DF40}-ff", f"{DF40}-cdf"
"""The two halves of DF40 as data sets of their own: forged from FaceForensics++, and from Celeb-DF-v2."""
LAVDF = "LAV-DF"
AVDEEPFAKE1M = "AV-Deepfake1M"

REALS_OF = {DEEPERFORENSICS: FACEFORENSICS, DF40_FF: FACEFORENSICS, DF40_CDF: CELEB_DF}
"""Data sets without reals of their own, and the data set that they were made from: its reals are their real class."""

FACEFORENSICS_FAMILY = (FACEFORENSICS, *(name for name, source in REALS_OF.items() if source == FACEFORENSICS))
"""Data sets that share the FaceForensics++ originals as their real class, and the rule of which frames are scored."""

REAL = "real"
"""In place of a method, for a video that is not forged."""

SEEN_COLUMN = "seen"
"""Of tables: all methods that a detector was trained on, together. No method has this name."""

SEEN_METHODS = ("Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures")
"""Methods of FaceForensics++ that stage 2 trains on."""

FACESHIFTER = "FaceShifter"
FACEFORENSICS_METHODS = (*SEEN_METHODS, FACESHIFTER)
CELEB_DF_METHOD = "Celeb-DF"
DEEPERFORENSICS_METHOD = "DeeperForensics"
DFDC_METHOD = "DFDC"
FAKE_SOUND_ALONE = (f"{FAKEAVCELEB}-RVFA-", f"{LAVDF}-audio", f"{AVDEEPFAKE1M}-audio")
"""How methods begin whose picture is real and whose sound is not: no detector can see them."""

LEADING_SILENCE = (FAKEAVCELEB, AVDEEPFAKE1M)
"""Data sets whose fakes begin with a short silence that their reals lack: whatever listens can tell them by that alone
(Smeu, Boldisor, Oneata and Oneata, CVPR 2025, arXiv 2412.00175)."""

SYNTHETIC_METHODS = (*FACEFORENSICS_METHODS, CELEB_DF_METHOD)
"""Methods that the synthetic benchmark has stand-ins for."""

LIP_RETIMING = "LipRetiming"
"""A forgery of the synthetic benchmark alone: the lips move at another speed, and nothing else differs from a real."""

IDENTITIES = "identities"
"""Column of catalogs and of scores: who is seen, then whose face or motion was put in; empty where unknown."""

MADE_FROM = "made_from"
"""Column of catalogs, clip stores and scores: ``video_id`` of the real that a fake was made from; empty where only the
identities tell, or nothing does."""

SEGMENTS = "segments"
"""Column of catalogs and clip stores: the forged parts of a video as text (:mod:`tdd.data.segments`); empty where there
are none or they are unknown."""

SPLITS = ("train", "val", "test")


def silence_warning(datasets: Iterable[str]) -> str:
    """What must be said beside any score of these data sets that listens; they are of ``LEADING_SILENCE``."""
    return (
        f"Fakes of {' and '.join(datasets)} begin with a short silence that their reals lack (arXiv 2412.00175): a "
        "score that listens must be of sound without its beginning. Detectors of this package do not listen."
    )
