/** The chart as Helm renders it: what may be done with it, what it may do, and what the commands make of its arguments. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { Command } from "commander";
import { STATUS_SCHEMA } from "../../src/api/schema/schema-status.ts";
import { agentCommand } from "../../src/cli/agent/agent.ts";
import { operatorCommand } from "../../src/cli/cluster/operator.ts";
import { uninstallCommand } from "../../src/cli/cluster/uninstall.ts";
import { watchdogCommand } from "../../src/cli/cluster/watchdog.ts";
import { readExports } from "../../src/cli/input/exports.ts";
import { OBSERVE_PERMISSION } from "../../src/protocol/observe.ts";
import { AGENT_METRICS } from "../../src/telemetry/agent-metrics.ts";
import { OPERATOR_METRICS } from "../../src/telemetry/operator-metrics.ts";
import { RECORD_METRICS } from "../../src/telemetry/record-metrics.ts";
import { ENTRYPOINT } from "../image/root.ts";
import { CHART, CHART_NAMESPACE, lintChart, type Manifest, only, renderChart } from "./chart.ts";
import { configFiles } from "./generate-config.ts";
import { helmBinary } from "./helm.ts";

const helm = helmBinary() ?? "";
const skip = helm === "" ? "there is neither helm nor Go to build it with" : false;

const argumentsOf = (workload: Manifest): string[] => workload.spec.template.spec.containers[0].args;

/** The options that a command line sets, as the command itself reads them. */
function parsed(command: Command, args: string[]): Record<string, unknown> {
  command.exitOverride().action(() => {});
  new Command("portcullis").exitOverride().addCommand(command).parse(args, { from: "user" });
  return command.opts();
}

test("helm lint has nothing to say", { skip }, () => assert.equal(lintChart(helm), ""));

test("the chart brings the definition as it is in crds/, kept unless asked otherwise", { skip }, () => {
  const name = "security.datadoghq.com_securityprofiles.yaml";
  const root = join(CHART, "../..");
  assert.equal(
    readFileSync(join(CHART, "files", name), "utf8"),
    readFileSync(join(root, "crds", name), "utf8"),
    "run node tools/helm/generate-config.ts",
  );
  const kept = (objects: Manifest[]) =>
    only(objects, "CustomResourceDefinition").metadata.annotations?.["helm.sh/resource-policy"];
  assert.equal(kept(renderChart(helm)), "keep");
  assert.equal(kept(renderChart(helm, "crds.keep=false")), undefined);
  assert.equal(
    renderChart(helm, "crds.install=false").some(({ kind }) => kind === "CustomResourceDefinition"),
    false,
  );
});

test("what the operator may do in a cluster: this, and nothing else", { skip }, () => {
  const objects = renderChart(helm);
  const rules = (kind: string, name: string) =>
    only(objects, kind, name).rules.flatMap((rule: Record<string, string[]>) =>
      (rule.resources ?? []).map((resource) => {
        const group = rule.apiGroups?.[0];
        const names = rule.resourceNames === undefined ? "" : `/${rule.resourceNames.join(",")}`;
        return `${resource}${group === "" ? "" : `.${group}`}${names}: ${rule.verbs?.join(" ")}`;
      }),
    );
  assert.deepEqual(rules("ClusterRole", "portcullis-operator"), [
    "securityprofiles.security.datadoghq.com: get list watch",
    "securityprofiles/status.security.datadoghq.com: patch",
    "customresourcedefinitions.apiextensions.k8s.io/securityprofiles.security.datadoghq.com: get",
    "namespaces: list watch",
    "pods: list watch",
    "services: list watch",
    "endpointslices.discovery.k8s.io: list watch",
    "events.events.k8s.io: create patch",
    "tokenreviews.authentication.k8s.io: create",
    "subjectaccessreviews.authorization.k8s.io: create",
  ]);
  assert.deepEqual(rules("Role", "portcullis-operator"), [
    "leases.coordination.k8s.io: create",
    "leases.coordination.k8s.io/portcullis-operator: get update",
  ]);
  assert.deepEqual(rules("Role", "portcullis-uninstall"), [
    "daemonsets.apps/portcullis-agent: get patch",
    "pods: list",
  ]);
  const subjects = objects.filter(({ kind }) => kind.endsWith("RoleBinding")).flatMap((binding) => binding.subjects);
  assert.deepEqual([...new Set(subjects.map(({ name }) => name))].sort(), [
    "portcullis-observer",
    "portcullis-operator",
    "portcullis-uninstall",
    "portcullis-watchdog",
  ]);
});

