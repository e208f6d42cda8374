"""A share of the labelled people."""

import pandas as pd

from tdd.training.labelled import with_few_labels


def test_each_data_set_keeps_its_share_of_people():
    sizes = {"A": 20, "Z": 40}
    rows = [
        {"video_id": f"{name}/{label}/{k}", "dataset": name, "label": label, "identities": f"p{k:02d}"}
        for name, count in sizes.items() for k in range(count) for label in (0, 1)
    ]  # fmt: skip
    kept, times = with_few_labels(pd.DataFrame(rows), 0.1)
    assert times == 10
    for name, count in sizes.items():
        own = kept[kept["dataset"] == name]
        assert sorted(own["identities"].unique()) == [f"p{k:02d}" for k in range(count // 10)]
        assert own["label"].value_counts().to_dict() == {0: count // 10, 1: count // 10}
