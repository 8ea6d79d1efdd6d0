/** docs/benchmarks.md, as the last run with --write found it. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { ratioChart } from "./chart.ts";
import { sectionOf } from "./page.ts";
import { type Result, resultCells } from "./table.ts";

const DOCUMENT = fileURLToPath(new URL("../../docs/benchmarks.md", import.meta.url));
const CHART = "images/benchmarks.svg";
const GIBIBYTE = 1024 ** 3;

/** What was run: for the reader who wants to repeat it. */
export interface Run {
  seconds: number;
  /** When it ended. */
  time: Date;
  /** What disturbed it. */
  notes: readonly string[];
}

/** Writes page and picture; the sections of `make bench-plane` and `make bench-scale` stay. */
export function writeDocument(results: readonly Result[], run: Run): void {
  const page = readFileSync(DOCUMENT, "utf8");
  const others = (["bench-plane", "bench-scale"] as const).map((name) => sectionOf(page, name));
  writeFileSync(
    fileURLToPath(new URL(CHART, `file://${DOCUMENT}`)),
    ratioChart(results.filter(({ baseline }) => baseline === "bare")),
  );
  writeFileSync(
    DOCUMENT,
    [introduction(), machine(run), targets(results), ...results.map(section), method(), ...others].join("\n"),
  );
}

function introduction(): string {
  return `# Benchmarks

What Portcullis costs, against the same traffic without it, in one run on one machine. This page is written by
\`make bench ARGS=--write\` (and \`make bench-plane\` and \`make bench-scale\`, with the same argument), and no figure on it is typed by hand. Figures depend on the machine; the ratios much less so.

![Ratios against the baseline](${CHART})
`;
}

function machine({ seconds, time, notes }: Run): string {
  const cpu = cpus()[0]?.model.trim() ?? "unknown";
  const node = `Node ${process.version}`;
  return `## Machine

| | |
| --- | --- |
| CPU | ${cpus().length} x ${cpu}${isVirtual() ? ", virtual" : ""} |
| Memory | ${(totalmem() / GIBIBYTE).toFixed(0)} GiB |
| Kernel | ${release()} |
| Mitigations | ${mitigations()} |
| Software | ${node}, ${version("clang")} |
| Run | \`make bench ARGS="--write --seconds ${seconds}"\`, ${time.toISOString().slice(0, 10)}, ${seconds} s for each table |
${notes.map((note) => `\n${note}\n`).join("")}`;
}

function targets(results: readonly Result[]): string {
  const lines = results.flatMap(({ title, targets: list }) =>
    list.map(({ text, measured, met }) => `| ${title} | ${text} | ${measured} | ${met ? "yes" : "**no**"} |`),
  );
  return ["## Targets", "", "| what | target | measured | met |", "| --- | --- | --- | --- |", ...lines, ""].join("\n");
}

function section(result: Result): string {
  const [head = [], ...rows] = resultCells(result);
  const align = head.map((_, n) => (n === 0 ? "---" : "---:"));
  const table = [head, align, ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  const unit = result.baseline === "" ? [] : [`In ${result.unit}; ratios against ${result.baseline}.`, ""];
  const notes = result.notes.length === 0 ? [] : [result.notes.join(" "), ""];
  return [`## ${result.title}`, "", ...unit, ...notes, ...table, ""].join("\n");
}

function method(): string {
  return `## How it is measured

- Workloads, nodes and peers are network namespaces, joined by veth pairs and routing, made for the run and removed after it:
  \`workload --veth-- node --veth-- peer\`. Portcullis guards the workload's veth on the node. Its agent is \`portcullis agent\`.
- Every round measures every variant for some milliseconds, in another order each time, and a ratio is the median of the
  rounds' ratios; ± is half the width of its 95 % confidence interval. So what else goes on in the machine meets all variants alike.
- A packet's cost is the whole way from \`send\` to \`recv\`: both ends are sockets of one thread that is pinned to a CPU and has a
  real-time priority, so that the time that passes is CPU time, softirqs included. Only for "from one CPU to another", the two
  ends are threads on two CPUs.
- Portcullis also has programs that see every socket of the machine, to know who uses it. They are off while baselines are
  measured, and "bare, with its socket hooks" is what traffic pays that no profile is about.
- "ratio p99" and p99 are of single questions for DNS, and of the averages of rounds of 1,000 packets elsewhere.
`;
}

function isVirtual(): boolean {
  return /^flags\s*:.*\bhypervisor\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
}

function mitigations(): string {
  const folder = "/sys/devices/system/cpu/vulnerabilities";
  const active = execFileSync("grep", ["-rhoE", "Mitigation: [^;,]*", folder], { encoding: "utf8" }).trim().split("\n");
  return [...new Set(active.map((line) => line.replace("Mitigation: ", "")))].sort().join("; ");
}

function version(command: string): string {
  return execFileSync(command, ["--version"], { encoding: "utf8" }).split("\n")[0] ?? "";
}
