/** `kubectl portcullis explain`: what the cluster's profiles mean for something that a pod would do. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { explainCommand } from "../explain.ts";
import { Kubectl } from "./kubectl.ts";
import { addClusterAccess, type ClusterAccess } from "./options.ts";

const EXAMPLES = `
Examples:
  kubectl portcullis explain web-0 -- --process /usr/bin/shop --to 10.0.0.7:443/tcp
  kubectl portcullis explain web-0 -- --process /bin/sh --dns example.com

What follows -- is as in \`portcullis explain\`.`;

export function explainPodCommand(): Command {
  return addClusterAccess(new Command("explain"))
    .summary("say whether traffic of a pod would be allowed, and by which rule")
    .description("Asks the cluster's profiles about something that a process of a pod would send or receive.")
    .argument("<pod>", "name of the pod")
    .argument("[question...]", "what it would do, after --")
    .addHelpText("after", EXAMPLES)
    .action((pod: string, question: string[], options: ClusterAccess) => explainPod(pod, question, options));
}

async function explainPod(name: string, question: string[], options: ClusterAccess): Promise<void> {
  const kubectl = new Kubectl(options);
  const { metadata } = kubectl.object(
    "pod",
    name,
    ...(options.namespace === undefined ? [] : [`--namespace=${options.namespace}`]),
  );
  const namespace = metadata.namespace ?? "default";
  const folder = mkdtempSync(join(tmpdir(), "portcullis-"));
  try {
    const file = join(folder, "profiles.yaml");
    const profiles = kubectl.list("securityprofiles", `--namespace=${namespace}`);
    // Status and bookkeeping are the server's words, which a manifest has no place for.
    const manifests = profiles.map(asManifest).map((profile) => JSON.stringify(profile));
    writeFileSync(file, manifests.join("\n---\n"));
    const labels = Object.entries(metadata.labels ?? {}).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
    const fixed = ["--profiles", file, "--namespace", namespace, ...labels];
    await explainCommand()
      .exitOverride()
      .parseAsync([...fixed, ...question], { from: "user" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function asManifest(profile: object): object {
  const { status: _, metadata, ...rest } = profile as { status?: unknown; metadata: Record<string, unknown> };
  const { name, namespace, labels } = metadata;
  return { ...rest, metadata: { name, namespace, ...(labels === undefined ? {} : { labels }) } };
}
