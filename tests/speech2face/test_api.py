"""The Python API as a user meets it: recordings of any kind in, marked faces out, and a description of the voice."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ds2f
from ds2f import ItemError, SamplingSettings, Speech2Face, UserError
from ds2f.config import Generate
from ds2f.demo import samples
from ds2f.io.media import decode
from ds2f.speech2face.model import Asked
from ds2f.speech2face.settings import GUIDED, settings_of
from ds2f.types import AGE_BINS, GENDERS, SAMPLE_RATE
from helpers import silence, tiny_decoder

CLIPS = sorted(samples().glob("*.mp4"))


@pytest.fixture(scope="module")
def model() -> Speech2Face:
    return Speech2Face.from_pretrained(device="cpu", size=64)


@pytest.fixture(scope="module")
def taught(model: Speech2Face) -> Speech2Face:
    """With a decoder that knows every condition, and little else."""
    return Speech2Face(model.prior, tiny_decoder(every_condition=True), model.folder, torch.device("cpu"))


def test_a_model_says_what_it_is(model: Speech2Face) -> None:
    assert repr(model) == f"Speech2Face(64 px, model {model.fingerprint}, cpu)"


def test_importing_ds2f_imports_nothing_heavy_and_the_names_are_there() -> None:
    code = "import sys, ds2f; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'cv2', 'rich')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert all(getattr(ds2f, name) for name in ds2f.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Speech3Face'"):
        _ = ds2f.Speech3Face  # type: ignore[attr-defined]


def test_faces_of_a_path_of_bytes_and_of_an_array_are_the_same(model: Speech2Face) -> None:
    sound = decode(CLIPS[0], frames=0).audio
    given = [str(CLIPS[0]), CLIPS[0], CLIPS[0].read_bytes(), (sound, SAMPLE_RATE)]
    one, *others = [model(voice, count=1, seed=3, steps=3)[0] for voice in given]
    assert isinstance(one.image, Image.Image)
    assert one.image.size == (model.size, model.size)
    assert one.identity.shape == (128,)
    for other in others:
        assert np.array_equal(np.array(one.image), np.array(other.image))


def test_sound_of_other_rates_types_and_channels(model: Speech2Face) -> None:
    sound = decode(CLIPS[0], frames=0).audio
    voice = model.embed_voice((sound, SAMPLE_RATE))
    doubled = np.repeat(sound, 3)  # 48 kHz, roughly
    kinds = [(doubled, 48_000), (np.stack([sound, sound], 1), SAMPLE_RATE)]
    kinds += [((sound * 32767).astype(np.int16), SAMPLE_RATE), (((sound + 1) * 127.5).astype(np.uint8), SAMPLE_RATE)]
    for kind in kinds:
        assert float(model.embed_voice(kind) @ voice) > 0.9
    for wrong, words in (
        ((np.stack([sound, sound]), SAMPLE_RATE), "sound must be numbers"),
        ((np.array(["a"]), SAMPLE_RATE), "sound must be numbers"),
        ((sound, 0), "sampling rate of 0 Hz cannot be right"),
        ((sound, "16k"), "a tuple is"),
        (sound, "a recording is a path, the bytes of a file, or .*, not ndarray"),
        (None, "not NoneType"),
    ):
        with pytest.raises(ItemError, match=words):
            model.embed_voice(wrong)  # type: ignore[arg-type]
    for asked, words in (({"age": "60"}, "The age '60' cannot"), ({"guide": 3}, "a picture is a path")):
        with pytest.raises(UserError, match=words):
            model(CLIPS[0], **asked)
    with pytest.raises(UserError, match="no ending of a picture"):
        model(CLIPS[0], count=1, steps=1)[0].save("face.gif")


def test_a_batch_gives_each_voice_its_own_faces(model: Speech2Face) -> None:
    groups = model([CLIPS[0], CLIPS[-1]], count=2, seed=5, steps=3)
    assert [[face.seed for face in group] for group in groups] == [[5, 6], [5, 6]]
    alone = model(CLIPS[-1], count=2, seed=5, steps=3)
    assert np.abs(np.array(groups[1][1].image, int) - np.array(alone[1].image, int)).max() <= 2
    assert np.abs(np.array(groups[0][1].image, int) - np.array(alone[1].image, int)).mean() > 2
    assert model([]) == []


def test_threads_get_what_one_would_get(model: Speech2Face) -> None:
    clips = CLIPS[:4]
    one_by_one = [model(clip, count=1, steps=2)[0] for clip in clips]
    fresh = Speech2Face.from_pretrained(device="cpu", size=64)  # nothing loaded yet: the threads race for it
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda clip: fresh(clip, count=1, steps=2)[0], clips))
    for one, other in zip(one_by_one, together, strict=True):
        assert np.array_equal(np.array(one.image), np.array(other.image))


def test_wishes_and_guidance(taught: Speech2Face, tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8))
    picture.save(tmp_path / "guide.png")
    guides = [picture, np.array(picture), tmp_path / "guide.png", (tmp_path / "guide.png").read_bytes()]
    faces = [taught(CLIPS[0], count=1, steps=2, guide=guide)[0] for guide in guides]
    assert all(np.array_equal(np.array(face.image), np.array(faces[0].image)) for face in faces)
    others = [
        taught(CLIPS[0], count=1, steps=2)[0],
        taught(CLIPS[0], count=1, steps=2, guide=picture, guidance={"guide": 3.0})[0],
        taught(CLIPS[0], count=1, steps=2, guide=picture, gender="female", age=60)[0],
    ]
    for face in others:
        assert np.abs(np.array(face.image, int) - np.array(faces[0].image, int)).mean() > 0.5
    assert others[2].details["gender"] == "female"


def test_a_number_means_the_same_as_the_weights_it_stands_for(taught: Speech2Face) -> None:
    number = taught(CLIPS[0], count=1, steps=2, age=60, guidance=3.0)[0]
    weights = taught(CLIPS[0], count=1, steps=2, age=60, guidance={"voice": 3.0, "age": 3.0})[0]
    assert np.array_equal(np.array(number.image), np.array(weights.image))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"age": 300}, "years from 0 to 100"),
        ({"gender": "martian"}, "gender 'martian' is not known; choose one of male, female"),
        ({"ethnicity": "green"}, "ethnicity 'green'"),
        ({"guide": "nowhere.png"}, "guide nowhere.png cannot be used"),
        ({"guide": np.zeros(8)}, "uint8 RGB is wanted"),
        ({"guide": b"text"}, "not a picture"),
        ({"count": 0}, "at least 1"),
        ({"steps": 0}, "at least 1"),
        ({"guidance": {"taste": 2.0}}, "no guidance of 'taste'"),
        ({"guidance": -1.0}, "from 0 to 20"),
        ({"settings": SamplingSettings(sampler="none")}, 'sampler must be one of .*heun.*, not "none"'),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(model: Speech2Face, wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        model(CLIPS[0], **wrong)


def test_what_is_no_voice_is_refused(model: Speech2Face, tmp_path: Path) -> None:
    for wrong in (b"", b"no sound at all", tmp_path / "missing.wav", (silence(2), SAMPLE_RATE)):
        with pytest.raises(ItemError, match=r"empty|not a media|does not exist|silence"):
            model(wrong)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model folder"):
        Speech2Face.from_pretrained(tmp_path / "nothing")
    with pytest.raises(UserError, match="has no prior"):
        Speech2Face.from_pretrained(tmp_path)
    with pytest.raises(UserError, match="a revision is for models of the Hub"):
        Speech2Face.from_pretrained(tmp_path, revision="v1")


def test_a_saved_face_says_how_it_was_made_and_nothing_of_who(model: Speech2Face, tmp_path: Path) -> None:
    face = model(CLIPS[0], count=1, seed=9, steps=2, age=40)[0]
    face.save(tmp_path / "face.png")
    with Image.open(tmp_path / "face.png") as picture:
        said = json.loads(picture.info["ds2f"])
    assert (said["seed"], said["steps"], said["age"], said["model"]) == (9, 2, 40, model.fingerprint)
    assert not {"identity", "voice", "input"} & set(said)


def test_previews_grow_into_the_picture() -> None:
    seen: list[np.ndarray] = []
    model = Speech2Face.from_pretrained(device="cpu", size=64)
    voices = model.embed_voice(CLIPS[0])[None].repeat(2, 0)
    faces = model.sample_faces(
        voices, [0, 1], SamplingSettings(steps=4), callback=lambda step, pictures: seen.append(pictures)
    )
    assert [shown.shape for shown in seen] == [(2, model.size, model.size, 3)] * 4
    end = np.stack([np.array(face.image) for face in faces]).astype(int)
    distances = [np.abs(shown - end).mean() for shown in seen]
    assert distances[-1] == 0.0
    assert distances[0] > distances[-2] > 0


def test_a_description_is_of_distributions_and_names_no_ethnicity(model: Speech2Face) -> None:
    told = model.describe(CLIPS[0])
    assert set(told.age.probabilities) == set(AGE_BINS)
    assert set(told.gender.probabilities) == set(GENDERS)
    for belief in (told.age, told.gender):
        assert sum(belief.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert sum(belief.before.values()) == pytest.approx(1, abs=1e-4)
        assert belief.bits >= 0
        assert belief.sure == max(belief.probabilities.values())
    low, middle, high = told.age_years
    assert 0 <= low <= middle <= high <= 100
    assert 0 < told.determined < 1
    assert told.speech_seconds > 1
    assert "ethnicity" not in repr(told).lower()
    assert told == model.describe(CLIPS[0])


def test_low_and_high_voices_are_told_apart(model: Speech2Face) -> None:
    pytest.importorskip("parselmouth", reason="pitch needs the extra acoustics")
    told = [model.describe(clip) for clip in CLIPS[::2]]
    pitches = np.array([one.pitch for one in told], float)
    female = np.array([one.gender.probabilities["female"] for one in told])
    assert pitches.max() > 1.3 * pitches.min()
    assert np.corrcoef(np.log(pitches), female)[0, 1] > 0.3
    assert "Hz" in str(told[0])
    assert f"{told[0].gender.bits:.1f} bits of this are heard" in str(told[0])
    assert 1 < told[0].rate < 12


def test_any_whole_number_is_a_seed(taught: Speech2Face) -> None:
    first, again = (
        [taught(CLIPS[0], 1, seed, steps=1)[0] for seed in (-1, 0, 2**31, 2**32, np.int64(-7), 10**30)] for _ in "12"
    )
    assert [face.seed for face in first] == [-1, 0, 2**31, 2**32, -7, 10**30]
    pictures = [np.array(face.image).tobytes() for face in first]
    assert len(set(pictures)) == len(pictures)
    assert pictures == [np.array(face.image).tobytes() for face in again]
    assert json.loads(json.dumps(first[-1].seed)) == 10**30
    for wrong in (1.5, "1", None):
        with pytest.raises(UserError, match="is not a whole number"):
            taught(CLIPS[0], 1, wrong)  # type: ignore[call-overload]


def test_what_python_draws_by_default_is_what_ds2f_toml_says() -> None:
    said, given = Generate(), inspect.signature(Speech2Face.__call__).parameters
    assert (given["count"].default, given["seed"].default) == (said.count, said.seed)
    assert given["settings"].default == settings_of(said)
    by_name = [name for name, parameter in given.items() if parameter.kind is parameter.KEYWORD_ONLY]
    assert by_name == list(Asked.__annotations__), "as the types say: nobody knows the order of twelve arguments"
    weighed = settings_of(Generate(guidance=3.0, guide_guidance=2.0, steps=7))
    assert (weighed.steps, weighed.guidance) == (7, {**dict.fromkeys(GUIDED[1:], 3.0), "guide": 2.0})
