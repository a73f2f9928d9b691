"""Speech2Face with the model that ships: deterministic, independent rows, voices that matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.demo import samples
from ds2f.errors import ItemError, UserError
from ds2f.face.attributes import IdentityAttributes
from ds2f.models import folders
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior, PriorConfig
from ds2f.speech2face.face import GeneratedFace
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import ETHNICITIES, NO_WISH, Wish
from ds2f.voice import activity
from helpers import silence, tiny_decoder, write_audio

QUICK = SamplingSettings(steps=4)


@pytest.fixture(scope="module")
def model() -> Speech2Face:
    return Speech2Face.from_pretrained(device="cpu", size=64)


@pytest.fixture(scope="module")
def voices(model: Speech2Face) -> np.ndarray:
    return np.stack([model.embed_voice(path) for path in sorted(samples().glob("*.mp4"))])


def test_a_face_depends_on_its_seed_and_not_on_its_neighbours(model: Speech2Face, voices: np.ndarray) -> None:
    three = model.sample_faces(np.repeat(voices[:1], 3, 0), [5, 6, 7], QUICK)
    alone = model.sample_faces(voices[:1], [6], QUICK)[0]
    assert [face.seed for face in three] == [5, 6, 7]
    assert three[0].image.size == (model.size, model.size)
    np.testing.assert_allclose(three[1].identity, alone.identity, atol=1e-5)
    assert np.abs(_pixels(three[1]) - _pixels(alone)).max() <= 2
    assert np.abs(_pixels(three[0]) - _pixels(alone)).mean() > 3


def test_another_voice_gives_another_face(model: Speech2Face, voices: np.ndarray) -> None:
    faces = model.sample_faces(voices, [0] * len(voices), SamplingSettings(steps=4, temperature=0.0))
    distances = [np.linalg.norm(a.identity - b.identity) for a in faces for b in faces if a is not b]
    assert min(distances) > 0.02
    assert max(distances) > 0.2
    assert np.abs(_pixels(faces[0]) - _pixels(faces[-1])).mean() > 3


def test_temperature_zero_leaves_no_variety_in_the_identity(model: Speech2Face, voices: np.ndarray) -> None:
    typical = model.sample_identities(np.repeat(voices[:1], 4, 0), [1, 2, 3, 4], temperature=0.0)
    varied = model.sample_identities(np.repeat(voices[:1], 4, 0), [1, 2, 3, 4], temperature=1.0)
    assert typical.std(0).max() < 1e-5
    assert varied.std(0).mean() > 0.01


@pytest.mark.parametrize("first", [0, 4])
def test_the_first_of_four_seeds_is_the_most_typical_person_and_the_others_surround_it(
    model: Speech2Face, voices: np.ndarray, first: int
) -> None:
    settings = SamplingSettings()
    typical = model.sample_identities(voices[:1], [0], temperature=0.0, voice_guidance=settings.voice_guidance)
    four = model.identities_to_draw(np.repeat(voices[:1], 4, 0), range(first, first + 4), settings)
    np.testing.assert_allclose(four[:1], typical, atol=1e-3)
    away = four[1:] - typical
    assert np.linalg.norm(away, axis=1).min() > 0.3
    assert np.linalg.norm(away.mean(0)) < 0.03


def test_faces_of_nobody_in_particular_are_spread_as_all_people_are(model: Speech2Face) -> None:
    nobody = np.stack([face.identity for face in model.sample_unconditional(40, settings=SamplingSettings(steps=1))])
    white = (nobody - model.prior.identity_mean.numpy()) @ model.prior.whitening.numpy()
    wanted = 1 + model.prior.spread.numpy()[:4]
    np.testing.assert_allclose((white**2).mean(0)[:4], wanted, rtol=0.5)
    assert (white[:, 0] ** 2).mean() > 3


def test_voice_guidance_goes_on_the_way_the_voice_points(model: Speech2Face, voices: np.ndarray) -> None:
    average = model.prior.identity_mean.numpy()
    zero, one, three = (
        model.sample_identities(voices, [0] * 8, 0.0, voice_guidance=w) - average for w in (0.0, 1.0, 3.0)
    )
    residual = zero  # what the flow adds at temperature 0, whatever the guidance
    np.testing.assert_allclose(three - residual, 3 * (one - residual), atol=1e-5)
    assert np.linalg.norm(one - residual, axis=1).min() > 0.01


def test_the_box_draws_the_same_person_in_every_size(voices: np.ndarray) -> None:
    large, small = (Speech2Face.from_pretrained(device="cpu", size=size) for size in (None, 64))
    assert (large.size, small.size) == (256, 64)
    assert small.fast_decoder is not None
    assert small.fast_decoder.config.size == 64
    faces = [model.sample_faces(voices[:1], [3])[0] for model in (large, small)]
    np.testing.assert_array_equal(faces[0].identity, faces[1].identity)
    assert [face.image.size for face in faces] == [(256, 256), (64, 64)]
    assert faces[0].details["model"] != faces[1].details["model"]


def test_all_that_is_in_the_box_is_under_60_mb() -> None:
    weights = [*folders.shipped().parent.rglob("*.safetensors"), activity.GRAPH]  # the other graphs hold none
    assert sum(file.stat().st_size for file in weights) < 60e6


def test_progress_counts_all_steps(model: Speech2Face) -> None:
    seen: list[tuple[int, int]] = []
    model.sample_images(
        None, list(range(17)), SamplingSettings(steps=2), lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_silence_is_refused(model: Speech2Face, tmp_path: object) -> None:
    with pytest.raises(ItemError, match="silence"):
        model.embed_voice(write_audio(tmp_path / "s.wav", silence(2)))  # type: ignore[operator]


def test_a_prior_and_a_decoder_of_different_identities_are_refused(model: Speech2Face) -> None:
    prior = Prior(PriorConfig(identity_dim=64, width=16, depth=1))
    with pytest.raises(UserError, match="don't belong together"):
        Speech2Face(prior, tiny_decoder(), model.folder, torch.device("cpu"))


@pytest.mark.parametrize("wish", [Wish(gender="female"), Wish(gender="male"), Wish(age=65), Wish(ethnicity="Asian")])
def test_a_wish_bends_the_identity_towards_people_who_look_so(
    model: Speech2Face, voices: np.ndarray, wish: Wish
) -> None:
    head = IdentityAttributes()
    many, seeds = np.repeat(voices, 4, 0), list(range(4 * len(voices)))

    def met(wished: Wish) -> float:
        found = head.estimate(model.sample_identities(many, seeds, 0.7, wished))
        if wish.age is not None:
            return float((np.abs(found.age - wish.age) < 12).mean())
        if wish.gender is not None:
            return float(((found.female > 0.5) == (wish.gender == "female")).mean())
        return float((found.ethnicity.argmax(1) == ETHNICITIES.index("Asian")).mean())

    assert met(wish) > 0.85
    assert met(wish) > met(NO_WISH) + 0.1


@pytest.mark.parametrize("gender", ["female", "male"])
def test_the_voice_gives_way_to_a_wish_however_far_it_is_followed(
    model: Speech2Face, voices: np.ndarray, gender: str
) -> None:
    """Steering alone left the voice's own gender standing, and went far out to please the head."""
    seeds, average = list(range(len(voices))), model.prior.identity_mean.numpy()
    found = model.sample_identities(voices, seeds, 0.4, Wish(gender=gender), voice_guidance=4.0)
    plain = model.sample_identities(voices, seeds, 0.4, voice_guidance=4.0)
    assert ((IdentityAttributes().estimate(found).female > 0.5) == (gender == "female")).all()
    reach = np.linalg.norm(found - average, axis=1).mean() / np.linalg.norm(plain - average, axis=1).mean()
    assert reach < 1.1


