/**
 * A shop of real software, in a fixture: three replicas of a web server with what runs beside it, and a database, a cache, a service in Node
 * and one in Python, each in a workload of its own.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Zone } from "../../tools/servers/zone.ts";
import type { Fixture } from "../harness/fixture.ts";
import { patiently } from "../harness/patience.ts";
import { type Finished, RunningProcess } from "../harness/processes.ts";
import { nginxArguments } from "./nginx.ts";

const SOURCES = import.meta.dirname;
const NOBODY = 65534;
const PYTHON = realpathSync("/usr/bin/python3");
const START_MS = 20_000;
const GO = ["/usr/local/go/bin/go", "/usr/bin/go"].find((path) => existsSync(path));

export const REPLICAS = ["web-0", "web-1", "web-2"] as const;
const SERVICE_PORTS = { db: 5432, cache: 6379, api: 3000, stock: 8000 } as const;
export const SERVICES = Object.keys(SERVICE_PORTS);

/** The services under their names, and a site outside. */
export function shopZone(addressOf: (app: string) => string): Zone {
  const services = SERVICES.map((name) => [`${name}.example.com`, { a: [addressOf(name)] }]);
  return { "www.example.com": { a: ["198.51.100.1"] }, ...Object.fromEntries(services) };
}

/** A program that a replica runs, and what it has to print. */
export interface Job {
  command: readonly string[];
  prints: RegExp;
}

export class Shop {
  readonly #fixture: Fixture;
  readonly #postgres: string;
  #running: RunningProcess[] = [];

  /** Makes the programs, the repositories of git and apt, and the database. @param postgres folder of its programs */
  constructor(fixture: Fixture, postgres: string) {
    this.#fixture = fixture;
    this.#postgres = postgres;
    const served = fixture.path("served");
    mkdirSync(join(served, "apt"), { recursive: true });
    writeFileSync(join(served, "index.html"), "in stock\n");
    writeFileSync(join(served, "apt", "Packages"), "");
    execFileSync("git", ["init", "-q", "--bare", join(served, "repo.git")]);
    execFileSync("git", ["-C", join(served, "repo.git"), "update-server-info"]);
    mkdirSync(fixture.path("www"));
    writeFileSync(fixture.path("www", "index.html"), "welcome\n");
    this.#script("api", process.execPath, "api.mjs");
    this.#script("stock", PYTHON, "stock.py");
    this.#script("report", PYTHON, "report.py");
    this.#script("night-job", realpathSync("/bin/sh"), "night-job");
    fixture.program("wait-for");
    if (GO !== undefined) this.#buildProber(GO);
    this.#makeDatabase();
  }

