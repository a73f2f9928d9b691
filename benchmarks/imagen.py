"""Our decoder compared with imagen-pytorch, which the original research used: cost of training, cost of a face, and the
result of equal training time. One run, one machine, the same faces.

    pip install imagen-pytorch accelerate transformers datasets   # in an environment of its own next to ds2f
    python benchmarks/imagen.py DATABASE [--seconds 300] [--faces 128] [--steps 100]

Both are conditioned on the identity vector, which imagen receives as a text of one token. Its U-Net's width is chosen
for a similar number of parameters. A face at its research setting, two U-Nets with 1,000 steps each (64 px, then 128
px) with guidance, is extrapolated from 10 measured steps of each; the faces for the Fréchet distance use fewer steps
than its 1,000. It imports torchvision, whose registry build does not load with a CPU build of torch, so stubs replace
the few names that it takes from there. Its text encoder is never loaded, only asked for its width.
"""

from __future__ import annotations

import argparse
import importlib.machinery
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.diffusion.guidance import Guidance, guided
from ds2f.diffusion.samplers import multistep
from ds2f.evaluation.realism import frechet_distance
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.processor import cpu_has_bf16
from ds2f.training.decoder import DecoderTask
from ds2f.training.faces import FaceData, load_faces
from ds2f.training.likeness import Likeness
from ds2f.training.loop import Options, make_optimizers

SIZE, BATCH = 64, 32
TURNS = 8


def import_imagen() -> Any:
    import transformers  # type: ignore[import-not-found]  # before torchvision is stood in for, or it would ask that for more

    transformers.T5Config.from_pretrained = classmethod(lambda cls, *_, **__: cls(d_model=768))
    _ = transformers.T5EncoderModel, transformers.T5Tokenizer
    names = ("torchvision", "torchvision.transforms", "torchvision.utils", "torchvision.datasets")
    for name in names:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules[name] = module
    for name in names[1:]:
        setattr(sys.modules["torchvision"], name.split(".")[1], sys.modules[name])
    sys.modules["torchvision.transforms"].ToPILImage = lambda: None  # type: ignore[attr-defined]
    import imagen_pytorch  # type: ignore[import-not-found]

    return imagen_pytorch


