"""One page for one video: see :mod:`tdd.app.interface`."""
