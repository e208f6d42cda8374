"""Property tests draw the same examples in every run; ``pytest --hypothesis-profile search`` draws new ones.

Without deadlines: a machine that is busy is no fault of what is tested.
"""

import signal

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("fixed")


def pytest_addoption(parser):
    parser.addoption("--fuzz-minutes", type=float, default=10.0, help="of random inputs with -m fuzz")


# A shell gives what it begins in the background no Ctrl-C, and that is handed down; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
