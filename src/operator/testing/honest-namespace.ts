/** For tests and benchmarks: a namespace of somebody else, whose profile is edited while an operator is under load. */
import type { SecurityProfileSpec } from "../../api/types.ts";
import { eventually } from "../../kube/testing/silence.ts";
import type { TestAgent } from "./agent.ts";
import type { TestCluster } from "./cluster.ts";
import type { OperatorProcess } from "./operator-process.ts";

const LIMIT_MS = 20_000;

/** The profile `web` of one pod on node `n1`, and its node's agent. */
export class HonestNamespace {
  readonly agent: TestAgent;
  readonly #cluster: TestCluster;
  readonly #operator: OperatorProcess;
  #octet = 1;

  private constructor(cluster: TestCluster, operator: OperatorProcess) {
    this.#cluster = cluster;
    this.#operator = operator;
    this.agent = operator.agent("n1");
  }

  /** What has to be there before the operator starts. */
  static prepare(cluster: TestCluster): void {
    cluster.pod("web");
    cluster.profile("web", spec(1));
  }

  /** Settles when the agent has the profile. */
  static async begin(cluster: TestCluster, operator: OperatorProcess): Promise<HonestNamespace> {
    const honest = new HonestNamespace(cluster, operator);
    await eventually("the first revision", () => honest.#has(1), LIMIT_MS);
    return honest;
  }

  /** Edits the profile. Returns the milliseconds until the agent has it. @throws Error if it never does */
  async edit(): Promise<number> {
    this.#octet += 1;
    const octet = this.#octet;
    const start = performance.now();
    this.#cluster.profile("web", spec(octet), octet);
    const isOver = () => this.#has(octet) || this.#operator.hasEnded;
    await eventually(`edit ${octet}`, isOver, LIMIT_MS).catch((cause: unknown) => {
      throw new Error(`an edit is not in force; the operator said: ${this.#output()}`, { cause });
    });
    if (this.#operator.hasEnded) throw new Error(`the operator has ended: ${this.#output()}`);
    return performance.now() - start;
  }

  #has(octet: number): boolean {
    const table = this.agent.held.tables.get(this.agent.binding("web")?.tableHash ?? "");
    return table?.default?.egress.peers4[0]?.address === `198.51.${octet}.0`;
  }

  #output(): string {
    return this.#operator.output.slice(-2_000);
  }
}

const spec = (octet: number): SecurityProfileSpec => ({
  actions: ["enforce"],
  default: { egress: { cidr4: [`198.51.${octet}.0/24`] } },
});
