/**
 * Packages of other Debian suites than this machine's. The mirror is the one that apt has here, signatures are
 * checked with Debian's own keys, and apt's state on this machine is left alone.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../commands.ts";
import { MatrixError } from "../errors.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Suites that live and die without security updates of their own. */
const WITHOUT_SECURITY = ["sid"];

/** The codename in the text of /etc/os-release. */
function codenameHere(): string {
  const name = run("sh", ["-c", '. /etc/os-release && echo "$VERSION_CODENAME"']).trim();
  if (name === "") throw new MatrixError("the kernels are Debian's, and apt of a Debian system fetches them: use one");
  return name;
}

/** The archive that serves a release of this machine; null if apt has none. Known without any package list. */
function siteOf(release: string): string | null {
  const lines = run("apt-get", ["indextargets", "--format", "$(RELEASE)|$(SITE)", "Created-By: Packages"]).split("\n");
  const site = lines.map((line) => line.split("|")).find(([name]) => name === release)?.[1];
  return site === undefined || site === "" ? null : site;
}

/** One suite, with apt's lists of it in a folder. */
export class DebianSuite {
  readonly #name: string;
  readonly #folder: string;

  /** @param folder where lists and packages are kept */
  constructor(name: string, folder: string) {
    this.#name = name;
    this.#folder = folder;
  }

  /** Fetches the package lists, if they are not there or `again` is set. */
  update(again = false): void {
    const lists = join(this.#folder, "lists");
    if (!again && existsSync(lists) && readdirSync(lists).some((name) => name.includes("_Packages"))) return;
    if (!existsSync(KEYRING))
      throw new MatrixError("Debian's keys are missing: apt-get install debian-archive-keyring");
    for (const name of ["lists/partial", "cache/archives/partial"]) {
      mkdirSync(join(this.#folder, name), { recursive: true });
    }
    writeFileSync(join(this.#folder, "sources.list"), this.#sources());
    writeFileSync(join(this.#folder, "status"), "");
    // The system's own hooks (for package browsers and the like) have no business here.
    writeFileSync(join(this.#folder, "apt.conf"), "#clear APT::Update;\n#clear DPkg::Post-Invoke;\n");
    this.#apt("apt-get", "-o", "APT::Update::Error-Mode=any", "-q", "update");
  }

  /** Names of the packages that a package depends on, alternatives included. */
  dependencies(name: string): string[] {
    const text = this.#apt("apt-cache", "show", "--no-all-versions", name);
    const depends = /^Depends: (.*)$/m.exec(text)?.[1] ?? "";
    return depends.split(/[,|]/).map((part) => part.trim().split(" ")[0] ?? "");
  }

  /** Fetches packages into a folder, with their signatures checked. */
  download(folder: string, names: readonly string[]): void {
    mkdirSync(folder, { recursive: true });
    run("apt-get", [...this.#options(), "-q", "download", ...names], { cwd: folder, env: this.#environment() });
  }

  #sources(): string {
    const here = codenameHere();
    const archive = siteOf(here);
    if (archive === null) throw new MatrixError(`apt has no source for ${here}, so no mirror is known`);
    // Mirrors that carry both keep the security archive beside the main one.
    const security = siteOf(`${here}-security`) ?? `${archive}-security`;
    const options = `[arch=amd64 signed-by=${KEYRING}]`;
    const lines = [`deb ${options} ${archive} ${this.#name} main`];
    if (!WITHOUT_SECURITY.includes(this.#name)) lines.push(`deb ${options} ${security} ${this.#name}-security main`);
    return lines.map((line) => `${line}\n`).join("");
  }

  #options(): string[] {
    const settings = {
      "Dir::State": this.#folder,
      "Dir::State::lists": join(this.#folder, "lists"),
      "Dir::State::status": join(this.#folder, "status"),
      "Dir::Cache": join(this.#folder, "cache"),
      "Dir::Etc::SourceList": join(this.#folder, "sources.list"),
      "Dir::Etc::SourceParts": "/dev/null",
      "Dir::Etc::Preferences": "/dev/null",
      "Dir::Etc::PreferencesParts": "/dev/null",
      "Acquire::Languages": "none",
      // The lists of a suite that is no longer updated go stale.
      "Acquire::Check-Valid-Until": "false",
      "APT::Sandbox::User": "root",
      "APT::Architecture": "amd64",
    };
    return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  }

  #environment(): Record<string, string> {
    return { APT_CONFIG: join(this.#folder, "apt.conf") };
  }

  #apt(command: string, ...args: string[]): string {
    return run(command, [...this.#options(), ...args], { env: this.#environment() });
  }
}
