/** `kubectl portcullis explain`: what the cluster's profiles mean for something that a pod would do. */

import { Command } from "commander";
import { UsageError } from "../../api/errors.ts";
import { printable } from "../../api/printable.ts";
import { readProfileSet, validProfiles } from "../../api/profile-set.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { searchDomainsOf } from "../../operator/cluster/pod-record.ts";
import { CLUSTER_DNS } from "../../policy/table/peers.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { addQuestionOptions, answer, answerEvent } from "../explain/explain.ts";
import { readVerdictEvent } from "../explain/explain-event.ts";
import { type ExplainOptions, parseQuestion } from "../explain/explain-question.ts";
import { Kubectl, KubectlError, type KubeObject } from "./kubectl.ts";
import { addClusterAccess, type ClusterAccess, namespaceArguments } from "./options.ts";

const EXAMPLES = `
Examples:
  kubectl portcullis explain web-0 --process /usr/bin/shop --to 10.0.0.7:443/tcp
  kubectl portcullis explain web-0 --process /bin/sh --dns example.com
  kubectl portcullis explain web-0 -n shop --process /usr/bin/shop --from 10.0.0.7:80/tcp -o json

  kubectl logs -n portcullis-system portcullis-agent-x2x9z | grep BinaryUnknown |
    kubectl portcullis explain --event -

The answer is worked out here, from the pod's labels and the profiles of its namespace as they are
in the cluster.

${exitStatusHelp({ 0: "a rule allows it", 1: "no rule allows it, no profile selects the pod, the event's reason is another, or the cluster cannot be asked" })}`;

export function explainPodCommand(): Command {
  const command = addClusterAccess(new Command("explain"))
    .summary("say whether traffic of a pod would be allowed, and by which rule")
    .description("Asks the cluster's profiles about something that a process of a pod would send or receive.")
    .argument("[pod]", "name of the pod; with --event, the event names its workload itself")
    .option("--event <file>", "ask about the first verdict in this file of an agent's JSON events; -: standard input");
  return addQuestionOptions(command)
    .addHelpText("after", EXAMPLES)
    .action(async (pod: string | undefined, options: ExplainOptions & ClusterAccess) => {
      const kubectl = new Kubectl(options);
      if (options.event !== undefined) return explainEvent(kubectl, options.event, options);
      if (pod === undefined) throw new UsageError("which pod? name one, or give --event FILE");
      return explainPod(kubectl, pod, options);
    });
}

async function explainEvent(kubectl: Kubectl, file: string, options: ExplainOptions & ClusterAccess): Promise<void> {
  const event = await readVerdictEvent(file);
  const { namespace, name } = event.workload;
  const complete = withSearchList(withResolver(kubectl, options), { metadata: { namespace, name } });
  answerEvent(profilesOf(kubectl, namespace), event, complete);
}

function explainPod(kubectl: Kubectl, name: string, options: ExplainOptions & ClusterAccess): void {
  const pod = kubectl.object("pod", name, ...namespaceArguments(options));
  const { metadata } = pod;
  const namespace = metadata.namespace ?? "default";
  const label = Object.entries(metadata.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const complete = { ...withSearchList(withResolver(kubectl, options), pod), namespace, label };
  answer(profilesOf(kubectl, namespace), parseQuestion(complete), complete);
}

/** Of a cluster that does not say otherwise. */
const CLUSTER_DOMAIN = "cluster.local";
/** What the API server sets where a pod does not say; an event's pod may be gone. */
const CLUSTER_FIRST = "ClusterFirst";

/** With the search list that most pods have, unless one is given: that of the cluster's DNS. What nodes add is not known here. */
function withSearchList<Options extends ExplainOptions>(options: Options, { metadata, spec }: KubeObject): Options {
  const { dnsPolicy = CLUSTER_FIRST } = spec ?? {};
  if (options.searchDomain.length > 0 || dnsPolicy !== CLUSTER_FIRST) return options;
  const dns = { cluster: true, node: false, searches: [] };
  const searchDomain = searchDomainsOf({ namespace: metadata.namespace ?? "default", dns }, CLUSTER_DOMAIN, []);
  return { ...options, searchDomain };
}

/** With the addresses that the peer `resolver` means in the cluster, unless some are given. */
function withResolver<Options extends ExplainOptions>(kubectl: Kubectl, options: Options): Options {
  if (options.resolver.length > 0) return options;
  const { namespace = "", name } = CLUSTER_DNS;
  try {
    const addresses = kubectl.text(
      "get",
      "service",
      name,
      `--namespace=${namespace}`,
      "-o=jsonpath={.spec.clusterIPs[*]}",
    );
    return { ...options, resolver: addresses.split(" ").filter((text) => text !== "") };
  } catch (cause) {
    if (!(cause instanceof KubectlError)) throw cause;
    // Not everybody may look there; the peer `resolver` means nobody then, unless --resolver is given.
    return options;
  }
}

/** Those that are valid. What is not is not in force either, and is reported. */
function profilesOf(kubectl: Kubectl, namespace: string): SecurityProfile[] {
  const texts = kubectl.list("securityprofiles", `--namespace=${namespace}`).map((profile) => ({
    source: `${namespace}/${profile.metadata.name}`,
    text: JSON.stringify(asManifest(profile)),
  }));
  const set = readProfileSet(texts);
  for (const { source, errors } of set.reports.filter(({ profile }) => profile === null)) {
    const words = errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
    process.stderr.write(`note: profile ${source} is not valid, and left out: ${printable(words)}\n`);
  }
  return validProfiles(set);
}

/** Status and bookkeeping are the server's words, which a manifest has no place for. */
function asManifest(profile: KubeObject): object {
  const { status: _, metadata, ...rest } = profile;
  const { name, namespace, labels } = metadata;
  return { ...rest, metadata: { name, namespace, ...(labels === undefined ? {} : { labels }) } };
}
