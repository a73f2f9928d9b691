"""The training loop: it learns, resumes bit for bit, and leaves the last good checkpoint."""

from __future__ import annotations

import json
import math
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from ds2f.errors import UserError
from ds2f.training import checkpoint, loop
from ds2f.training.log import pace
from ds2f.training.loop import data_order, schedule, train, update_ema
from line import Line, options


def test_it_learns(tmp_path: Path) -> None:
    task = Line()
    before = task.validate(task.model)
    ema = train(task, options(tmp_path, total=8 * 300))
    assert task.validate(ema) < 0.1 * before
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 1
    assert len(list(tmp_path.glob("preview-*.png"))) == 1


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = train(Line(), options(tmp_path / "whole")).state_dict()
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_at=18), options(tmp_path / "parts"))
    resumed = Line()
    parts = train(resumed, options(tmp_path / "parts")).state_dict()
    assert resumed.calls == 40 - 17
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("batch", [1, 8])
def test_the_age_of_the_average_does_not_depend_on_the_batch(batch: int) -> None:
    """Elsewhere one decay means averages of very different ages; see findings/ema_decay_by_library.sh."""
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    age = {}
    for seen in range(0, 10_000, batch):
        nn.init.constant_(model.weight, seen)
        update_ema(average, model, seen, batch, half_life=500)
        age[seen] = seen - average.weight.item()
    assert age[1_000] == pytest.approx(1_000 / (1 + 10 * math.log(2)), rel=0.05)  # half-life: a tenth of what was seen
    assert age[9_600] == pytest.approx(500 / math.log(2), rel=0.05)


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """As in a process of its own: a shell has Ctrl-C ignored in the background, and Ray leaves its handlers behind."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["torch.optim.AdamW.step", "ds2f.training.loop.update_ema"])
def test_a_signal_to_stop_in_the_middle_of_a_step_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: signal.Signals
) -> None:
    """Between AdamW and Muon, and before the average is moved; the checkpoint is that of a whole step."""
    whole = train(Line(), options(tmp_path / "whole")).state_dict()
    module, _, name = place.rpartition(".")
    of = torch.optim.AdamW if module.startswith("torch") else loop
    original, calls = getattr(of, name), 0

    def stopped(*arguments: object, **named: object) -> None:
        nonlocal calls
        calls += 1
        if of is loop and calls == 18:
            signal.raise_signal(number)
        original(*arguments, **named)
        if of is not loop and calls == 18:
            signal.raise_signal(number)

    monkeypatch.setattr(of, name, stopped)
    with pytest.raises(KeyboardInterrupt):
        train(Line(), options(tmp_path / "parts"))
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "only while it trains"
    assert checkpoint.checkpoints(tmp_path / "parts")[-1].name == "checkpoint-000000018"
    resumed = Line()
    parts = train(resumed, options(tmp_path / "parts")).state_dict()
    assert resumed.calls == 40 - 18
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    train(Line(), options(tmp_path))
    again = Line()
    train(again, options(tmp_path))
    assert again.calls == 0


def test_a_loss_that_is_no_number_ends_with_advice_and_the_last_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learning rate"):
        train(Line(poison_at=10), options(tmp_path, save_seconds=0.0))
    newest = checkpoint.checkpoints(tmp_path)[-1]
    assert newest.name == "checkpoint-000000009"
    task = Line()
    checkpoint.resume(tmp_path, task.model, Line().model, [])
    assert all(torch.isfinite(p).all() for p in task.model.parameters())


def test_a_gradient_that_is_no_number_is_not_saved_either(tmp_path: Path) -> None:
    """Of √x at 0 the value is 0 and the slope infinite."""

    class Steep(Line):
        def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
            loss = super().loss(rows, generator)
            return loss + (0 * loss).sqrt() if self.calls == 10 else loss

    with pytest.raises(UserError, match="gradient"):
        train(Steep(), options(tmp_path, save_seconds=0.0))
    assert checkpoint.checkpoints(tmp_path)[-1].name == "checkpoint-000000009"
    ended = train(Line(), options(tmp_path, save_seconds=0.0))
    assert all(p.isfinite().all() for p in ended.parameters())


def test_half_written_checkpoints_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-000000099.part").mkdir(parents=True)
    (tmp_path / "checkpoint-000000098").mkdir()  # without state.json
    assert checkpoint.checkpoints(tmp_path) == []


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    train(Line(), options(tmp_path))
    with pytest.raises(UserError, match="does not fit"):
        checkpoint.resume(tmp_path, nn.Linear(2, 2), nn.Linear(2, 2), [])


def test_every_epoch_holds_every_row_once() -> None:
    order = data_order(10, 0, 35, seed=4)
    for epoch in range(3):
        assert sorted(order[10 * epoch : 10 * epoch + 10].tolist()) == list(range(10))
    assert torch.equal(data_order(10, 7, 12, seed=4), order[7:19])
    assert not torch.equal(order[:10], order[10:20])


def test_schedule_warms_up_stays_and_falls_to_zero() -> None:
    values = [schedule(step, 1000) for step in range(1001)]
    assert values[0] < 0.1
    assert values[100] == values[500] == 1.0
    assert values[1000] == 0.0
    assert values[600:] == sorted(values[600:], reverse=True)


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path: Path) -> None:
    """Without noise and dropout, one part and four give the same gradients."""

    class Exact(Line):
        def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
            return (self.model.head[1](self.model.blocks[0](self.x[rows])) - self.y[rows]).square().mean()

    found = [train(Exact(), options(tmp_path / str(n), accumulate=n)).state_dict() for n in (1, 3)]
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, atol=1e-3, rtol=1e-2)


def test_a_batch_in_parts_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole = train(Line(), options(tmp_path / "whole", accumulate=2)).state_dict()
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_at=26), options(tmp_path / "parts", accumulate=2))
    parts = train(Line(), options(tmp_path / "parts", accumulate=2)).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_running_out_of_memory_ends_with_advice(tmp_path: Path) -> None:
    class Greedy(Line):
        def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
            if self.calls == 12:
                torch.empty(10**15)
            return super().loss(rows, generator)

    with pytest.raises(UserError, match=r"Memory ran out.*accumulate = 2"):
        train(Greedy(), options(tmp_path, save_seconds=0.0))
    assert checkpoint.checkpoints(tmp_path)[-1].name == "checkpoint-000000012"


@pytest.mark.parametrize(
    ("rate", "said"), [(0.234, "0.23 rows/s"), (8.4, "8.4 rows/s"), (10.4, "10 rows/s"), (5123.4, "5,123 rows/s")]
)
def test_a_slow_training_does_not_say_that_it_stands_still(rate: float, said: str) -> None:
    assert pace(rate) == said


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(Line(), options(tmp_path, tensorboard=True))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert events.Scalars("loss")[-1].value == pytest.approx(line["loss"])
    assert events.Scalars("loss")[-1].step == line["seen"]


def test_a_run_that_was_killed_leaves_nothing_behind_and_says_nothing_twice(tmp_path: Path) -> None:
    """Killed after its line and its picture were written, before the checkpoint; another time in between."""
    train(Line(), options(tmp_path / "whole", save_seconds=-1.0))
    run = tmp_path / "run"
    train(Line(), options(run, save_seconds=-1.0))
    shutil.rmtree(run / "checkpoint-000000040")
    (run / "checkpoint-000000040.part").mkdir()
    (run / "checkpoint-000000011").mkdir()  # half removed
    (run / "log.jsonl").write_text((run / "log.jsonl").read_text() + '{"seen": 32')
    train(Line(), options(run, save_seconds=1e9))
    assert sorted(p.name for p in run.iterdir()) == sorted(p.name for p in (tmp_path / "whole").iterdir())
    lines = [json.loads(line)["seen"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert lines == [8 * step for step in range(1, 41)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"batch": 16}, "has the batch 8, not 16"), ({"seed": 4}, "the seed 3"), ({"teacher": "b"}, "the teacher a")],
)
def test_a_run_that_was_begun_otherwise_is_not_gone_on_with(
    tmp_path: Path, changes: dict[str, int | str], said: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_at=18), options(tmp_path, teacher="a"))
    with pytest.raises(UserError, match=said):
        train(Line(), options(tmp_path, **{"teacher": "a", **changes}))


def test_a_finished_run_of_other_data_is_not_taken_for_one_of_these(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_at=18), options(tmp_path, data="before"))
    train(Line(), options(tmp_path, data="more"))  # data that grew while it ran
    train(Line(), options(tmp_path, data="more"))
    with pytest.raises(UserError, match="was of other data"):
        train(Line(), options(tmp_path, data="still more"))
    train(Line(), options(tmp_path, data="still more", total=8 * 50))  # it goes on


def test_a_run_whose_model_was_fitted_to_other_data_is_not_gone_on_with(tmp_path: Path) -> None:
    """As the prior's linear map: the flow was trained in axes that other data would turn."""
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_at=18), options(tmp_path, data="before", fitted=True))
    with pytest.raises(UserError, match="was begun with other data"):
        train(Line(), options(tmp_path, data="more", fitted=True))
    train(Line(), options(tmp_path, data="before", fitted=True))


