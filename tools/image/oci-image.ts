/**
 * Container images without a registry, a daemon or a network: a folder becomes a tar file in the OCI image layout
 * (https://github.com/opencontainers/image-spec), as `ctr image import`, `docker load` and `podman load` take it. The same
 * folder gives the same bytes.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";

export interface ImageContent {
  /** The root file system. */
  root: string;
  /** Name and tag, e.g. `docker.io/library/portcullis:0.1.0`. */
  reference: string;
  entrypoint?: readonly string[];
  command?: readonly string[];
  /** `NAME=value`. */
  environment?: readonly string[];
  labels?: Readonly<Record<string, string>>;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const MEDIA = "application/vnd.oci.image";
/** Nothing of the machine or of the moment gets into the archive. */
const DETERMINISTIC = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=posix"];
/** Of the extended headers, what changes from run to run. */
const NO_TIMES = "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime";
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Writes the image to a tar file, and returns the digest of its manifest. @throws Error where tar fails */
export async function writeImage(content: ImageContent, file: string): Promise<string> {
  const folder = mkdtempSync(`${resolve(file)}.making-`);
  try {
    const blobs = join(folder, "blobs/sha256");
    mkdirSync(blobs, { recursive: true });
    const layer = await addLayer(blobs, content.root);
    const config = addJson(blobs, `${MEDIA}.config.v1+json`, configOf(content, layer.digest));
    const manifest = addJson(blobs, `${MEDIA}.manifest.v1+json`, {
      schemaVersion: 2,
      mediaType: `${MEDIA}.manifest.v1+json`,
      config,
      layers: [layer],
    });
    writeFileSync(join(folder, "index.json"), JSON.stringify(indexOf(manifest, content.reference)));
    writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    archive(folder, ["oci-layout", "index.json", "blobs"], `${file}.new`);
    renameSync(`${file}.new`, file);
    return manifest.digest;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function archive(folder: string, entries: readonly string[], file: string): void {
  execFileSync("tar", [...DETERMINISTIC, NO_TIMES, "-cf", resolve(file), "-C", folder, ...entries]);
}

async function addLayer(blobs: string, root: string): Promise<Descriptor> {
  const file = join(blobs, "layer");
  archive(root, ["."], file);
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  const digest = hash.digest("hex");
  const { size } = statSync(file);
  renameSync(file, join(blobs, digest));
  return { mediaType: `${MEDIA}.layer.v1.tar`, digest: `sha256:${digest}`, size };
}

function addJson(blobs: string, mediaType: string, value: object): Descriptor {
  const text = JSON.stringify(value);
  const digest = createHash("sha256").update(text).digest("hex");
  writeFileSync(join(blobs, digest), text);
  return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}

function configOf({ entrypoint, command, environment, labels }: ImageContent, layer: string) {
  return {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    config: {
      Env: environment ?? ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"],
      ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
      ...(command === undefined ? {} : { Cmd: command }),
      ...(labels === undefined ? {} : { Labels: labels }),
    },
    rootfs: { type: "layers", diff_ids: [layer] },
  };
}

function indexOf(manifest: Descriptor, reference: string) {
  const annotations = {
    "io.containerd.image.name": reference,
    "org.opencontainers.image.ref.name": reference,
  };
  return { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
}