test("what the watchdog may do: see the Lease and the profiles, and write one word of their status", { skip }, () => {
  const objects = renderChart(helm);
  const rules = (kind: string) => JSON.stringify(only(objects, kind, "portcullis-watchdog").rules);
  const group = "security.datadoghq.com";
  assert.equal(
    rules("ClusterRole"),
    JSON.stringify([
      { apiGroups: [group], resources: ["securityprofiles"], verbs: ["list"] },
      { apiGroups: [group], resources: ["securityprofiles/status"], verbs: ["patch"] },
    ]),
  );
  const lease = { apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: ["portcullis-operator"] };
  assert.equal(rules("Role"), JSON.stringify([{ ...lease, verbs: ["get"] }]));
  const { spec } = only(objects, "ValidatingAdmissionPolicy");
  const [{ expression }] = spec.matchConditions;
  assert.match(expression, /'system:serviceaccount:portcullis-system:portcullis-watchdog'/);
  const fields = spec.validations.flatMap(
    ({ message }: { message: string }) => /status\.(\w+)$/.exec(message)?.[1] ?? [],
  );
  const all = Object.keys(STATUS_SCHEMA.properties ?? {}).filter((name) => name !== "conditions");
  assert.deepEqual(fields.sort(), all.sort(), "every field of a status but its conditions is confined");
  assert.equal(only(objects, "ValidatingAdmissionPolicyBinding").spec.policyName, "portcullis-watchdog");
  const { after, leaseName } = parsed(
    watchdogCommand(),
    argumentsOf(only(objects, "Deployment", "portcullis-watchdog")),
  );
  assert.deepEqual({ after, leaseName }, { after: 60_000, leaseName: "portcullis-operator" });
});

test("without the watchdog there is nothing of it", { skip }, () => {
  assert.equal(JSON.stringify(renderChart(helm, "watchdog.enabled=false")).includes("watchdog"), false);
});

test("what observers may do: reach one port of one Service, and see verdicts", { skip }, () => {
  const objects = renderChart(helm);
  const rules = (kind: string, name: string) => JSON.stringify(only(objects, kind, name).rules);
  const way = {
    apiGroups: [""],
    resources: ["services/proxy"],
    resourceNames: ["https:portcullis-operator:observe"],
    verbs: ["create"],
  };
  const token = {
    apiGroups: [""],
    resources: ["serviceaccounts/token"],
    resourceNames: ["portcullis-observer"],
    verbs: ["create"],
  };
  assert.equal(rules("Role", "portcullis-observer-way"), JSON.stringify([way]));
  assert.equal(rules("Role", "portcullis-observer"), JSON.stringify([way, token]));
  const { group, resource, subresource, verb } = OBSERVE_PERMISSION;
  assert.deepEqual(only(objects, "ClusterRole", "portcullis-observer").rules, [
    { apiGroups: [group], resources: [`${resource}/${subresource}`], verbs: [verb] },
  ]);
  const service = only(objects, "Service", "portcullis-operator");
  const [container] = only(objects, "Deployment", "portcullis-operator").spec.template.spec.containers;
  const port = container.ports.find(({ name }: { name: string }) => name === "observe");
  assert.equal(service.spec.ports.find(({ name }: { name: string }) => name === "observe").targetPort, "observe");
  const operator = parsed(operatorCommand(), argumentsOf(only(objects, "Deployment", "portcullis-operator")));
  assert.equal(operator.observeAddress, `:${port.containerPort}`);
});

