# The page and the HTTP API of ds2f; docs/api.md says how to run it.
#
#     docker build -t ds2f .                                 for a CPU
#     docker build -t ds2f:cuda --build-arg TORCH=cu130 .    for NVIDIA GPUs; run it with --gpus all

ARG PYTHON=3.12-slim-bookworm

# All that is installed, in one folder; what builds it stays behind.
FROM python:${PYTHON} AS build
# Which build of PyTorch: cpu, or a version of CUDA as PyTorch names it. EXTRAS: optional parts of ds2f, see its pyproject.toml.
ARG TORCH=cpu
ARG EXTRAS=serve,faces,hub,c2pa
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/ds2f
ENV PATH=/opt/ds2f/bin:$PATH
COPY constraints.txt ./
# Alone and first: it is the largest, and changes least.
RUN pip install -c constraints.txt --extra-index-url "https://download.pytorch.org/whl/${TORCH}" torch
COPY pyproject.toml README.md LICENSE ./
COPY docs docs
COPY src src
RUN pip install -c constraints.txt ".[${EXTRAS}]" && python -c "import ds2f.page.serve"

FROM python:${PYTHON}
# Nobody with rights; what may be written lies in its home: models from the Hub, the key by which pictures are signed.
RUN groupadd --gid 10001 ds2f \
    && useradd --uid 10001 --gid ds2f --create-home --home-dir /var/lib/ds2f --shell /usr/sbin/nologin ds2f
COPY --from=build /opt/ds2f /opt/ds2f
ENV PATH=/opt/ds2f/bin:$PATH HOME=/var/lib/ds2f PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/ds2f
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz/live', timeout=8)"]
ENTRYPOINT ["ds2f"]
# Called by other names than localhost it refuses to answer; add --allow-host NAME for the server's own.
CMD ["serve", "--host", "0.0.0.0", "--allow-host", "localhost"]
