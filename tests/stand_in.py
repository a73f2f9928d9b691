"""A small stand-in for the published corpora of voices and faces: made-up people with several recordings and faces
each, in three languages, laid out as the corpora are published.

Faces are those of the synthetic people of the demo, each picture framed and lit in its own way. Voices are espeak-ng's
where it is installed; elsewhere pieces of the demo's voices, played faster or slower.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ds2f.demo import samples
from ds2f.io.media import decode
from helpers import write_audio

LANGUAGES = {"English": "en", "German": "de", "Urdu": "ur"}
TEXTS = {
    "English": "The train to the north leaves every morning at seven, and it is never late",
    "German": "Der Zug in den Norden fährt jeden Morgen um sieben, und er kommt nie zu spät",
    "Urdu": "شمال جانے والی گاڑی ہر صبح سات بجے روانہ ہوتی ہے اور کبھی دیر نہیں کرتی",
}


@dataclass(frozen=True)
class Person:
    """number: from 1 on, the sample of the demo; name, voxceleb1, voxceleb2, vggface2: as the corpora call them."""

    number: int

    @property
    def name(self) -> str:
        return f"Made-up_Person_{self.number}"

    @property
    def voxceleb1(self) -> str:
        return f"id{10000 + self.number}"

    @property
    def voxceleb2(self) -> str:
        return f"id{self.number:05d}"

    @property
    def vggface2(self) -> str:
        return f"n{self.number:06d}"

    def video(self, take: int) -> str:
        """A made-up YouTube id, eleven characters."""
        return f"vid{self.number:02d}-take{take}x"[:11]


PEOPLE = tuple(Person(number) for number in range(1, 9))


def speak(path: Path, person: Person, take: int, language: str = "English") -> Path:
    """One recording of somebody, 16 kHz mono, 3 s or more. path: .wav, .m4a, ... as helpers.AUDIO_CODECS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.which("espeak-ng"):
        variant = f"{LANGUAGES[language]}+{'f' if person.number % 2 else 'm'}{1 + person.number % 4}"
        text = f"{TEXTS[language]}. {take}, {take + 1}, {take + 2}."
        spoken = path.with_suffix(".espeak.wav")
        pitch = str(25 + 6 * person.number)
        command = ["espeak-ng", "-v", variant, "-p", pitch, "-s", str(140 + 5 * take), "-w", str(spoken), text]
        subprocess.run(command, check=True, capture_output=True)
        sound = decode(spoken, frames=0).audio
        spoken.unlink()
    else:
        sound = decode(samples() / f"person-{person.number}.mp4", frames=0).audio
        rate = 1 + 0.03 * take + 0.1 * list(LANGUAGES).index(language)
        sound = np.interp(np.arange(0, len(sound) - 1, rate), np.arange(len(sound)), sound).astype(np.float32)
    return write_audio(path, sound)


def show(path: Path, person: Person, take: int, size: int = 224) -> Path:
    """One picture of somebody, `size` pixels square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = decode(samples() / f"person-{person.number}.mp4", frames=1).frames[0].image
    turned = cv2.getRotationMatrix2D((image.shape[1] / 2, image.shape[0] / 2), 3 * (take % 5) - 6, 1.0 - 0.02 * take)
    framed = cv2.warpAffine(image, turned, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(framed.astype(np.float32) * (0.9 + 0.05 * (take % 4)), 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), cv2.resize(lit, (size, size))[..., ::-1])
    return path


def voxceleb1(root: Path, people: tuple[Person, ...], takes: int = 2) -> None:
    """Sound wav/id10001/YTID/00001.wav, faces unzippedFaces/NAME/1.6/YTID/0000025.jpg, and vox1_meta.csv: a recording
    and a picture of each take."""
    root.mkdir(parents=True, exist_ok=True)
    rows = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    for person in people:
        rows.append(f"{person.voxceleb1}\t{person.name}\t{'f' if person.number % 2 else 'm'}\tNowhere\ttest")
        for take in range(1, takes + 1):
            speak(root / "wav" / person.voxceleb1 / person.video(take) / "00001.wav", person, take)
            show(root / "unzippedFaces" / person.name / "1.6" / person.video(take) / "0000025.jpg", person, take)
    (root / "vox1_meta.csv").write_text("\n".join(rows) + "\n")


def pins_list(path: Path, people: tuple[Person, ...], takes: int = 2) -> Path:
    """As Learnable PINs wrote them: a right and a wrong pair for every recording, by the paths of VoxCeleb1's first
    release."""
    rows = []
    for i, person in enumerate(people):
        for take in range(1, takes + 1):
            voice = f"{person.name}/{person.video(take)}_0000001.wav"
            for other in (person, people[(i + take) % len(people)]):
                face = f"{other.name}/{other.video(1 + take % takes)}/0000025.jpg"
                rows.append((len(rows) + 1, person.number, other.number, int(other is person), voice, face))
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "voice-speaker-id", "face-speaker-id", "label", "voice-path", "face-path"])
        writer.writerows(rows)
    return path


def matching_list(path: Path, people: tuple[Person, ...], ways: int, faces: bool = True) -> Path:
    """As CMPC wrote them, by the paths of VoxCeleb1 today: the right candidate first. faces: are asked for by voices;
    else the other way round."""

    def voice(person: Person, take: int) -> str:
        return f"{person.voxceleb1}/{person.video(take)}/00001.wav"

    def face(person: Person, take: int) -> str:
        return f"{person.name}/1.6/{person.video(take)}/0000025.jpg"

    probe, candidate = (voice, face) if faces else (face, voice)
    around = [[people[(i + step) % len(people)] for step in range(ways)] for i in range(len(people))]
    lines = [" ".join([probe(line[0], 1), *(candidate(person, 2) for person in line)]) for line in around]
    path.write_text("\n".join(lines) + "\n")
    return path


def mav_celeb_test(root: Path, people: tuple[Person, ...], languages: tuple[str, ...]) -> dict[str, Path]:
    """FAME's test set: {language: list}, files voices/LANGUAGE/00000.wav and faces/LANGUAGE/00000.jpg, lists
    v1/LANGUAGE_test.txt without labels and LANGUAGE_labels.txt with them; every other pair is of one person."""
    lists = {}
    for language in languages:
        lines, labels = [], []
        for i, person in enumerate(people):
            voice, face = f"voices/{language}/{i:05d}.wav", f"faces/{language}/{i:05d}.jpg"
            speak(root / voice, person, 1, language)
            show(root / face, person if i % 2 == 0 else people[(i + 1) % len(people)], 1 + len(lists))
            name = f"{language[0].lower()}key{i:04d}"
            lines.append(f"{name} {voice} {face} ")  # published with a space at the end
            labels.append(f"{name} {int(i % 2 == 0)}")
        lists[language] = root / "v1" / f"{language}_test.txt"
        lists[language].parent.mkdir(exist_ok=True)
        lists[language].write_text("\n".join(lines) + "\n")
        (root / f"{language}_labels.txt").write_text("\n".join(labels) + "\n")
    return lists
