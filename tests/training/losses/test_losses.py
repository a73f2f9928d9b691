"""The losses against an independent implementation (pytorch-metric-learning), and against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.training.losses import classes
from ds2f.training.losses.head import OVER_CLASSES, Head, LossConfig, LossName

N, D, SPEAKERS = 32, 24, 9


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings, centres of SPEAKERS speakers (two each), and whose they are; one lies opposite of where it should."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator)
    centres = torch.randn(2 * SPEAKERS, D, generator=generator)
    speaker = torch.randint(SPEAKERS, (N,), generator=generator)
    x[0] = -(centres[2 * speaker[0]] + centres[2 * speaker[0] + 1])
    return x.requires_grad_(), centres, speaker


@pytest.mark.parametrize(("name", "each"), [("am", 1), ("aam", 1), ("aam", 2)])
def test_margins_are_those_of_pytorch_metric_learning(
    batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor], name: str, each: int
) -> None:
    theirs = pytest.importorskip("pytorch_metric_learning.losses", reason="pip install pytorch-metric-learning")
    x, centres, speaker = batch
    centres = centres[: each * SPEAKERS]
    kind = {("am", 1): "CosFaceLoss", ("aam", 1): "ArcFaceLoss", ("aam", 2): "SubCenterArcFaceLoss"}[name, each]
    margin = 0.2 if name == "am" else float(np.degrees(0.2))
    more = {"sub_centers": each} if each > 1 else {}
    expected = getattr(theirs, kind)(num_classes=SPEAKERS, embedding_size=D, margin=margin, scale=30, **more)
    expected.W.data = centres.T.clone()
    ours = {"am": classes.am_softmax, "aam": classes.aam_softmax}[name]
    losses = [expected(x, speaker), ours(classes.cosines(x, centres, each), speaker, 0.2, 30.0)]
    slopes = [torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in losses]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-4, atol=1e-5)


def test_without_a_margin_both_are_the_softmax_of_cosines(batch: tuple[torch.Tensor, ...]) -> None:
    x, centres, speaker = batch
    cosine = classes.cosines(x, centres[:SPEAKERS])
    expected = torch.nn.functional.cross_entropy(30 * cosine, speaker)
    torch.testing.assert_close(classes.am_softmax(cosine, speaker, 0.0), expected)
    torch.testing.assert_close(classes.aam_softmax(cosine, speaker, 0.0), expected)


def written_out(name: str, x: np.ndarray) -> float:
    """The definitions, a query at a time. x: (n, m, d)."""

    def cos(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    n, m, _ = x.shape
    costs = []
    for j in range(n):
        for i in range(m if name == "ge2e" else 1):
            scores = []
            for k in range(n):
                if name == "ge2e":
                    others = [x[k, u] / np.linalg.norm(x[k, u]) for u in range(m) if not (k == j and u == i)]
                    scores.append(10 * cos(x[j, i], np.mean(others, 0)) - 5)
                elif name == "prototypical":
                    scores.append(-float(((x[j, 0] - x[k, 1:].mean(0)) ** 2).sum()))
                else:
                    scores.append(10 * cos(x[j, 0], x[k, 1:].mean(0)) - 5)
            costs.append(np.log(np.exp(np.array(scores) - scores[j]).sum()))
    return float(np.mean(costs))


@pytest.mark.parametrize("name", ["prototypical", "angular-prototypical", "ge2e"])
@pytest.mark.parametrize("each", [2, 3])
def test_losses_over_a_batch_are_their_definitions(name: LossName, each: int) -> None:
    x = torch.randn(5, each, 6, generator=torch.Generator().manual_seed(1))
    found = Head(LossConfig(name), 6, 5)(x, torch.arange(5))
    assert found.item() == pytest.approx(written_out(name, x.double().numpy()), rel=1e-5)


@pytest.mark.parametrize("name", ["prototypical", "angular-prototypical", "ge2e"])
def test_a_speaker_drawn_twice_is_not_told_from_themselves(name: LossName) -> None:
    x = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(1))
    head = Head(LossConfig(name), 6, 4)
    twice = torch.cat([x, x[:1]])
    different, same = (head(twice, torch.tensor([0, 1, 2, 3, last])).item() for last in (4, 0))
    assert same < different - 0.05


@pytest.mark.parametrize("name", OVER_CLASSES)
def test_classes_take_any_number_of_utterances_and_learn(name: LossName) -> None:
    torch.manual_seed(0)
    head, means = Head(LossConfig(name, centres=2), 6, 5), torch.randn(5, 6)
    x, speaker = means[:, None] + 0.1 * torch.randn(5, 3, 6), torch.arange(5)
    before = head(x, speaker).item()
    head.begin_at(means)
    assert head(x, speaker).item() < before
    torch.testing.assert_close(head(x[:, :1], speaker), head(x[:, :1].clone(), speaker))
