# The server without the embedded database: web process by default, worker by another command.
# deploy/compose.yaml starts both. Requirements are checked against their hashes.
FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt /
RUN python -m venv /venv && /venv/bin/pip install --require-hashes --requirement /requirements.txt

# The libraries of the desk.
FROM node:20-bookworm-slim AS desk
COPY package.json package-lock.json /
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.12-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=desk /node_modules node_modules
COPY run.py config.py ./
COPY app app
COPY embedded_db embedded_db
COPY deploy/gunicorn.conf.py deploy/
# Compiled now: the running container may not write to its root.
RUN python -m compileall -q . \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin paper-trading
USER 10001:10001
ENV APP_ENV=production HOST=0.0.0.0 PORT=5000 WEB_CONCURRENCY=1 TRUSTED_PROXIES=1 SOCKETIO_ASYNC_MODE=gevent LOG_FORMAT=json
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health/live', timeout=4)"]
CMD ["gunicorn", "--config", "deploy/gunicorn.conf.py"]
