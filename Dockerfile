# syntax=docker/dockerfile:1

FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script; the workspace brings the Node for machines that have an older one.
RUN npm ci --ignore-scripts --workspaces=false
COPY tsconfig.json tsconfig.build.json tsconfig.demo.json ./
COPY src src
COPY examples examples
RUN npm run build

# What the profile "demo" of docker-compose.yml runs: the sample gateway and its traffic, from their sources.
FROM build AS demo
USER 1000:1000
ENTRYPOINT ["node"]
CMD ["examples/sample-gateway/main.ts", "--host", "0.0.0.0"]

FROM node:24.21.0-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# "optional": the compiler, which valibot's types could use.
RUN npm ci --ignore-scripts --omit=dev --omit=optional --workspaces=false

FROM node:24.21.0-trixie-slim AS tokenweir
LABEL org.opencontainers.image.title="tokenweir" \
      org.opencontainers.image.description="Reverse-proxy sidecar for LLM gateways that records the token usage of every request" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/node:24.21.0-trixie-slim"
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json README.md CHANGELOG.md LICENSE ./
# The live page links to them.
COPY docs docs
RUN install -d -o 1000 -g 1000 /var/lib/tokenweir
ENV NODE_ENV=production \
    TOKENWEIR_LISTEN=0.0.0.0:4141 \
    TOKENWEIR_ADMIN=0.0.0.0:4142 \
    TOKENWEIR_LEDGER=/var/lib/tokenweir/tokenweir.db
VOLUME /var/lib/tokenweir
EXPOSE 4141 4142
# A number, so that Kubernetes can tell that it is not root.
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.TOKENWEIR_ADMIN.split(':').at(-1)}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1 and gets the signals; npm would not pass them on in time.
# Young objects in 16 MiB: with 1,000 streams each needs 61 KiB instead of 70, and the whole 374 MiB instead of 570 (bench/README.md).
ENTRYPOINT ["node", "--max-semi-space-size=16", "/app/dist/tokenweir.js"]
