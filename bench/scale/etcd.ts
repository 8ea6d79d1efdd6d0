/**
 * etcd 3.5, from Debian trixie, unpacked once and kept in the user's cache. The 3.4 of older releases is no measure: there a list of
 * one node's pods takes seconds in a cluster of this size.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { DebianSuite } from "../../test/kernels/boot/debian-suite.ts";
import { run } from "../../test/kernels/commands.ts";

const SUITE = "trixie";
const PACKAGE = "etcd-server";

/**
 * Path of the program; fetches it if it is not there.
 * @throws MatrixError where Debian's archive cannot be reached or is not signed as it should be
 */
export function provideEtcd(progress: (line: string) => void): string {
  const folder = join(homedir(), ".cache/portcullis/etcd", SUITE);
  const program = join(folder, "usr/bin/etcd");
  if (existsSync(program)) return program;
  progress(`fetching etcd of Debian ${SUITE} (once: kept in ${folder})`);
  const temporary = `${folder}.new`;
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true });
  const suite = new DebianSuite(SUITE, join(temporary, "apt"));
  suite.update();
  const packages = join(temporary, "packages");
  suite.download(packages, [PACKAGE]);
  for (const name of readdirSync(packages)) run("dpkg-deb", ["--extract", join(packages, name), temporary]);
  for (const name of ["apt", "packages"]) rmSync(join(temporary, name), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  renameSync(temporary, folder);
  return program;
}
