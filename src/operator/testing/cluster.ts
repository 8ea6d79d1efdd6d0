/** For tests: an operator on a made-up cluster, and what such a cluster has. */
import { API_VERSION, KIND, type SecurityProfileSpec } from "../../api/types.ts";
import { collectionPath, type KubeObject, SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS } from "../../kube/resources.ts";
import { FakeApiServer } from "../../kube/testing/fake-api-server.ts";
import { eventually, silentLogger } from "../../kube/testing/silence.ts";
import { OBSERVE_AUDIENCE } from "../../protocol/observe.ts";
import { TOKEN_AUDIENCE } from "../../protocol/service.ts";
import { DEFINITION, DEFINITIONS, NAMESPACES, PODS, SECURITY_PROFILES } from "../cluster/kinds.ts";
import type { ElectionOptions } from "../leadership.ts";
import { Operator } from "../operator.ts";
import { type BudgetLimits, DEFAULT_BUDGET } from "../profiles/budget.ts";
import type { ProfileStatus } from "../profiles/profile-status.ts";
import { TestAgent, type TestAgentOptions } from "./agent.ts";

export interface PodOptions {
  node?: string;
  labels?: Record<string, string>;
  namespace?: string;
  ip?: string;
  hostNetwork?: boolean;
  phase?: string;
}

export class TestCluster {
  readonly server: FakeApiServer;
  readonly log: string[] = [];
  /** Namespaces whose pods the user `observer` may look at. */
  readonly observable = new Set(["default"]);
  readonly #operators: Operator[] = [];
  readonly #agents: TestAgent[] = [];

  private constructor(server: FakeApiServer) {
    this.server = server;
  }

  static async start(): Promise<TestCluster> {
    const cluster = new TestCluster(await FakeApiServer.start());
    cluster.server.put(DEFINITIONS, { metadata: { name: DEFINITION } });
    for (const name of ["default", "other"]) {
      const labels = { "kubernetes.io/metadata.name": name, ...(name === "other" ? { team: "a" } : {}) };
      cluster.server.put(NAMESPACES, { metadata: { name, labels } });
    }
    cluster.server.answers.set(collectionPath(TOKEN_REVIEWS), reviewed);
    cluster.server.answers.set(collectionPath(SUBJECT_ACCESS_REVIEWS), (review) => cluster.#accessReviewed(review));
    return cluster;
  }

  async operator(
    election: ElectionOptions | null = null,
    identity = "operator",
    addresses: { advertiseAddress?: string; observeAddress?: string } = {},
    budget: Partial<BudgetLimits> = {},
  ): Promise<Operator> {
    const operator = new Operator({
      connection: this.server.connection(),
      version: "test",
      identity,
      listenAddress: "127.0.0.1:0",
      advertiseAddress: `${identity}:8443`,
      observeAddress: "127.0.0.1:0",
      ...addresses,
      tls: null,
      agentServiceAccount: "portcullis-system/portcullis-agent",
      clusterDomain: "cluster.local",
      election,
      budget: { ...DEFAULT_BUDGET, ...budget },
      log: silentLogger(this.log),
    });
    this.#operators.push(operator);
    await operator.start();
    if (election === null) await eventually("agents are served", () => operator.isLeader, 60_000);
    return operator;
  }

  /** An agent with a token as the API server gives it to pods of a node. */
  agent(operator: Operator, node: string, more: Partial<TestAgentOptions> = {}): TestAgent {
    const address = `127.0.0.1:${operator.server.port}`;
    const agent = new TestAgent({ address, node, token: `agent-on-${node}`, ...more });
    this.#agents.push(agent);
    return agent.connect();
  }

  pod(name: string, options: PodOptions = {}): KubeObject {
    const { node = "n1", labels = { app: name }, namespace = "default", ip, hostNetwork, phase = "Running" } = options;
    return this.server.put(PODS, {
      metadata: { name, namespace, uid: `uid-${namespace}-${name}`, labels },
      spec: {
        nodeName: node,
        dnsPolicy: "ClusterFirst",
        containers: [{ name: "app" }],
        ...(hostNetwork ? { hostNetwork } : {}),
      },
      status: {
        phase,
        ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
        containerStatuses: [{ name: "app", containerID: `containerd://${name}` }],
      },
    });
  }

  profile(
    name: string,
    spec: SecurityProfileSpec,
    generation = 1,
    labels: Record<string, string> = { app: name },
  ): KubeObject {
    const before = this.server.get(SECURITY_PROFILES, `default/${name}`);
    return this.server.put(SECURITY_PROFILES, {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name, namespace: "default", labels, generation },
      spec,
      ...(before?.status === undefined ? {} : { status: before.status }),
    });
  }

