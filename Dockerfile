# The image for those who build with docker or podman. What is in it is put together by tools/image/build-image.ts:
#
#   make build
#   node_modules/.bin/node tools/image/build-image.ts --root build/image/root
#   docker build -t portcullis .
#
# Without docker: `make image` writes the same image as a tar file.
FROM scratch
COPY build/image/root/ /
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 MALLOC_MMAP_THRESHOLD_=65536
ENTRYPOINT ["/usr/local/bin/node", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=4", "--optimize-for-size", "/opt/portcullis/src/cli/main.ts"]
