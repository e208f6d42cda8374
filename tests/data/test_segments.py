import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdd.data.segments import parse_segments, segments_text
from tdd.errors import TddError


@given(st.lists(st.integers(0, 600_000), max_size=8, unique=True).map(sorted))
def test_text_and_parts_say_the_same_to_the_millisecond(instants):
    parts = tuple((a / 1000, b / 1000) for a, b in zip(instants[::2], instants[1::2], strict=False))
    assert parse_segments(segments_text(reversed(parts))) == parts


def test_text_that_people_write():
    assert parse_segments(" 2-2.44  .5-1. ") == ((0.5, 1.0), (2.0, 2.44))
    assert parse_segments("") == ()
    assert parse_segments("0-1 1-2") == ((0.0, 1.0), (1.0, 2.0))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1.30-0.52", "ends where or before"),
        ("1-1", "ends where or before"),
        ("0,52-1,30", "as 0.52-1.30"),
        ("-1-2", "as 0.52-1.30"),
        ("1e3-2e3", "as 0.52-1.30"),
        ("nan-inf", "as 0.52-1.30"),
        ("0-2 1-3", "begins before the one before it ends"),
    ],
)
def test_other_text_is_refused(text, sentence):
    with pytest.raises(TddError, match=sentence):
        parse_segments(text)