test("without observers there is no way in, and no right to ask for rights", { skip }, () => {
  const settings = ["observe.enabled=false", "metrics.authentication=none"];
  const objects = renderChart(helm, ...settings).filter(({ kind }) => kind !== "CustomResourceDefinition");
  assert.equal(/observe(?!dGeneration)|subjectaccessreviews/.test(JSON.stringify(objects)), false);
});

test("the agent has no rights at the API server, and named capabilities on its node", { skip }, () => {
  const agent = only(renderChart(helm), "DaemonSet").spec.template.spec;
  assert.equal(agent.automountServiceAccountToken, false);
  const [container] = agent.containers;
  assert.deepEqual(container.securityContext.capabilities, {
    drop: ["ALL"],
    add: ["BPF", "PERFMON", "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "SYS_RESOURCE", "DAC_READ_SEARCH", "SYSLOG"],
  });
  assert.equal(container.securityContext.privileged, false);
  assert.equal(container.securityContext.readOnlyRootFilesystem, true);
  const writable = container.volumeMounts.filter(({ readOnly }: { readOnly?: boolean }) => readOnly !== true);
  assert.deepEqual(
    writable.map(({ name }: { name: string }) => name),
    ["bpf", "state", "kept", "tmp"],
  );
  const [token] = agent.volumes.find(({ name }: { name: string }) => name === "operator").projected.sources;
  assert.equal(token.serviceAccountToken.audience, "portcullis-operator");
  const privileged = only(renderChart(helm, "agent.privileged=true"), "DaemonSet").spec.template.spec.containers[0];
  assert.equal(privileged.securityContext.privileged, true);
});

test("the operator runs as nobody, with nothing", { skip }, () => {
  const { spec } = only(renderChart(helm), "Deployment", "portcullis-operator").spec.template;
  assert.equal(spec.securityContext.runAsNonRoot, true);
  assert.deepEqual(spec.containers[0].securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
});

test("what takes the product off runs where operators do: on a node that is away it would never start", {
  skip,
}, () => {
  for (const values of [[], ["operator.tolerations[0].key=infra"]]) {
    const objects = renderChart(helm, ...values);
    const [job, operator] = [only(objects, "Job"), only(objects, "Deployment", "portcullis-operator")].map(
      ({ spec }) => spec.template.spec,
    );
    assert.deepEqual([job.nodeSelector, job.tolerations], [operator.nodeSelector, operator.tolerations]);
  }
});

test("the operator is started with its own settings of the program that the image starts", { skip }, () => {
  const { command } = only(renderChart(helm), "Deployment", "portcullis-operator").spec.template.spec.containers[0];
  assert.deepEqual([command[0], command.at(-1)], [ENTRYPOINT[0], ENTRYPOINT.at(-1)]);
});

test("the commands know every argument that the chart gives them", { skip }, () => {
  const objects = renderChart(
    helm,
    "agent.gate.enabled=true",
    "agent.blockNamespaces={vault}",
    "agent.dnsPorts={53,5353}",
    "agent.replacePins=true",
    "agent.serve=unix:/run/portcullis/hubble.sock",
  );
  const agent = parsed(agentCommand(), argumentsOf(only(objects, "DaemonSet")));
  assert.deepEqual(
    [
      agent.operatorName,
      agent.exemptNamespace,
      agent.blockNamespace,
      agent.gate,
      agent.dnsPort,
      agent.allowed,
      agent.replacePins,
      agent.serve,
    ],
    [
      `portcullis-operator.${CHART_NAMESPACE}.svc`,
      ["kube-system", CHART_NAMESPACE],
      ["vault"],
      "kubepods.slice",
      [53, 5353],
      false,
      true,
      "unix:/run/portcullis/hubble.sock",
    ],
  );
  assert.equal(agent.operator, "$(PORTCULLIS_OPERATOR_SERVICE_HOST):$(PORTCULLIS_OPERATOR_SERVICE_PORT)");
  const operator = parsed(operatorCommand(), argumentsOf(only(objects, "Deployment", "portcullis-operator")));
  assert.deepEqual([operator.leaseName, operator.agentServiceAccount], ["portcullis-operator", "portcullis-agent"]);
  only(objects, "ServiceAccount", "portcullis-agent");
  const uninstall = parsed(uninstallCommand(), argumentsOf(only(objects, "Job")));
  assert.deepEqual(
    [uninstall.namespace, uninstall.daemonset, uninstall.timeout],
    [CHART_NAMESPACE, "portcullis-agent", 240_000],
  );
});

test("what is to be exported is in a file that the agent reads, in a folder of the node that it may write to", {
  skip,
}, () => {
  const objects = renderChart(
    helm,
    "agent.exports[0].name=refused",
    "agent.exports[0].allow[0].verdict={dropped}",
    "agent.exports[0].file.path=/var/log/portcullis/refused.json",
    "agent.exportSecret=tokens",
  );
  const { exports: path } = parsed(agentCommand(), argumentsOf(only(objects, "DaemonSet")));
  const { template } = only(objects, "DaemonSet").spec;
  const [{ volumeMounts }] = template.spec.containers;
  const mountOf = (folder: string) =>
    volumeMounts.find(({ mountPath }: { mountPath: string }) => mountPath === folder)?.name;
  const volume = (name: string) => template.spec.volumes.find((one: { name: string }) => one.name === name);
  const { configMap } = volume(mountOf(dirname(String(path))));
  const text = only(objects, "ConfigMap", configMap.name).data[basename(String(path))];
  const file = join(mkdtempSync(join(tmpdir(), "pc-chart-")), "exports.yaml");
  writeFileSync(file, text);
  const [written] = readExports(file);
  rmSync(dirname(file), { recursive: true });
  assert.deepEqual([written?.name, written?.allow], ["refused", [{ verdict: ["dropped"] }]]);
  assert.equal(volume(mountOf("/var/log/portcullis")).hostPath.path, "/var/log/portcullis");
  assert.equal(volume(mountOf("/etc/portcullis/export-secret")).secret.secretName, "tokens");
  const other = renderChart(helm, "agent.exports[0].name=other");
  const checksum = (all: Manifest[]) =>
    only(all, "DaemonSet").spec.template.metadata.annotations["checksum/exports"] as string;
  assert.notEqual(checksum(objects), checksum(other));
});

test("values that mean nothing are refused, by name", { skip }, () => {
  for (const [setting, where] of [
    ["agent.startupFailurePolicy=Maybe", /startupFailurePolicy/],
    ["agent.dnsPorts={99999}", /dnsPorts/],
    ["operator.replica=3", /replica/],
    ["agent.startupTimeout=soon", /startupTimeout/],
    ["agent.serve=0.0.0.0:4245", /serve/],
  ] as const) {
    assert.throws(() => renderChart(helm, setting), where, setting);
  }
});

test("each monitor finds the Service of its component, and that the pods' port", { skip }, () => {
  const objects = renderChart(helm, "metrics.serviceMonitor.enabled=true");
  for (const [component, kind] of [
    ["operator", "Deployment"],
    ["agent", "DaemonSet"],
  ] as const) {
    const monitor = only(objects, "ServiceMonitor", `portcullis-${component}-metrics`);
    const selected = objects.filter(
      (object) =>
        object.kind === "Service" &&
        Object.entries(monitor.spec.selector.matchLabels).every(
          ([key, value]) => object.metadata.labels?.[key] === value,
        ),
    );
    assert.deepEqual(
      selected.map(({ metadata }) => metadata.name),
      [`portcullis-${component}-metrics`],
    );
    const [container] = only(objects, kind, `portcullis-${component}`).spec.template.spec.containers;
    const port = container.ports.find(({ name }: { name: string }) => name === "metrics");
    assert.equal(selected[0]?.spec.ports[0].port, port.containerPort);
  }
});

test("Prometheus takes the alerts, each of which there is once, and what the dashboard asks", { skip }, () => {
  const objects = renderChart(helm, "metrics.prometheusRule.enabled=true", "metrics.dashboard.enabled=true");
  const { groups } = only(objects, "PrometheusRule").spec;
  const names = groups[0].rules.map(({ alert }: { alert: string }) => alert);
  assert.equal(new Set(names).size, names.length, names.join(" "));
  const page = readFileSync(join(CHART, "../../docs/kubernetes.md"), "utf8");
  assert.deepEqual(
    names.filter((name: string) => !page.includes(`\`${name}\``)),
    [],
    "what to do stands in docs/kubernetes.md",
  );
  const dashboard = JSON.parse(
    objects.find(({ metadata }) => metadata.name === "portcullis-dashboard")?.data["portcullis.json"],
  );
  const asked = dashboard.panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }: { expr: string }, index: number) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll("$__rate_interval", "5m"),
    })),
  );
  const folder = mkdtempSync(join(tmpdir(), "pc-rules-"));
  for (const [file, all] of [
    ["alerts.json", groups],
    ["panels.json", asked.map((rule: object, index: number) => ({ name: `panel ${index}`, rules: [rule] }))],
  ]) {
    const path = join(folder, file);
    writeFileSync(path, JSON.stringify({ groups: all }));
    execFileSync("promtool", ["check", "rules", path], { stdio: "pipe" });
  }
  writeFileSync(
    join(folder, "wrong.json"),
    JSON.stringify({ groups: [{ name: "x", rules: [{ alert: "X", expr: "sum(" }] }] }),
  );
  assert.throws(() => execFileSync("promtool", ["check", "rules", join(folder, "wrong.json")], { stdio: "pipe" }));
  rmSync(folder, { recursive: true });
});

