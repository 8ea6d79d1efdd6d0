/** The small images of the tests: the sandbox, and busybox with the test client. */
import { copyFileSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { writeImage } from "../../../tools/image/oci-image.ts";

const CLIENT = join(import.meta.dirname, "../../../build/test/client");
const BUSYBOX = "/bin/busybox";
export const DEMO_IMAGE = "registry.local/demo:1";
/** Names of busybox that scripts need; hard links would be programs of their own to a profile, links are not. */
const APPLETS = ["sh", "sleep", "wget", "nc", "cp", "mv", "cat", "ls", "httpd"];

/** Writes them to a folder. @returns the files */
export async function makeImages(folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const root = join(folder, "root");
  mkdirSync(join(root, "bin"), { recursive: true });
  mkdirSync(join(root, "tmp"));
  copyFileSync(BUSYBOX, join(root, "bin/busybox"));
  const pause = join(folder, "pause.tar");
  await writeImage(
    { root, reference: "registry.local/pause:1", entrypoint: ["/bin/busybox", "sleep", "infinity"] },
    pause,
  );
  for (const name of APPLETS) symlinkSync("busybox", join(root, "bin", name));
  for (const name of ["app", "other"]) copyFileSync(CLIENT, join(root, "bin", name));
  const demo = join(folder, "demo.tar");
  await writeImage({ root, reference: DEMO_IMAGE, command: ["/bin/sleep", "infinity"] }, demo);
  rmSync(root, { recursive: true });
  return [pause, demo];
}