def test_a_wish_leaves_the_voice_its_say(model: Speech2Face, voices: np.ndarray) -> None:
    wish = Wish(age=60, gender="female")
    one, other = model.sample_identities(voices[[0, -1]], [3, 3], 0.7, wish)
    assert np.linalg.norm(one - other) > 0.05


def test_what_the_decoder_was_not_taught_is_refused_in_one_sentence(voices: np.ndarray) -> None:
    plain = _with_decoder(tiny_decoder())
    with pytest.raises(UserError, match="cannot be conditioned on guide; it knows coverage, identity"):
        plain.sample_images(None, [0], QUICK, wish=Wish(guide=np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(
        UserError, match="cannot be conditioned on voices by campplus-frames; it knows coverage, identity"
    ):
        plain.sample_faces(voices[:1], [0], SamplingSettings(steps=2, direct=True))


def test_a_decoder_that_hears_by_another_encoder_than_the_prior_is_told_by_that(model: Speech2Face) -> None:
    clips = sorted(samples().glob("*.mp4"))[:2]
    assert model.decoder_voices(model.voice_encoder.known) == ["resemblyzer"] != list(model.prior.config.voices)
    one, other = (_pixels(model(clip, count=1, settings=SamplingSettings(direct=True))[0]) for clip in clips)
    assert np.abs(one - other).mean() > 3
    with pytest.raises(UserError, match=r"voices by campplus-frames; it knows .*leave out `direct`"):
        model.sample_faces(model.embed_voice(clips[0])[None], [0], SamplingSettings(direct=True))


def test_any_subset_of_conditions_moves_the_picture(voices: np.ndarray) -> None:
    taught = _with_decoder(tiny_decoder(every_condition=True))
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    wishes = [NO_WISH, Wish(age=70), Wish(gender="female"), Wish(ethnicity="Black"), Wish(guide=picture)]
    wishes += [Wish(age=70, guide=picture)]
    drawn = [taught.sample_images(None, [0], QUICK, wish=wish).astype(int) for wish in wishes]
    heard = {"resemblyzer": np.random.default_rng(1).normal(size=(2, 256)).astype(np.float32)}
    direct = taught.sample_faces(voices[[0, 0]], [0, 0], SamplingSettings(steps=4, direct=True), voice_conditions=heard)
    drawn += [_pixels(face)[None] for face in direct]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert np.abs(one - other).mean() > 0.5


def test_weights_for_each_condition(voices: np.ndarray) -> None:
    taught = _with_decoder(tiny_decoder(every_condition=True))
    wish = Wish(guide=np.full((16, 16, 3), 90, np.uint8))
    weak, strong = (
        _pixels(taught.sample_faces(voices[:1], [0], SamplingSettings(4, {"voice": 2.0, "guide": w}), wish=wish)[0])
        for w in (0.5, 3.0)
    )
    assert np.abs(weak - strong).mean() > 0.5


def _pixels(face: GeneratedFace) -> np.ndarray:
    return np.array(face.image).astype(int)


def _with_decoder(decoder: Decoder) -> Speech2Face:
    shipped = Speech2Face.from_pretrained(device="cpu")
    return Speech2Face(shipped.prior, decoder, shipped.folder, torch.device("cpu"))
