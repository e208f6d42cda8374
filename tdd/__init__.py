"""Temporal deepfake detection: local and global temporal information, reproduced end to end."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tdd-deepfake")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
