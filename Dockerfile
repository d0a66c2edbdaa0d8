# syntax=docker/dockerfile:1
# The container image: jwtlet-server, the command jwtlet, and nothing that a shell could run in.
#
#   docker build --tag jwtlet .
#   docker buildx build --platform linux/amd64,linux/arm64 --sbom=true --provenance=true --tag … .
#
# Each platform is built by a machine of its kind, or by its emulation. The build stage is the Debian whose C library the
# base image has.

ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-slim-bookworm AS build
ARG TARGETARCH
# Seconds since 1970: the time that goes into what is made. The same sources and the same time give the same binaries.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,id=target-${TARGETARCH},sharing=locked \
    --mount=type=cache,target=/src/.tools,id=tools-${TARGETARCH},sharing=locked \
    scripts/image-root /image

FROM gcr.io/distroless/cc-debian12:nonroot
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="jwtlet" \
      org.opencontainers.image.description="OAuth 2.0 token exchange (RFC 8693) for the participant contexts of a data space" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=build /image/root/ /
# The only directory that anything is written to, and only with storage of type sqlite. Mount a volume there.
COPY --from=build --chown=65532:65532 /image/data/ /var/lib/jwtlet/
ENV JWTLET_CONFIG_FILE=/etc/jwtlet/config/config.toml
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/jwtlet-server", "probe"]
ENTRYPOINT ["/usr/local/bin/jwtlet-server"]
