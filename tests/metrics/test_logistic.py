"""Logistic regression against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tdd.errors import TddError
from tdd.metrics.logistic import fit_logistic


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_weights_are_those_of_scikit_learn(penalty):
    rng = np.random.default_rng(0)
    labels = np.array([0] * 30 + [1] * 90)
    features = rng.normal(size=(120, 5)) * [1, 10, 0.1, 1, 1000] + labels[:, None] * [0.5, 0, 0.1, 0, 300] + 7
    model = fit_logistic(features, labels, penalty)
    standard = StandardScaler().fit_transform(features)
    wanted = LogisticRegression(C=1 / penalty, class_weight="balanced", tol=1e-10, max_iter=1000).fit(standard, labels)
    assert model.weights == pytest.approx(wanted.coef_[0], abs=1e-4)
    assert model.logits(features) == pytest.approx(wanted.decision_function(standard), abs=1e-3)


def test_a_feature_that_never_changes_has_no_say():
    features = np.column_stack([np.full(20, 3.0), np.arange(20.0)])
    model = fit_logistic(features, np.arange(20) > 9)
    assert model.weights[0] == 0 and (np.diff(model.logits(features)) > 0).all()


@pytest.mark.parametrize(
    ("features", "labels", "said"),
    [
        (np.zeros((4, 2)), np.ones(4), "both classes"),
        (np.full((4, 2), np.nan), np.array([0, 1, 0, 1]), "finite features"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(features, labels, said):
    with pytest.raises(TddError, match=said):
        fit_logistic(features, labels)
