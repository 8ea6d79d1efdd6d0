/** What the tests with real containers set up once: a node, the servers outside, containerd with an image, an agent. */
import { copyFileSync, globSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import type { PodFacts } from "../../../src/node-agent/discovery/pods/pod-facts.ts";
import { cgroupRoot } from "../../../src/node-agent/kernel/mounts.ts";
import { writeImage } from "../../../tools/image/oci-image.ts";
import { EventStream } from "../../e2e/harness/event-stream.ts";
import { Fixture } from "../../e2e/harness/fixture.ts";
import { RunningProcess } from "../../e2e/harness/processes.ts";
import { Containerd, removeCgroups } from "./containerd.ts";
import { type CgroupStyle, TestPod } from "./pods.ts";

const AGENT = join(import.meta.dirname, "pod-agent.ts");
const CLIENT = join(import.meta.dirname, "../../../build/test/client");
const IMAGE = "registry.local/portcullis-test:1";
export const NEWER_IMAGE = "registry.local/portcullis-test:2";
/** Image -> version of the program that its link `/bin/linked` leads to. */
const VERSIONS = { [IMAGE]: "1.0", [NEWER_IMAGE]: "2.0" };
const START_TIMEOUT_MS = 30_000;

export interface AddPodOptions {
  /** Value of its label `app`; its name unless given. */
  app?: string;
  /** Whether the agent knows of it. */
  known?: boolean;
  cgroups?: CgroupStyle;
}

export class ContainerFixture {
  readonly fixture: Fixture;
  readonly events = new EventStream();
  readonly #containerd: Containerd;
  readonly #pods = new Map<TestPod, PodFacts>();
  #agent: RunningProcess | null = null;

  private constructor(fixture: Fixture, containerd: Containerd) {
    this.fixture = fixture;
    this.#containerd = containerd;
  }

  static async start(label: string): Promise<ContainerFixture> {
    let running: ContainerFixture | null = null;
    // Before the fixture's own: its end would take containerd away.
    after(() => running?.close());
    const fixture = await Fixture.start(label, { apps: [], startAgent: false });
    removeLeftoverCgroups();
    mkdirSync(join(cgroupRoot(), fixture.name, "kubepods"), { recursive: true });
    const containerd = await Containerd.start(fixture.path("containerd"), fixture.topology.node.name);
    for (const [image, version] of Object.entries(VERSIONS))
      containerd.importImage(await makeImage(fixture, image, version));
    running = new ContainerFixture(fixture, containerd);
    return running;
  }

  /** What the agent knows of its profiles. */
  write(...profiles: object[]): void {
    this.fixture.agent.write(...profiles);
  }

  async startAgent(): Promise<void> {
    const { agent, topology, name } = this.fixture;
    this.#announce();
    const args = [AGENT, agent.profilesFolder, this.#podFile, agent.pinRoot, agent.stateFolder, name];
    const running = RunningProcess.in(topology.node.name, process.execPath, args, {
      environment: { PATH: process.env.PATH ?? "" },
    });
    this.#agent = running;
    running.child.stdout?.on("data", (data) => this.events.feed(String(data)));
    running.child.on("close", (code, signal) =>
      this.events.end(`the agent has ended (${code ?? signal}): ${running.stderr.slice(-3000)}`),
    );
    await this.events.waitFor("ready", ({ type }) => type === "ready", { timeout: START_TIMEOUT_MS });
  }

  /** What the agent has said on standard error. */
  get diagnostics(): string {
    return this.#agent?.stderr ?? "";
  }

  /** A pod with its sandbox. The agent knows of it, unless `known` is false, before it has a process. */
  addPod(name: string, { app = name, known = true, cgroups = "containerd, cgroupfs" }: AddPodOptions = {}): TestPod {
    const { fixture } = this;
    const pod = new TestPod(name, {
      fixture: fixture.name,
      folder: fixture.folder,
      node: fixture.topology.node.name,
      containerd: this.#containerd,
      image: IMAGE,
      cgroups,
    });
    this.#pods.set(pod, pod.facts({ app }));
    if (known) this.#announce();
    pod.startSandbox();
    return pod;
  }

  /** Tells the agent of all pods. */
  tellAll(): void {
    this.#announce();
  }

  removePod(pod: TestPod): void {
    pod.remove();
    this.#pods.delete(pod);
    this.#announce();
  }

  /** Ends what runs in here; the fixture itself is taken down by its own. */
  async close(): Promise<void> {
    for (const pod of this.#pods.keys()) pod.remove();
    await this.#agent?.kill();
    await this.#containerd.stop();
    removeCgroups(this.fixture.name);
  }

  get #podFile(): string {
    return this.fixture.path("pods.json");
  }

  #announce(): void {
    writeFileSync(`${this.#podFile}.new`, JSON.stringify([...this.#pods.values()]));
    renameSync(`${this.#podFile}.new`, this.#podFile);
  }
}

/** An image with busybox, and the test client under four names: a file, another file, and two versions of a third, to one of which a link leads. */
async function makeImage(fixture: Fixture, reference: string, version: string): Promise<string> {
  const root = fixture.path(`image-${version}`);
  mkdirSync(join(root, "bin"), { recursive: true });
  mkdirSync(join(root, "tmp"));
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  symlinkSync("busybox", join(root, "bin/sh"));
  for (const name of ["app", "other", "linked-1.0", "linked-2.0"]) copyFileSync(CLIENT, join(root, "bin", name));
  symlinkSync(`/bin/linked-${version}`, join(root, "bin/linked"));
  const file = fixture.path(`image-${version}.tar`);
  await writeImage({ root, reference, command: ["/bin/sh"] }, file);
  return file;
}

/** Of runs that were killed: their processes are gone, with the namespaces they were in. */
function removeLeftoverCgroups(): void {
  const names = globSync("pc-e2e-*", { cwd: cgroupRoot() });
  for (const name of names) {
    const [, pid] = /^pc-e2e-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(pid)) removeCgroups(name);
  }
}

function isAlive(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8") !== "";
  } catch {
    return false;
  }
}