  status(name: string): ProfileStatus | undefined {
    return this.server.get(SECURITY_PROFILES, `default/${name}`)?.status as ProfileStatus | undefined;
  }

  /** Status and reason of a condition, `True Enforced`. */
  condition(name: string, type: string): string {
    const condition = this.status(name)?.conditions.find((item) => item.type === type);
    return condition === undefined ? "" : `${condition.status} ${condition.reason}`;
  }

  async becomes(name: string, type: string, wanted: string): Promise<void> {
    const what = `${type} of ${name} is "${wanted}"`;
    await eventually(what, () => this.condition(name, type) === wanted, 20_000).catch((cause: unknown) => {
      throw new Error(`${what}; it is ${JSON.stringify(this.status(name), null, 1)}`, { cause });
    });
  }

  /** The user `observer`, for what observers need, in the namespaces that are named. */
  #accessReviewed({ spec }: KubeObject): unknown {
    const {
      user,
      groups,
      resourceAttributes: asked,
    } = spec as {
      user: string;
      groups: string[];
      resourceAttributes: Record<string, string>;
    };
    const { verb, group, resource, subresource, namespace } = asked;
    const isObserving = `${verb} ${resource}/${subresource} ${group}` === "get pods/verdicts security.datadoghq.com";
    const isObserver = user === "system:serviceaccount:default:observer" && groups.includes("observers");
    const allowed = isObserver && isObserving && this.observable.has(namespace ?? "");
    return { status: allowed ? { allowed } : { allowed, reason: "no role says so" } };
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) agent.disconnect();
    await Promise.all(this.#operators.map((operator) => operator.stop()));
    await this.server.close();
  }
}

/** Tokens are `agent-on-NODE`, and `other-on-NODE` of another account; `bound-to-POD` names the pod instead of its node. */
function reviewed(review: KubeObject): unknown {
  const { token, audiences } = review.spec as { token: string; audiences: string[] };
  if (token === "observer") {
    const user = { username: "system:serviceaccount:default:observer", uid: "2", groups: ["observers"] };
    return { status: { authenticated: audiences.includes(OBSERVE_AUDIENCE), audiences: [OBSERVE_AUDIENCE], user } };
  }
  const [, who, place] = /^(agent|other|bound)-(?:on|to)-(.+)$/.exec(token) ?? [];
  if (who === undefined || place === undefined) return { status: { authenticated: false } };
  const account = who === "other" ? "other" : "portcullis-agent";
  const extra =
    who === "bound"
      ? {
          "authentication.kubernetes.io/pod-name": [place],
          "authentication.kubernetes.io/pod-uid": [`uid-portcullis-system-${place}`],
        }
      : { "authentication.kubernetes.io/node-name": [place] };
  const user = { username: `system:serviceaccount:portcullis-system:${account}`, uid: "1", extra };
  return { status: { authenticated: true, audiences: [TOKEN_AUDIENCE], user } };
}

/** A profile of `/bin/app`, which may reach these networks. */
export function allowing(...cidr4: string[]) {
  return {
    actions: ["alert", "enforce"],
    processes: [{ path: "/bin/app", network: { egress: { cidr4, l4: { protocols: ["tcp"] } } } }],
  } satisfies SecurityProfileSpec;
}

/** The networks that an agent lets the first executable of a pod's table reach. */
export function peersOf(agent: TestAgent, pod: string): string[] {
  const table = agent.held.tables.get(agent.binding(pod)?.tableHash ?? "");
  return table?.binaries[0]?.egress.peers4.map(({ address }) => address) ?? [];
}

/** Times of an election that passes quickly. */
export const ELECTION: ElectionOptions = {
  namespace: "portcullis-system",
  leaseName: "portcullis-operator",
  leaseDuration: 3_000,
  renewDeadline: 2_000,
  retryPeriod: 100,
};
