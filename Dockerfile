# The gateway. Two targets: `cpu` (the default) and `gpu` (tag index on the GPU).
# By itself a container starts its own Triton (the one from pip) on the CPU; compose.yaml puts NVIDIA's
# Triton beside it instead.
#
#   docker build --target cpu -t inkling .
#   docker run --rm -p 50051:50051 -p 8080:8080 -v inkling-data:/data inkling

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY proto proto
COPY server server
COPY client client
COPY training training
# HEIC pictures need the extra `heic` as well, and videos `video` (with `speech`): their wheels carry x265 and x264,
# which are GPL: your choice.
RUN pip install '.[server,discovery,ocr]' -c requirements/constraints.txt
RUN pip install --no-deps -r requirements/triton.txt
COPY model_repository model_repository
RUN useradd --create-home --uid 10001 inkling && install -d -o inkling /data
USER inkling
# All interfaces, inside the container's own network.
ENV INKLING_HOST=0.0.0.0 INKLING_DATA_DIR=/data INKLING_MODEL_REPOSITORY=/app/model_repository
VOLUME /data
EXPOSE 50051 8080
HEALTHCHECK --interval=5s --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["inkling-server"]

FROM base AS gpu
USER root
# Both packages are the module `faiss`: one replaces the other.
RUN pip uninstall --yes faiss-cpu && pip install '.[gpu]'
USER inkling

FROM base AS cpu
