"""Judges that training has not seen, from public packages, for the benchmarks."""
