# tokenweir from its npm package. `tokenweir init` writes this file beside its compose file.
FROM node:24.21.0-trixie-slim
ARG TOKENWEIR_VERSION
RUN npm install --global --ignore-scripts "tokenweir@${TOKENWEIR_VERSION:?}" && install -d -o 1000 -g 1000 /var/lib/tokenweir
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
# Node itself is process 1 and gets the signals.
# Young objects in 16 MiB: with 1,000 streams each needs 61 KiB instead of 70, and the whole 374 MiB instead of 570 (bench/README.md).
ENTRYPOINT ["node", "--max-semi-space-size=16", "/usr/local/lib/node_modules/tokenweir/dist/tokenweir.js"]
