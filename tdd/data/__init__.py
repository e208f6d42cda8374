"""Clips: reading and writing media, the clip store, sampling, and views."""
