"""Property tests draw the same examples in every run; ``pytest --hypothesis-profile search`` draws new ones.

Without deadlines: a machine that is busy is no fault of what is tested.
"""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("fixed")


def pytest_addoption(parser):
    parser.addoption("--fuzz-minutes", type=float, default=10.0, help="of random inputs with -m fuzz")
