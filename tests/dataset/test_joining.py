"""What belongs together because it shares groups; tables of people as a whole are in test_people."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ds2f.dataset.joining import components


def test_whatever_shares_a_group_belongs_to_its_smallest_member() -> None:
    assert components([]) == components([[]]) == {}
    assert components([[3], [5, 4], [4, 9], [7, 7], [9, 8]]) == {3: 3, 4: 4, 5: 4, 8: 4, 9: 4, 7: 7}
    edges = np.random.default_rng(0).integers(0, 400, (150, 2))
    found = components(edges.tolist())
    graph = coo_array((np.ones(len(edges)), edges.T), (400, 400))
    labels = connected_components(graph, directed=False)[1]
    assert found == {item: int(np.flatnonzero(labels == labels[item])[0]) for item in np.unique(edges).tolist()}
