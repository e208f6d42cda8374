"""Networks on disk: the hand-over between stages, detectors rebuilt from it, published files."""