class Ours:
    """likeness: with the loss on dlib's vectors, or on pixels alone, as in imagen."""

    def __init__(self, faces: FaceData, likeness: float) -> None:
        torch.manual_seed(0)
        self.name = f"ds2f, likeness {likeness}"
        self.decoder = Decoder(DecoderConfig(depth=6))
        self.task = DecoderTask(self.decoder, faces, faces, torch.device("cpu"), likeness)
        options = Options(Path(), BATCH, 1, 1e-3, 0, 1.0)
        self.optimizers = make_optimizers(self.decoder, options)
        self.parameters = sum(p.numel() for p in self.decoder.parameters())

    def step(self, rows: Tensor, generator: torch.Generator) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            loss = self.task.loss(rows, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def draw(self, identity: Tensor, generator: torch.Generator) -> Tensor:
        told = {"identity": Condition.of(identity), "coverage": Condition.of(torch.ones(len(identity), 1))}
        noise = torch.randn((len(identity), 3, SIZE, SIZE), generator=generator)
        predict = guided(self.decoder.eval(), told, Guidance(2.0))
        return self.decoder.denormalise(multistep(predict, noise, 10))


class Theirs:
    def __init__(self, library: Any, faces: FaceData) -> None:
        torch.manual_seed(0)
        self.name, self.library, self.faces = "imagen-pytorch", library, faces
        shape = dict(cond_dim=128, text_embed_dim=128, max_text_len=1, attn_heads=4, attn_dim_head=32)
        layers = dict(layer_attns=(False, False, True), layer_cross_attns=(False, False, True))
        self.base = library.Unet(dim=48, dim_mults=(1, 2, 3), num_resnet_blocks=2, **layers, **shape)
        self.upper = library.Unet(
            dim=48, dim_mults=(1, 2, 3), num_resnet_blocks=2, lowres_cond=True, memory_efficient=True, **layers, **shape
        )
        self.model = self.imagen(1000, 1)
        self.parameters = sum(p.numel() for p in self.base.parameters())
        self.optimizer = torch.optim.Adam(self.base.parameters(), lr=3e-4)

    def imagen(self, timesteps: int, unets: int) -> Any:
        chosen = (self.base, self.upper)[:unets]
        sizes = (SIZE, 2 * SIZE)[:unets]
        return self.library.Imagen(
            unets=chosen, image_sizes=sizes, text_embed_dim=128, timesteps=timesteps, cond_drop_prob=0.1
        )

    def step(self, rows: Tensor, generator: torch.Generator) -> None:
        images = self.faces.image[rows].float() / 255
        told = self.faces.conditions["identity"].value[rows][:, None]
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            loss = self.model(images, text_embeds=told, unet_number=1)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.base.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def draw(self, identity: Tensor, timesteps: int, unets: int = 1) -> Tensor:
        model = self.imagen(timesteps, unets).eval()
        faces: Tensor = model.sample(text_embeds=identity[:, None], cond_scale=2.0, use_tqdm=False)
        return faces * 2 - 1


def train(models: Sequence[Any], size: int, seconds: float) -> list[int]:
    """Train all for this many seconds each, in turns, so that noise from other programs affects all. Returns their
    steps; the first of each, which compiles and allocates, does not count."""
    generators = [torch.Generator().manual_seed(0) for _ in models]
    counts = [0] * len(models)
    for turn in range(TURNS + 1):
        for i, (model, generator) in enumerate(zip(models, generators, strict=True)):
            started = time.perf_counter()
            while True:
                model.step(torch.randint(size, (BATCH,), generator=generator), generator)
                if turn == 0:
                    break
                counts[i] += 1
                if time.perf_counter() - started > seconds / TURNS:
                    break
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0, help="of training, each")
    parser.add_argument("--faces", type=int, default=128, help="for the Fréchet distance")
    parser.add_argument("--steps", type=int, default=100, help="in which imagen draws them")
    options = parser.parse_args()
    library = import_imagen()
    with Dataset(options.database) as dataset:
        train_faces, held_out = (load_faces(dataset, split, SIZE) for split in ("train", "val"))
    chosen = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))[: 2 * options.faces]
    told, others = held_out.of("identity")[chosen].chunk(2)
    generator = torch.Generator().manual_seed(1)
    theirs = Theirs(library, train_faces)
    judge = Likeness(train_faces.of("identity").mean(0))
    print(f"{torch.get_num_threads()} threads; {options.seconds:.0f} s of training each, {options.faces} faces")
    print(f"real faces of other people: Fréchet distance {frechet_distance(told.numpy(), others.numpy()):.4f}")
    models: list[Any] = [Ours(train_faces, 0.0), Ours(train_faces, 0.5), theirs]
    for model, steps in zip(models, train(models, len(train_faces), options.seconds), strict=True):
        cost = 1000 * options.seconds / (steps * BATCH)
        started = time.perf_counter()
        if model is theirs:
            faces = torch.cat([theirs.draw(part, options.steps) for part in told.split(32)])
        else:
            faces = torch.cat([model.draw(part, generator) for part in told.split(32)])
        seconds = (time.perf_counter() - started) / len(told)
        with torch.no_grad():
            vectors = torch.cat([judge.vectors(part) for part in faces.split(32)])
            like = torch.cosine_similarity(vectors - judge.mean, told - judge.mean).mean()
        print(f"{model.name}: {model.parameters / 1e6:.1f} M parameters, {cost:.0f} ms of training per face,", end=" ")
        print(f"{steps * BATCH} faces seen; {seconds:.2f} s to draw one;", end=" ")
        print(f"Fréchet {frechet_distance(vectors.numpy(), told.numpy()):.4f}, likeness {float(like):.2f}", flush=True)
    for unets, what in ((1, "64 px, one U-Net"), (2, "128 px, two U-Nets")):
        started = time.perf_counter()
        theirs.draw(told[:2], 10, unets)
        seconds = (time.perf_counter() - started) / 2 * 100
        print(f"imagen-pytorch at 1,000 steps, {what}: {seconds:.0f} s a face, extrapolated from 10 steps")


if __name__ == "__main__":
    main()
