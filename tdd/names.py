"""Names of data sets, methods and splits: the words that tie catalog, clip store, recipes, scores and tables together.

A data set's name is also its folder below the data root. A method's name is unique over all data sets.
"""

from __future__ import annotations

LRW = "LRW"
FACEFORENSICS = "FaceForensics++"
CELEB_DF = "Celeb-DF-v2"
DEEPERFORENSICS = "DeeperForensics-1.0"
DFDC = "DFDC"
FAKEAVCELEB = "FakeAVCeleb"

FACEFORENSICS_FAMILY = (FACEFORENSICS, DEEPERFORENSICS)
"""Data sets that share the FaceForensics++ originals as their real class, and the rule of which frames are scored."""

REAL = "real"
"""In place of a method, for a video that is not forged."""

SEEN_METHODS = ("Deepfakes", "FaceSwap", "Face2Face", "NeuralTextures")
"""Methods of FaceForensics++ that stage 2 trains on."""

FACESHIFTER = "FaceShifter"
FACEFORENSICS_METHODS = (*SEEN_METHODS, FACESHIFTER)
CELEB_DF_METHOD = "Celeb-DF"
DEEPERFORENSICS_METHOD = "DeeperForensics"
DFDC_METHOD = "DFDC"
FAKE_SOUND_ALONE = f"{FAKEAVCELEB}-RVFA-"
"""How the methods of FakeAVCeleb begin whose picture is real and whose sound is not: no detector can see them."""

SYNTHETIC_METHODS = (*FACEFORENSICS_METHODS, CELEB_DF_METHOD)
"""Methods that the synthetic benchmark has stand-ins for."""

LIP_RETIMING = "LipRetiming"
"""A forgery of the synthetic benchmark alone: the lips move at another speed, and nothing else differs from a real."""

IDENTITIES = "identities"
"""Column of catalogs and of scores: who is seen, then whose face or motion was put in; empty where unknown."""

SEGMENTS = "segments"
"""Column of catalogs and clip stores: the forged parts of a video as text (:mod:`tdd.data.segments`); empty where there
are none or they are unknown."""

SPLITS = ("train", "val", "test")
