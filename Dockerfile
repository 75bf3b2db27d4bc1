# The image of asterisk-sip: its user owns nothing but /var/lib/asterisk-sip, so the rest may be read-only.
#   docker build -t asterisk-sip .      How to run it: docs/install.md. The tests run these steps in a Debian root.

FROM debian:bookworm-slim AS build
RUN apt-get update -q && apt-get install -q -y --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /src
COPY requirements/build.txt requirements/image.txt requirements/
RUN python3 -m venv /tools && /tools/bin/pip install -q --no-cache-dir --require-hashes -r requirements/build.txt
RUN python3 -m venv --without-pip /opt/asterisk-sip \
 && /tools/bin/pip --python /opt/asterisk-sip/bin/python install -q --no-cache-dir --no-compile --require-hashes -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY asterisk_sip asterisk_sip
RUN /tools/bin/pip wheel -q --no-deps --no-build-isolation --wheel-dir dist . \
 && /tools/bin/pip --python /opt/asterisk-sip/bin/python install -q --no-compile --no-index --no-deps dist/*.whl \
 && /opt/asterisk-sip/bin/python -m compileall -q -j 0 /opt/asterisk-sip

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="asterisk-sip" \
      org.opencontainers.image.description="Tells why calls fail: one record per failed call, with the exact SIP status, its class and meaning." \
      org.opencontainers.image.licenses="MIT"
RUN apt-get update -q && apt-get install -q -y --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
 && groupadd --system --gid 10001 asterisk-sip \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/asterisk-sip --no-log-init asterisk-sip \
 && install -d -o asterisk-sip -g asterisk-sip -m 0750 /var/lib/asterisk-sip
COPY --from=build /opt/asterisk-sip /opt/asterisk-sip
ENV PATH=/opt/asterisk-sip/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/asterisk-sip
VOLUME /var/lib/asterisk-sip
EXPOSE 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8600/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--", "asterisk-sip"]
CMD ["run", "--config", "/etc/asterisk-sip/asterisk-sip.toml"]
