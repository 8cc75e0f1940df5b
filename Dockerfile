# The gateway in one image: `exchange serve`, with embedded servers in /data unless their URLs are set.

FROM python:3.11-bookworm AS build
WORKDIR /src
COPY Makefile pyproject.toml README.md ./
COPY requirements/release.txt requirements/release.txt
COPY migrations migrations
COPY exchange exchange
RUN make release DEST=/opt/exchange

FROM python:3.11-slim-bookworm
RUN useradd --system --user-group --no-create-home --uid 10001 exchange \
    && install --directory --owner=exchange --group=exchange --mode=0700 /data
COPY --from=build /opt/exchange /opt/exchange
ENV PATH=/opt/exchange/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    EXCHANGE_DATA_DIR=/data
WORKDIR /data
USER exchange
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["exchange", "serve", "--host", "0.0.0.0"]
