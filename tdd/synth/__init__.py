"""The embedded benchmark: synthetic speech, faces and forgeries, in the folder trees of the real data sets."""
