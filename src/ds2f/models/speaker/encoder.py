"""A speaker encoder that has been or will be trained here: features and a network, as one model with its
configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from torch import Tensor, nn

from ds2f.models.speaker.campplus import CAMPlusPlus
from ds2f.models.speaker.ecapa import ECAPATDNN
from ds2f.models.speaker.features import Features, LogMel
from ds2f.models.speaker.resnet import ResNetSE34L, ResNetSE34V2
from ds2f.models.speaker.resnet34 import ResNet34

NetworkName = Literal["resnetse34l", "resnetse34v2", "resnet34", "ecapa-tdnn", "campplus"]
NETWORKS: dict[str, type[nn.Module]] = {
    "resnetse34l": ResNetSE34L,
    "resnetse34v2": ResNetSE34V2,
    "resnet34": ResNet34,
    "ecapa-tdnn": ECAPATDNN,
    "campplus": CAMPlusPlus,
}
TRAINER = Features("stft", 40, "hamming", 1.0, 0.0, "instance")
USUAL: dict[str, tuple[int, Features]] = {
    "resnetse34l": (512, TRAINER),
    "resnetse34v2": (512, Features("stft", 64, "hamming", 1.0, 0.97, "instance")),
    "resnet34": (256, Features("kaldi", 80, "hamming", 32768.0)),
    "ecapa-tdnn": (192, Features("kaldi", 80, "hamming", 32768.0)),
    "campplus": (192, Features("kaldi", 80, "povey")),
}
"""{network: (dimension of the embedding, features)} as published."""


@dataclass(frozen=True)
class VoiceConfig:
    """network: in NETWORKS; features: its input; dim: of the embedding; options: further arguments of its class, such
    as {"width": 32}."""

    network: NetworkName = "campplus"
    features: Features = field(default_factory=Features)
    dim: int = 192
    options: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def usual(network: NetworkName, **options: Any) -> VoiceConfig:
        """As published. options: of its class."""
        dim, features = USUAL[network]
        return VoiceConfig(network, features, dim, options)


class VoiceNetwork(nn.Module):
    """(n, samples) float32 in [-1, 1] at 16 kHz to (n, dim), not yet of length one."""

    def __init__(self, config: VoiceConfig) -> None:
        """Raises ValueError for features that no network accepts."""
        super().__init__()
        if config.features.bins % 8:
            raise ValueError(f"{config.features.bins} bands cannot be halved three times")
        self.config = config
        self.features = LogMel(config.features)
        self.network: Any = NETWORKS[config.network](bins=config.features.bins, dim=config.dim, **config.options)

    @property
    def channels(self) -> int:
        """Of the last layer over time."""
        return int(self.network.channels)

    def over_time(self, audio: Tensor) -> Tensor:
        """The last layer over time, (n, channels, t)."""
        return self.network(self.features(audio))

    def forward(self, audio: Tensor) -> Tensor:
        return self.network.embedding(self.over_time(audio))

    def both(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding, (n, dim), and the mean over time of the last layer, (n, channels)."""
        over_time = self.over_time(audio)
        return self.network.embedding(over_time), over_time.mean(2)


class Learnt(NamedTuple):
    """Whose speech an encoder was trained on, as hashes of names (`dataset.speakers`). told: people whose identity was
    part of its loss; heard: people whose recordings it received without being trained to distinguish them."""

    told: frozenset[str] = frozenset()
    heard: frozenset[str] = frozenset()

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Self:
        """From the card of a voice model; older ones have one list, and "names" states which it is."""
        people, heard = frozenset(card.get("speakers", ())), frozenset(card.get("heard", ()))
        return cls(people, heard - people) if card.get("names", True) else cls(frozenset(), people | heard)

    def and_then(self, people: Collection[str], told: bool) -> Self:
        """After further training. told: whether identities were used."""
        names = self.told | frozenset(people if told else ())
        return type(self)(names, (self.heard | frozenset(people)) - names)

    def on_card(self) -> dict[str, list[str]]:
        return {"speakers": sorted(self.told), "heard": sorted(self.heard)}
