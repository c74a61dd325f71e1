# todo-api as an image: `docker build -t todo-api .`, then `docker run --init -p 8000:8000 --env-file todo-api.env
# todo-api`, and `docker run --rm --env-file todo-api.env todo-api migrate` once for each new version. Without DATABASE_URL
# its own PostgreSQL lives in the volume /data, and --init takes away what is left of its processes if it is killed.

FROM python:3.13-slim AS build
WORKDIR /app
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv .venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY openapi openapi
COPY handlers handlers
COPY db db
COPY server server
COPY alembic alembic
RUN .venv/bin/python -m pip install --constraint constraints.txt '.[embedded]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /data todo-api \
    && install --directory --owner=todo-api --group=todo-api --mode=0700 /data
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH \
    DATA_DIR=/data \
    HOST=0.0.0.0 \
    PORT=8000 \
    PYTHONUNBUFFERED=1
VOLUME /data
WORKDIR /data
# A number, since orchestrators that refuse root cannot look up a name.
USER 10001
EXPOSE 8000
# Ready, not only alive: the embedded database is a part of the container.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/ready', timeout=5)"]
ENTRYPOINT ["todo-api"]
CMD ["serve"]
