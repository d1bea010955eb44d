# The parts as images: `docker build --target proxy .`, and so for worker, redis and shop.
#
# Written for the usual builders and not built where it was written: there was no container engine.

FROM rust:1.92-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake libclang-dev libssl-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p seckill-module -p seckill-proxy -p seckill-worker \
      -p seckill-load -p seckill-sample-shop \
 && mkdir /built \
 && cp target/dist/libseckill.so target/dist/seckill-proxy target/dist/seckill-worker \
       target/dist/seckill-load target/dist/seckill-sample-shop /built/ \
 && strip --strip-debug /built/*

FROM debian:bookworm-slim AS base
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/*
USER 65534:65534

FROM base AS proxy
COPY --from=build /built/seckill-proxy /built/seckill-load /usr/bin/
COPY conf/proxy.toml /etc/seckill/proxy.toml
EXPOSE 8080
# It stops at SIGTERM, when requests under way are over.
ENTRYPOINT ["seckill-proxy", "--config", "/etc/seckill/proxy.toml"]

FROM base AS worker
COPY --from=build /built/seckill-worker /usr/bin/
COPY conf/worker.toml /etc/seckill/worker.toml
ENTRYPOINT ["seckill-worker", "--config", "/etc/seckill/worker.toml"]
CMD ["run"]

# A shop to try with, which writes down what it is told.
FROM base AS shop
COPY --from=build /built/seckill-sample-shop /usr/bin/
ENTRYPOINT ["seckill-sample-shop"]

FROM redis:7.2-bookworm AS redis
COPY --from=build /built/libseckill.so /usr/lib/redis/modules/libseckill.so
CMD ["redis-server", "--loadmodule", "/usr/lib/redis/modules/libseckill.so"]
