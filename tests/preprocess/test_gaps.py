import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdd.errors import TddError
from tdd.preprocess.gaps import fill_gaps, gaps_in, longest_gap, require_found


@given(st.lists(st.booleans(), min_size=1, max_size=60).filter(any))
def test_filling_is_numpys_interpolation(found):
    found = np.array(found)
    true = np.random.default_rng(len(found)).normal(size=(len(found), 68, 2)).astype(np.float32)
    filled = fill_gaps(np.where(found[:, None, None], true, np.nan), found)
    times = np.arange(len(found))
    for point, axis in ((0, 0), (40, 1)):
        expected = np.interp(times, times[found], true[found, point, axis])
        np.testing.assert_allclose(filled[:, point, axis], expected, atol=1e-6)


@given(st.lists(st.booleans(), max_size=60))
def test_gaps_are_the_runs_without_a_face(found):
    runs = "".join("01"[value] for value in found).replace("1", " ").split()
    assert [end - start for start, end in gaps_in(np.array(found, bool))] == [len(run) for run in runs]
    assert longest_gap(np.array(found, bool)) == max(map(len, runs), default=0)


def test_the_limits_hold_at_their_edges():
    found = np.ones(50, bool)
    found[10:20] = False
    require_found(found, 25.0, 0.4, 0.8, "a.mp4")
    with pytest.raises(TddError, match=r"a.mp4: the main face is missing for 0.40 s \(frames 10 to 19\), and 0.39"):
        require_found(found, 25.0, 0.39, 0.8, "a.mp4")
    with pytest.raises(TddError, match="found in 40 of 50 frames, and 81% are needed"):
        require_found(found, 25.0, 0.4, 0.81, "a.mp4")
    with pytest.raises(TddError, match="no face was found in any of its 5 frames"):
        require_found(np.zeros(5, bool), 25.0, 9.0, 0.1, "a.mp4")
