"""Ranking in a gallery of 100,000 faces, compared with one bare matrix product of the same size.

python benchmarks/retrieval.py [--gallery 100000] [--queries 4000] [--dim 128]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from ds2f.evaluation.retrieval import _BLOCK, rank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=128)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(options.gallery, options.dim)).astype(np.float32)
    queries = gallery[: options.queries] + rng.normal(size=(options.queries, options.dim)).astype(np.float32)
    people = [str(i // 10) for i in range(options.gallery)]
    bare, ours = [], []
    for _ in range(3):  # in turns, so that load from other programs affects both
        bare.append(_bare(queries, gallery))
        start = time.perf_counter()
        ranks = rank(queries, gallery, people, "cosine")
        ours.append(time.perf_counter() - start)
    product, ranked = min(bare), min(ours)
    print(f"{options.queries:,} queries, {options.gallery:,} faces of {options.dim} numbers: product {product:.2f} s,")
    print(f"ranking {ranked:.2f} s ({ranked / product:.2f} times), R@1 {ranks.hit(1).mean():.3f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def _bare(queries: np.ndarray, gallery: np.ndarray) -> float:
    """Seconds for queries @ galleryᵀ, in blocks of the same size, discarding the result."""
    step = max(1, _BLOCK // len(gallery))
    out = np.empty((step, len(gallery)), np.float32)
    start = time.perf_counter()
    for at in range(0, len(queries), step):
        part = queries[at : at + step]
        np.matmul(part, gallery.T, out=out[: len(part)])
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