test("alerts and dashboard speak of metrics that there are", { skip }, () => {
  const objects = renderChart(helm, "metrics.prometheusRule.enabled=true", "metrics.dashboard.enabled=true");
  const dashboard = objects.find(({ metadata }) => metadata.name === "portcullis-dashboard")?.data["portcullis.json"];
  const rules = JSON.stringify(only(objects, "PrometheusRule").spec);
  assert.ok(JSON.parse(dashboard).panels.length > 5);
  const known = new Set<string>(
    [AGENT_METRICS, RECORD_METRICS, OPERATOR_METRICS]
      .flatMap((all) => Object.values(all))
      .flatMap(({ name }) => [name, `${name}_bucket`]),
  );
  const used = new Set(`${rules}${dashboard}`.match(/portcullis_[a-z]+_[a-z_]+/g));
  assert.ok(used.size > 10);
  assert.deepEqual(
    [...used].filter((name) => !known.has(name)),
    [],
  );
});

test("config/ is the chart, for kustomize", { skip }, () => {
  for (const [path, text] of configFiles(helm)) {
    assert.equal(
      readFileSync(join(CHART, "../..", path), "utf8"),
      text,
      `${path}: run node tools/helm/generate-config.ts`,
    );
  }
});

const REFUSED: Readonly<Record<string, string>> = {
  "equal ports of the operator": "operator.metricsPort=8443",
  "the observers' port twice": "observe.port=8081",
  "equal ports of the agent": "agent.probePort=9964",
  "resources that there are not": "operator.resources.limit.memory=1Gi",
  "a resource that is none": "agent.resources.limits.memroy=1Gi",
  "an amount that is none": "agent.resources.limits.memory=1GB",
  "a limit below the request": "agent.resources.limits.memory=64Mi",
  "a limit below the request, of another unit": "operator.resources.limits.cpu=0.01",
  "names in capitals": "fullnameOverride=Portcullis",
  "an argument that the operator does not know": "operator.extraArgs[0]=--verbose",
  "an argument that the agent does not know": "agent.extraArgs[0]=--lease-name=x",
  "a root of cgroups that is absolute": "agent.gate.cgroup=/sys/fs/cgroup/kubepods.slice",
  "no agent that may be away in an upgrade": "agent.updateStrategy.rollingUpdate.maxUnavailable=0",
  "no share of agents that may be away": "agent.updateStrategy.rollingUpdate.maxUnavailable=0%",
  "no operator that may be away": "operator.podDisruptionBudget.maxUnavailable=0",
};

