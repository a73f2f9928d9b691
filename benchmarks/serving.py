"""`ds2f serve` under load: is any request lost, does any receive another's face, does memory grow?

    python benchmarks/serving.py [--requests 200] [--clients 20] [--memory 1000] [--size 64]   (Linux: /proc, 127.0.0.x)

First every face is drawn alone, one request at a time. Then all clients, each with its own address, request them at
once, half of them by a voice and half by a recording; every answer is compared with the face drawn alone. Finally,
`memory` small requests are sent one after the other, while the server's memory is monitored; the slope is that of a
line through the last nine tenths. Exits with 1 if a face is lost or wrong.
"""

from __future__ import annotations

import argparse
import base64
import io
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import numpy as np
import requests
from PIL import Image
from requests.adapters import HTTPAdapter

SAME = 2  # of 255: tolerance for a pixel of the same face drawn together with others
EVERY = 20  # requests between two measurements of memory


@dataclass(frozen=True)
class Asked:
    """sample: whose voice, from 1; heard: the voice is sent as numbers, otherwise as a recording."""

    sample: int
    seed: int
    heard: bool


@dataclass(frozen=True)
class Outcome:
    """lost: without a face; wrong: with another's; different: largest pixel difference to the face drawn alone;
    seconds: for each request; whole: in total; shortest, longest: mean seconds of the clients that waited least and
    most."""

    lost: int
    wrong: int
    different: int
    seconds: list[float]
    whole: float
    shortest: float
    longest: float


class Client:
    """A client with an address in 127.0.0.0/8."""

    def __init__(self, url: str, number: int) -> None:
        self.url, self.session = url, requests.Session()
        adapter = HTTPAdapter()
        adapter.init_poolmanager(1, 1, source_address=(f"127.0.1.{number + 1}", 0))
        self.session.mount("http://", adapter)

    def voice(self, recording: bytes) -> str:
        return str(self.session.post(f"{self.url}/v1/voices", data=recording, timeout=600).json()["voice"])

    def face(self, asked: Asked, voices: list[str], recordings: list[bytes]) -> np.ndarray | None:
        """(size, size, 3), or None if there was no answer."""
        wishes = {"seed": asked.seed, "count": 1}
        if asked.heard:
            answer = self.session.post(
                f"{self.url}/v1/faces", json={"voices": [voices[asked.sample - 1]], **wishes}, timeout=600
            )
        else:
            answer = self.session.post(
                f"{self.url}/v1/faces", data=recordings[asked.sample - 1], params=wishes, timeout=600
            )
        if answer.status_code != 200:
            print(answer.status_code, answer.text, file=sys.stderr)
            return None
        png = base64.b64decode(answer.json()["faces"][0]["png"].partition(",")[2])
        return np.array(Image.open(io.BytesIO(png)), int)


def load(url: str, clients: int, number: int, samples: int = 8, seed: int = 0) -> Outcome:
    """`number` requests from this many clients at once, with the first `samples` voices of the server."""
    first = Client(url, 0)
    recordings = [first.session.get(f"{url}/v1/samples/{n + 1}", timeout=60).content for n in range(samples)]
    voices = [first.voice(recording) for recording in recordings]
    wanted = [Asked(1 + n % samples, n // samples, n % 2 == 0) for n in range(number)]
    alone = {asked: first.face(asked, voices, recordings) for asked in wanted}
    random.Random(seed).shuffle(wanted)
    waiting: Queue[Asked] = Queue()
    for asked in wanted:
        waiting.put(asked)
    answers: list[tuple[int, Asked, np.ndarray | None, float]] = []

    def ask(who: int) -> None:
        client = Client(url, who)
        while True:
            try:
                asked = waiting.get_nowait()
            except Empty:
                return
            started = time.monotonic()
            face = None
            try:
                face = client.face(asked, voices, recordings)
            finally:
                answers.append((who, asked, face, time.monotonic() - started))

    started = time.monotonic()
    threads = [threading.Thread(target=ask, args=(who,)) for who in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.monotonic() - started
    off = [_off(face, alone[asked]) for _, asked, face, _ in answers if face is not None]
    means = [np.mean([seconds for by, *_, seconds in answers if by == who] or [0.0]) for who in range(clients)]
    return Outcome(
        lost=number - len(off),
        wrong=sum(difference > SAME for difference in off),
        different=max(off, default=0),
        seconds=sorted(seconds for *_, seconds in answers),
        whole=whole,
        shortest=float(min(means)),
        longest=float(max(means)),
    )


def _off(face: np.ndarray, alone: np.ndarray | None) -> int:
    return 255 if alone is None else int(np.abs(face - alone).max())


def memory(url: str, process: int, number: int) -> tuple[list[float], float]:
    """Megabytes of a server's process after every EVERY of some small requests, and the growth in kB per request over
    the last nine tenths."""
    client = Client(url, 0)
    recording = client.session.get(f"{url}/v1/samples/1", timeout=60).content
    voice = client.voice(recording)
    held = []
    for n in range(number):
        if client.face(Asked(1, n, True), [voice], []) is None:
            raise SystemExit("The server does not answer.")
        if (n + 1) % EVERY == 0:
            held.append(resident(process))
    late = held[len(held) // 10 :]
    slope = np.polyfit(np.arange(len(late)) * EVERY, late, 1)[0] * 1000
    return held, float(slope)


def resident(process: int) -> float:
    """Resident megabytes of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1000 if found else 0.0


@contextmanager
def serving(size: int) -> Iterator[tuple[str, int]]:
    """A new server: its address, and its process."""
    command = [sys.executable, "-u", "-m", "ds2f", "serve", "--port", "0", "--size", str(size), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+", process.stdout.readline())
        if address is None:
            raise SystemExit("The server did not start.")
        yield address[0], process.pid
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--memory", type=int, default=1000)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    failed = False
    with serving(options.size) as (url, process):
        if options.requests:
            done = load(url, options.clients, options.requests)
            print(f"{options.requests} requests of {options.clients} clients at once")
            print(f"  {done.lost} lost, {done.wrong} with another's face")
            print(f"  largest difference of a pixel to the face drawn alone: {done.different} of 255")
            print(f"  {done.whole:.0f} s; a request {np.median(done.seconds):.2f} s, at most {done.seconds[-1]:.2f} s")
            failed = bool(done.lost or done.wrong)
            print(f"  mean of a client: {done.shortest:.2f} to {done.longest:.2f} s")
        if options.memory:
            held, slope = memory(url, process, options.memory)
            tenths = [held[int((len(held) - 1) * n / 10)] for n in range(11)]
            print(f"{options.memory} small requests: {slope:+.2f} kB of memory a request; MB on the way:")
            print("  " + " ".join(f"{megabytes:.1f}" for megabytes in tenths))
    sys.exit(failed)


if __name__ == "__main__":
    main()
