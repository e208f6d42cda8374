"""Property tests draw the same examples in every run; ``pytest --hypothesis-profile search`` draws new ones."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True)
settings.register_profile("search", derandomize=False, print_blob=True)
settings.load_profile("fixed")
