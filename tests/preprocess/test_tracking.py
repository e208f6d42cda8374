"""Which box is whose face: by what was expected, whoever else comes or goes."""

import numpy as np
import pytest

from tdd.preprocess.tracking import Tracker


def boxes(*lefts, side=20.0):
    return np.array([[left, 0, left + side, side, 1.0] for left in lefts])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_face_that_stays_keeps_its_number_while_others_leave_and_come(order):
    tracker = Tracker()
    first = tracker.look(0, boxes(100, 40))
    second = tracker.look(1, boxes(98, 160)[list(order)])
    stayed = second[order.index(0)]
    assert stayed is first[0] and {track.number for track in second} == {0, 2}


def test_two_faces_that_move_keep_their_numbers():
    tracker = Tracker()
    numbers = [[track.number for track in tracker.look(t, boxes(10 + 2 * t, 80 - 2 * t))] for t in range(10)]
    assert numbers == [[0, 1]] * 10
