# syntax=docker/dockerfile:1
# The sidecar in an image: no compiler, no package manager of Python, not root, root file system
# read-only if you like. Run it with a configuration mounted at /etc/sidecar/sidecar.yaml:
#
#   docker run --read-only --tmpfs /var/lib/sidecar:uid=10001,gid=10001,mode=0700 \
#     -v ./sidecar.yaml:/etc/sidecar/sidecar.yaml:ro -p 8080:8080 model-sidecar

ARG PYTHON_VERSION=3.11

# --- build: everything hash-pinned, the package built offline from it ------------------------------
FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src

COPY requirements/ requirements/
RUN python -m venv /opt/sidecar/build \
    && /opt/sidecar/build/bin/pip install --no-deps --require-hashes -r requirements/build.lock
RUN python -m venv --without-pip /opt/sidecar/venv \
    && /opt/sidecar/build/bin/pip --python /opt/sidecar/venv/bin/python \
        install --no-deps --require-hashes -r requirements/core.lock

COPY pyproject.toml README.md LICENSE ./
COPY sidecar/ sidecar/
RUN /opt/sidecar/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/sidecar/build/bin/pip --python /opt/sidecar/venv/bin/python \
        install --no-deps --no-index dist/*.whl

# The kernels, compiled for any CPU of the architecture. The same variables stand in the image that
# runs: another CPU name or folder would compile them again at every start.
ENV NUMBA_CACHE_DIR=/opt/sidecar/jit NUMBA_CPU_NAME=generic
RUN /opt/sidecar/venv/bin/sidecar warm

# --- the image -------------------------------------------------------------------------------------
FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="model-sidecar" \
      org.opencontainers.image.description="Canary split, shadow mirror and live metrics beside a model server" \
      org.opencontainers.image.licenses="Apache-2.0"

RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/sidecar
COPY --from=build /opt/sidecar/venv /opt/sidecar/venv
COPY --from=build /opt/sidecar/jit /opt/sidecar/jit

ENV PATH=/opt/sidecar/venv/bin:$PATH \
    NUMBA_CACHE_DIR=/opt/sidecar/jit NUMBA_CPU_NAME=generic \
    SIDECAR__STATE_DIR=/var/lib/sidecar \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# A number, so that Kubernetes can prove runAsNonRoot without reading /etc/passwd.
USER 10001:10001
VOLUME /var/lib/sidecar
EXPOSE 8080 9090

# Asks the admin address of the same configuration: unhealthy means "send no traffic".
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["sidecar", "status", "--config", "/etc/sidecar/sidecar.yaml"]

# SIGTERM drains: queued connections are answered, requests in flight finish. Give it drain.timeout.
STOPSIGNAL SIGTERM
ENTRYPOINT ["sidecar"]
CMD ["run", "--config", "/etc/sidecar/sidecar.yaml"]
