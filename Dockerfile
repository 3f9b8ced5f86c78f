# The service in a container: models included, no torch, no compiler, no root.
#
#   docker build --tag forger .                    for NVIDIA GPUs; docker run --gpus all ...
#   docker build --tag forger:cpu --target cpu .   without
#   docker run --rm --publish 3000:3000 forger:cpu
#
# Other models: --volume "$PWD/models:/models:ro". A read-only root file system needs one writable
# place: --read-only --tmpfs /tmp.

FROM python:3.13.15-slim-bookworm@sha256:2325bb286ec344af3e5898cc224b5844e2707ac6e26b1632516fd3edc84a5e26 AS python
ENV LANG=C.UTF-8
# The base has no bytecode, and the service's user may write none: without this, every start compiles afresh.
RUN python -m compileall -q --invalidation-mode checked-hash -x site-packages /usr/local/lib/python3.*

# What both builds install from: the project's requirements and the pins. README.md is named by the
# project's metadata; an empty one stands in, so that a change of its text costs no installation.
FROM python AS requirements
WORKDIR /build
COPY pyproject.toml constraints.txt LICENSE ./
RUN touch README.md && python -m venv --without-pip /opt/forger

FROM requirements AS requirements-cpu
RUN pip --python /opt/forger/bin/python install --no-cache-dir --constraint constraints.txt ".[cpu,traces]"

FROM requirements AS requirements-gpu
RUN pip --python /opt/forger/bin/python install --no-cache-dir --constraint constraints.txt ".[gpu,traces]"

# What changes with every commit, apart: it lies above the requirements, so that they are copied once.
FROM python AS application
WORKDIR /srv/forger
COPY LICENSE ./
COPY contract contract/
COPY service service/
RUN python -m compileall -q --invalidation-mode checked-hash /srv/forger
COPY models /models/

FROM python AS runtime
# Before the user is known, so that it is root's in every builder.
WORKDIR /srv/forger
RUN groupadd --gid 10001 forger \
    && useradd --uid 10001 --gid forger --home-dir /var/lib/forger --create-home --shell /usr/sbin/nologin forger
ENV PATH=/opt/forger/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000 \
    FORGER_MODELS_DIR=/models
EXPOSE 3000
USER 10001:10001
# On SIGTERM the server finishes what it has accepted, for at most FORGER_GRACE_MS (30,000): give docker stop
# more (docker stop -t 35).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); server.request('GET', '/readyz'); sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "service"]

FROM runtime AS cpu
COPY --from=requirements-cpu /opt/forger /opt/forger
COPY --from=application /srv/forger /srv/forger
COPY --from=application /models /models

FROM runtime AS gpu
COPY --from=requirements-gpu /opt/forger /opt/forger
COPY --from=application /srv/forger /srv/forger
COPY --from=application /models /models
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
