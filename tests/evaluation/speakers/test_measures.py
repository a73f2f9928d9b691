from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ds2f.evaluation.speakers.det import Curve, plot_det
from ds2f.evaluation.speakers.measures import Draws, by_duration, by_gender, costs, groups, trained
from ds2f.evaluation.verification import equal_error_rate, min_dcf


def people(seed: int, count: int = 40, takes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every pair of recordings of some speakers: scores by vectors in a plane of noise, labels, speakers."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(size=(count, 12)), takes, axis=0)
    vectors = own + 0.9 * rng.normal(size=own.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    i, j = np.triu_indices(count * takes, 1)
    first, second = i // takes, j // takes
    return (vectors[i] * vectors[j]).sum(1), first == second, first, second


def test_rates_are_those_of_the_functions() -> None:
    scores, same, first, second = people(0)
    rates = Draws(first, second, 100).rates(scores, same)
    assert rates.eer.value == equal_error_rate(scores, same)
    assert rates.min_dcf_01.value == min_dcf(scores, same, 0.01)
    assert rates.min_dcf_05.value == min_dcf(scores, same, 0.05)
    assert (rates.trials, rates.same) == (len(same), same.sum())
    assert rates.eer.low < rates.eer.value < rates.eer.high
    theirs = trained(scores, same)
    assert theirs.eer == pytest.approx(rates.eer.value, abs=0.01)
    assert theirs.min_dcf == pytest.approx(rates.min_dcf_05.value, abs=1e-12)


def test_intervals_by_speaker_cover_the_truth() -> None:
    """20 lists of 40 speakers, about 95 % of them; the truth is the mean over many lists."""
    truth = np.mean([equal_error_rate(*people(seed)[:2]) for seed in range(100, 150)])
    found = [Draws(first, second, 80).rates(scores, same).eer for scores, same, first, second in map(people, range(20))]
    assert sum(eer.low <= truth <= eer.high for eer in found) >= 17


def test_an_interval_by_speaker_is_wider_than_one_by_trial() -> None:
    """Trials of one speaker are alike: drawing them one by one would promise too much."""
    scores, same, first, second = people(0)
    by_speaker = Draws(first, second, 200).rates(scores, same).eer
    counts = np.random.default_rng(0).multinomial(len(same), np.full(len(same), 1 / len(same)), 200)
    low, high = np.percentile([equal_error_rate(scores, same, c) for c in counts], (2.5, 97.5))
    assert by_speaker.high - by_speaker.low > 1.3 * (high - low)


def test_groups_say_what_they_are_of_and_whether_they_are_small() -> None:
    scores, same, first, second = people(1)
    genders = [["female", "male"][k % 2] for k in range(40)]
    members = {"gender": by_gender([genders[k] for k in first], [genders[k] for k in second])}
    members["speech"] = by_duration(np.where(first < 3, 1.0, 5.0))
    found = {g.name: g for g in groups(scores, same, Draws(first, second, 100), members)}
    assert list(found) == ["female", "male", "under 2 s", "4 to 8 s"]
    assert found["female"].rates.same == same.sum() / 2
    assert found["under 2 s"].few
    assert not found["male"].few


def test_costs_are_of_log_likelihood_ratios() -> None:
    scores, same, *_ = people(2)
    cost, least = costs(scores, same)
    assert least < cost


def test_a_plot_of_several_systems(tmp_path: Path) -> None:
    scores, same, *_ = people(3)
    noise = np.random.default_rng(0).normal(0, 0.3, len(scores))
    better, worse = Curve("better", "", scores, same), Curve("worse", "s-norm", scores + noise, same)
    panels = {"clean": [better, worse, Curve("perfect", "", same * 1.0, same)], "telephone": [worse, better]}
    for name in ("det.svg", "det.png"):
        plot_det(panels, tmp_path / name, "31 trials")
    text = (tmp_path / "det.svg").read_text()
    again = tmp_path / "again.svg"
    plot_det(panels, again, "31 trials")
    assert text.count("<!-- better:") == 2
    assert text.count("<!-- worse, s-norm:") == 2
    assert text.count("<!-- perfect: 0.00 % -->") == 1
    assert text.count("<!-- telephone -->") == 1
    assert len(again.read_text()) == len(text)
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.svg", "det.png", "det.svg"]


def test_a_plot_says_what_it_leaves_out(tmp_path: Path) -> None:
    scores, same, *_ = people(3)
    panels = {f"opus{n}": [Curve(f"system {k}", "", scores, same) for k in range(8)] for n in range(10)}
    plot_det(panels, tmp_path / "det.svg", "31 trials")
    text = (tmp_path / "det.svg").read_text()
    assert text.count("<!-- system 0:") == 9
    assert "<!-- 31 trials; 17 more systems in verification.json -->" in text


def test_a_row_that_is_not_full_has_no_empty_frames(tmp_path: Path) -> None:
    scores, same, *_ = people(3)
    panels = {f"opus{n}": [Curve("system", "", scores, same)] for n in range(6, 10)}  # of three columns
    plot_det(panels, tmp_path / "det.svg")
    assert (tmp_path / "det.svg").read_text().count('id="matplotlib.axis_') == 8, "two for each panel"
