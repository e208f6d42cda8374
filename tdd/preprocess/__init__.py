"""Offline preprocessing: official data-set layouts to a store of aligned clips."""
