"""Mean looks are told apart by what they go with; what a wish names leaves a departure, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.models.looks import AGES, ROWS, departure, directions, fit_looks, project_out
from ds2f.types import FaceLabels, Wish

RNG = np.random.default_rng(0)
DIM = 24
WOMAN, OLD, ASIAN = np.linalg.qr(RNG.normal(size=(DIM, 3)))[0].T
WITHIN = torch.from_numpy(np.diag(np.linspace(0.05, 0.5, DIM)))


def people(count: int = 4000) -> tuple[np.ndarray, FaceLabels]:
    """The old are men more often; looks add up."""
    age = RNG.uniform(0, 90, count)
    female = RNG.uniform(size=count) > 0.2 + 0.6 * age / 90
    asian = RNG.uniform(size=count) > 0.7
    rest = RNG.normal(size=(count, DIM)) * 0.3
    looks = female[:, None] * WOMAN + (age / 90)[:, None] * OLD + asian[:, None] * ASIAN
    return (7 + looks + rest).astype(np.float32), FaceLabels(age, female.astype(int), np.where(asian, 2, 0))


def test_each_look_is_found_beside_the_others() -> None:
    looks = fit_looks(*people())
    assert looks.shape == (ROWS, DIM)
    for more, less, true in (
        (Wish(gender="female"), Wish(gender="male"), WOMAN),
        (Wish(age=AGES[-1]), Wish(age=0), OLD),
        (Wish(ethnicity="Asian"), Wish(ethnicity="White"), ASIAN),
    ):
        found = (departure(looks, more) - departure(looks, less)).numpy()
        np.testing.assert_allclose(found, true, atol=0.1)
    both = departure(looks, Wish(age=70, gender="male"))
    torch.testing.assert_close(both, departure(looks, Wish(age=70)) + departure(looks, Wish(gender="male")))


def test_what_is_not_stated_changes_nothing() -> None:
    identity, labels = people()
    known = fit_looks(identity, labels)
    unknown = FaceLabels(np.full(500, np.nan), np.full(500, -1), np.full(500, -1))
    mixed = FaceLabels(
        *(np.concatenate([getattr(labels, f), getattr(unknown, f)]) for f in ("age", "gender", "ethnicity"))
    )
    more = np.concatenate([identity, np.repeat(identity.mean(0)[None], 500, 0)])
    torch.testing.assert_close(fit_looks(more, mixed), known, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("wish", "count"), [(Wish(gender="male"), 1), (Wish(age=30, ethnicity="Black"), 7)])
def test_a_departure_gives_way_in_what_is_wished_for(wish: Wish, count: int) -> None:
    basis = directions(fit_looks(*people()), wish)
    assert basis.shape == (count, DIM)
    push = torch.from_numpy(RNG.normal(size=(5, DIM))).float()
    left = project_out(push, WITHIN, basis)
    told = torch.linalg.solve(WITHIN, basis.double().T)
    assert float((left.double() @ told).abs().max()) < 1e-4  # nothing tells the groups apart
    changed = (push - left).double()
    along = changed @ torch.linalg.pinv(basis.double()) @ basis.double()
    torch.testing.assert_close(along, changed, atol=1e-5, rtol=0)  # and nothing else has changed
    torch.testing.assert_close(project_out(left, WITHIN, basis), left, atol=1e-5, rtol=0)