for (const [what, setting] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, { skip }, () => {
    assert.throws(
      () => renderChart(helm, setting),
      /have to differ|is below the request|don't meet the specifications/,
    );
  });
}

test("further arguments are those that the commands know", { skip }, () => {
  const schema = JSON.parse(readFileSync(join(CHART, "values.schema.json"), "utf8"));
  const commands = { operator: operatorCommand(), agent: agentCommand() };
  for (const [component, command] of Object.entries(commands)) {
    const { pattern } = schema.properties[component].properties.extraArgs.items;
    const flags = command.options.map(({ long }) => (long ?? "").slice(2)).sort();
    assert.equal(pattern, `^--(${flags.join("|")})(=.*)?$`, "run node tools/helm/generate-config.ts");
  }
});

test("metrics are read with a token, over the operator's certificate, and the agent's by its node alone", {
  skip,
}, () => {
  const monitored = renderChart(
    helm,
    "metrics.serviceMonitor.enabled=true",
    "metrics.reader.serviceAccount=prometheus",
  );
  const [endpoint] = only(monitored, "ServiceMonitor", "portcullis-operator-metrics").spec.endpoints;
  assert.deepEqual(
    [endpoint.scheme, endpoint.tlsConfig.serverName, endpoint.tlsConfig.ca.configMap.name],
    ["https", "portcullis-operator.portcullis-system.svc", "portcullis-ca"],
  );
  const binding = only(monitored, "ClusterRoleBinding", "portcullis-metrics-reader");
  assert.deepEqual(binding.subjects, [{ kind: "ServiceAccount", name: "prometheus", namespace: "monitoring" }]);
  const agentAddress = (objects: Manifest[]) =>
    parsed(agentCommand(), argumentsOf(only(objects, "DaemonSet"))).metricsAddress;
  assert.deepEqual([agentAddress(renderChart(helm)), agentAddress(monitored)], ["127.0.0.1:9964", ":9964"]);
});

