# One image for every Airflow service, for the migrations and for the sandbox. docker-compose.yaml says which runs what.
# Not built by the project's tests (they have no container engine); tests/unit/deploy checks what can be read.
FROM python:3.12-slim-bookworm AS build
WORKDIR /opt/tieout
COPY requirements.txt requirements-dev.txt ./
# uv at the version and by the hashes of the lock; then the lock itself, byte-compiled: Airflow starts twice as fast.
RUN awk '/^uv==/{show=1} show{print} show && !/\\$/{exit}' requirements-dev.txt > /tmp/uv.txt \
 && python -m venv /opt/venv \
 && pip install --no-cache-dir --no-deps --require-hashes -r /tmp/uv.txt \
 && VIRTUAL_ENV=/opt/venv uv pip install --no-cache --no-deps --require-hashes --compile-bytecode -r requirements.txt
COPY pyproject.toml README.md ./
COPY plugins plugins
COPY sandbox sandbox
COPY dags dags
COPY include include
COPY expectations expectations
RUN VIRTUAL_ENV=/opt/venv uv pip install --no-cache --no-deps -e . \
 && /opt/venv/bin/python -m compileall -q plugins sandbox dags

FROM python:3.12-slim-bookworm
ARG TIEOUT_CODE_VERSION=image
RUN groupadd --gid 50000 tieout \
 && useradd --uid 50000 --gid tieout --create-home --home-dir /home/tieout tieout \
 && install -d -o tieout -g tieout /var/lib/tieout /var/lib/sandbox /opt/airflow /opt/airflow/logs
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/tieout /opt/tieout
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/opt/tieout/plugins:/opt/tieout \
    TIEOUT_PROJECT=/opt/tieout \
    TIEOUT_HOME=/var/lib/tieout \
    TIEOUT_CODE_VERSION=${TIEOUT_CODE_VERSION} \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/tieout/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/tieout/plugins \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/opt/airflow/logs
WORKDIR /opt/airflow
USER tieout
EXPOSE 8080
# For the API server, which is what the image runs by itself; docker-compose.yaml has a check for each service.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=5 \
  CMD ["python", "-m", "tieout.orchestration.probe", "http://127.0.0.1:8080/api/v2/monitor/health"]
CMD ["airflow", "api-server"]
