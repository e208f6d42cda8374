"""Scoring: which clips, their logits and metrics, calibration, damage, and single videos."""