  /** What one replica has to do; the others do the same sooner or later. */
  jobs(replica: string): Job[] {
    const { path } = this.#fixture;
    const lists = this.#fixture.path("apt", replica);
    mkdirSync(join(lists, "partial"), { recursive: true });
    const sources = join(lists, "sources.list");
    writeFileSync(sources, "deb [trusted=yes] http://stock.example.com:8000/apt/ ./\n");
    const apt = {
      "Dir::Etc::sourcelist": sources,
      "Dir::Etc::sourceparts": "/dev/null",
      "Dir::State::lists": lists,
      "Dir::Cache": join(lists, "cache"),
      "APT::Sandbox::User": "root",
      "Acquire::Languages": "none",
    };
    const clone = path.call(this.#fixture, "clones", `${replica}-${performance.now()}`);
    return [
      { command: ["psql", "-qAt", "-h", "db.example.com", "-U", "postgres", "-c", "select 6 * 7"], prints: /^42$/m },
      { command: ["redis-cli", "-h", "cache.example.com", "incr", "visits"], prints: /^\d+$/m },
      { command: ["curl", "-sS", "http://stock.example.com:8000/"], prints: /^in stock$/m },
      { command: ["git", "clone", "http://stock.example.com:8000/repo.git", clone], prints: /^/ },
      {
        command: ["apt-get", "update", ...Object.entries(apt).flatMap(([key, value]) => ["-o", `${key}=${value}`])],
        prints: /^Reading package lists/m,
      },
      { command: [this.#fixture.path("bin", "report")], prints: /^api \+PONG hello$/m },
      { command: [this.#fixture.path("bin", "night-job")], prints: /^t$/m },
      ...(GO === undefined ? [] : [{ command: [this.#prober, "api.example.com:3000"], prints: /^HTTP\/1.1 200 OK$/m }]),
    ];
  }

  /** Carries a job out in a replica. @throws if it does not do what it has to */
  async does(replica: string, { command, prints }: Job): Promise<void> {
    const { code, stdout, stderr } = await this.run(replica, command);
    if (code === 0 && prints.test(stdout)) return;
    throw new Error(`${replica}: ${command.join(" ")}: ${code}: ${stdout}${stderr}`);
  }

  async run(replica: string, [program = "", ...args]: readonly string[]): Promise<Finished> {
    const place = this.#fixture.workload(replica);
    return await this.#fixture.start(place, program, args, { ownResolver: true }).finish(START_MS);
  }

  /** A page of a replica, as somebody outside gets it. */
  async page(replica: string, path: string): Promise<string> {
    const { topology } = this.#fixture;
    const url = `http://${this.#fixture.workload(replica).ipv4}:8080${path}`;
    const { stdout } = await this.#fixture.run(topology.outside, "curl", ["-sS", "--max-time", "5", url]);
    return stdout;
  }

  async start(): Promise<void> {
    const { path } = this.#fixture;
    const inFolder = path.bind(this.#fixture);
    const asNobody = ["--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];
    const settings = { listen_addresses: "*", unix_socket_directories: "", fsync: "off" };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    await this.#serve("db", "setpriv", [
      ...asNobody,
      join(this.#postgres, "postgres"),
      "-D",
      inFolder("db"),
      ...options,
    ]);
    await this.#serve("cache", "redis-server", ["--protected-mode", "no", "--save", "", "--dir", this.#fixture.folder]);
    await this.#serve("api", inFolder("bin", "api"), []);
    await this.#serve("stock", inFolder("bin", "stock"), [inFolder("served")]);
    for (const replica of REPLICAS) {
      const server = `listen 8080; root ${inFolder("www")}; location /api { proxy_pass http://api.example.com:3000; }`;
      await this.#serve(replica, "nginx", nginxArguments(this.#fixture, server, replica));
    }
    await this.#untilAnswers();
    for (const replica of REPLICAS) await this.#waitFor(replica);
  }

  async stop(): Promise<void> {
    for (const running of this.#running) running.child.kill("SIGTERM");
    for (const running of this.#running) await running.finish(START_MS);
    this.#running = [];
  }

  async #serve(app: string, program: string, args: readonly string[]): Promise<void> {
    const place = this.#fixture.workload(app);
    this.#running.push(this.#fixture.start(place, program, args, { ownResolver: true }));
  }

  /** As an init container would: so each service has been connected to from each replica. */
  async #waitFor(replica: string): Promise<void> {
    const verbs = Object.entries(SERVICE_PORTS).map(
      ([app, port]) => `tcp4 connect ${this.#fixture.workload(app).ipv4} ${port} close`,
    );
    await this.#fixture.passes(this.#fixture.workload(replica), this.#fixture.path("bin", "wait-for"), verbs.join(" "));
  }

  /** Asks the services from their own workloads, over loopback, which is no traffic of theirs. */
  async #untilAnswers(): Promise<void> {
    const ports = [...Object.entries(SERVICE_PORTS), ...REPLICAS.map((replica) => [replica, 8080] as const)];
    for (const [app, port] of ports) {
      const script = `for i in $(seq ${patiently(200)}); do nc -z 127.0.0.1 ${port} && exit 0; sleep 0.1; done; exit 1`;
      const { code } = await RunningProcess.in(this.#fixture.workload(app).name, "sh", ["-c", script]).finish(START_MS);
      if (code === 0) continue;
      throw new Error(`${app} does not listen: ${this.#running.map(({ stderr }) => stderr.slice(-500)).join("\n")}`);
    }
  }

  #script(name: string, interpreter: string, source: string): void {
    const path = this.#fixture.path("bin", name);
    writeFileSync(path, `#!${interpreter}\n${readFileSync(join(SOURCES, source), "utf8")}`);
    chmodSync(path, 0o755);
  }

  get #prober(): string {
    return this.#fixture.path("bin", "prober");
  }

  #buildProber(go: string): void {
    const environment = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=mod", GO111MODULE: "off" };
    execFileSync(go, ["build", "-o", this.#prober, join(SOURCES, "prober.go")], { env: environment });
  }

  #makeDatabase(): void {
    const folder = this.#fixture.path("db");
    mkdirSync(folder);
    chownSync(folder, NOBODY, NOBODY);
    const user = { uid: NOBODY, gid: NOBODY, cwd: folder, stdio: "pipe" as const };
    execFileSync(join(this.#postgres, "initdb"), ["-D", folder, "-U", "postgres", "-A", "trust", "-N"], user);
    writeFileSync(join(folder, "pg_hba.conf"), "host all all 0.0.0.0/0 trust\n");
    const single = ["--single", "-D", folder, "postgres"];
    execFileSync(join(this.#postgres, "postgres"), single, { ...user, input: "create table nights (page text)\n" });
  }
}
