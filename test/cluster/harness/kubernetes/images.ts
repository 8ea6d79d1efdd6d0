/** The small images of the tests: the sandbox, and one with busybox, the test client, curl and a DNS server. */
import { copyFileSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeImage } from "../../../../tools/image/oci-image.ts";
import { copyLibraries } from "../../../../tools/image/root.ts";
import { buildTool } from "../../../tools/build.ts";

const BUSYBOX = "/bin/busybox";
const CURL = "/usr/bin/curl";
const DNSMASQ = "/usr/sbin/dnsmasq";
export const DEMO_IMAGE = "registry.local/demo:1";
/** What examples/ping names: here the same programs at the same paths, since there is no registry. */
const EXAMPLE_IMAGES = ["docker.io/curlimages/curl:8.17.0", "docker.io/library/busybox:1.37.0"];
/** Names of busybox that scripts need; hard links would be programs of their own to a profile, links are not. */
const APPLETS = ["sh", "sleep", "wget", "nc", "cp", "mv", "cat", "ls", "httpd", "grep", "killall", "rm", "touch"];

/** Writes them to a folder. @returns the files */
export async function makeImages(folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const root = join(folder, "root");
  addProgram(root, BUSYBOX, BUSYBOX);
  const pause = join(folder, "pause.tar");
  await writeImage({ root, reference: "registry.local/pause:1", entrypoint: [BUSYBOX, "sleep", "infinity"] }, pause);
  fillDemo(root);
  const demo = join(folder, "demo.tar");
  await writeImage({ root, reference: DEMO_IMAGE, command: ["/bin/sleep", "infinity"] }, demo);
  const examples: string[] = [];
  for (const [index, reference] of EXAMPLE_IMAGES.entries()) {
    const file = join(folder, `example-${index}.tar`);
    await writeImage({ root, reference, command: ["/bin/sleep", "infinity"] }, file);
    examples.push(file);
  }
  rmSync(root, { recursive: true });
  return [pause, demo, ...examples];
}

/** The programs of the paper's example are a curl and a busybox, under names of their own, as in `make demo`. */
function fillDemo(root: string): void {
  for (const name of APPLETS) symlinkSync("busybox", join(root, "bin", name));
  const client = buildTool("client");
  for (const name of ["app", "other"]) addProgram(root, client, `/bin/${name}`);
  for (const path of ["/usr/local/bin/my-app", CURL]) addProgram(root, CURL, path);
  addProgram(root, BUSYBOX, "/usr/local/bin/pong");
  mkdirSync(join(root, "usr/sbin"), { recursive: true });
  symlinkSync("../local/bin/pong", join(root, "usr/sbin/httpd"));
  addProgram(root, DNSMASQ, DNSMASQ);
  copyLibraries(root, [CURL, DNSMASQ]);
  for (const name of ["tmp", "etc", "srv", "run"]) mkdirSync(join(root, name));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/bin/sh\n");
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  writeFileSync(join(root, "srv/index.html"), "pong\n");
}

function addProgram(root: string, program: string, path: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  copyFileSync(realpathSync(program), join(root, path));
}