test("who may come in is named by source, where the sources are given", { skip }, () => {
  const ingress = (...settings: string[]) => only(renderChart(helm, ...settings), "NetworkPolicy").spec.ingress;
  assert.deepEqual(
    ingress().map(({ ports, from }: { ports: { port: string }[]; from?: unknown }) => [ports[0]?.port, from]),
    [
      ["grpc", undefined],
      ["observe", undefined],
    ],
  );
  const [grpc, observe] = ingress(
    "networkPolicy.nodeCIDRs={10.0.0.0/16}",
    "networkPolicy.apiServerCIDRs={10.0.1.1/32}",
  );
  assert.deepEqual(grpc.from, [{ ipBlock: { cidr: "10.0.0.0/16" } }]);
  assert.deepEqual(observe.from[0], { ipBlock: { cidr: "10.0.1.1/32" } });
});

test("a ResourceQuota lets every pod in: each container has requests, and a limit of memory", { skip }, () => {
  const containers = renderChart(helm, "uninstall.detach=true").flatMap(({ kind, spec }) => {
    const { containers = [], initContainers = [] } = spec?.template?.spec ?? {};
    return [...containers, ...initContainers].map(({ name, resources }) => ({ name: `${kind}/${name}`, resources }));
  });
  assert.deepEqual(containers.map(({ name }) => name).sort(), [
    "DaemonSet/agent",
    "Deployment/operator",
    "Deployment/watchdog",
    "Job/uninstall",
  ]);
  for (const { name, resources } of containers) {
    assert.ok(resources?.requests?.cpu && resources.requests.memory && resources.limits?.memory, name);
  }
});