@pytest.mark.parametrize("step", [0, 11])
def test_a_step_has_the_same_rows_and_noise_on_any_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """So a run that was stopped goes on with the same next rows on more processes, or on fewer."""
    monkeypatch.setattr(loop, "add_gradients", lambda parameters, processes: None)
    monkeypatch.setattr(loop, "total", lambda value, processes: value)
    seen: list[tuple[list[int], float]] = []

    class Watched(Line):
        def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
            seen.append((rows.tolist(), float(torch.rand(1, generator=generator))))
            return self.model.head(self.model.blocks[0](self.x[rows])).mean()

    found = []
    for count in (1, 2, 4):
        seen.clear()
        for index in range(count):
            here = SimpleNamespace(num_processes=count, process_index=index)
            loop.accumulate(Watched(), options(tmp_path, accumulate=4), step, here)  # type: ignore[arg-type]
        found.append(sorted(seen))
    assert found[0] == found[1] == found[2]
    assert sum(len(rows) for rows, _ in found[0]) == 8


def test_no_part_of_a_step_has_the_noise_of_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "add_gradients", lambda parameters, processes: None)
    monkeypatch.setattr(loop, "total", lambda value, processes: value)
    drawn: list[float] = []

    class Watched(Line):
        def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
            drawn.append(float(torch.rand(1, generator=generator, dtype=torch.float64)))
            return self.model.head(self.model.blocks[0](self.x[rows])).mean()

    alone = SimpleNamespace(num_processes=1, process_index=0)
    for step in range(50):
        loop.accumulate(Watched(), options(tmp_path, accumulate=8), step, alone)  # type: ignore[arg-type]
    assert len(set(drawn)) == len(drawn) == 50 * 8


def test_the_order_of_an_epoch_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, permute = [], torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *given, **named: made.append(given) or permute(*given, **named))
    loop._epoch.cache_clear()
    for step in range(12):
        data_order(100, 8 * step, 8, seed=77)
    assert len(made) == 1
