# One image, one role per container: gateway up, or gateway serve | listen | work.
FROM python:3.11-slim AS build
COPY . /source
RUN python -m venv /opt/gateway \
    && /opt/gateway/bin/pip install --no-cache-dir -c /source/constraints.txt '/source[postgres]'

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin gateway \
    && install -d -o gateway -g gateway -m 0750 /data
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEWAY_DATA=/data \
    GATEWAY_HOST=0.0.0.0 \
    GATEWAY_MLLP_HOST=0.0.0.0
USER gateway
WORKDIR /data
VOLUME /data
EXPOSE 8000 2575 2576
# For the roles that speak HTTP (up, serve); compose.yaml says how the others are checked.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('GATEWAY_PORT', '8000') + '/health/live', timeout=3)"]
CMD ["gateway", "up"]
