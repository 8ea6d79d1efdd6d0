/**
 * `kubectl apply` a SecurityProfile, and every node enforces it: on a real cluster of two nodes, which all scenarios share. Each has a namespace
 * of its own; those that take something away come late, and the last one takes everything.
 */
import { after } from "node:test";
import { Cluster } from "./harness/cluster.ts";
import { helmPath } from "./harness/cluster-shell.ts";
import { distributeImage } from "./harness/product/product.ts";
import { sayAt } from "./harness/progress.ts";
import { Server } from "./harness/workloads/servers.ts";
import { clocks } from "./scenarios/clocks.ts";
import { containers } from "./scenarios/containers.ts";
import { definition } from "./scenarios/definition.ts";
import { examples } from "./scenarios/examples.ts";
import { hostile } from "./scenarios/hostile.ts";
import { installation } from "./scenarios/installation.ts";
import { kindsOfPods } from "./scenarios/kinds-of-pods.ts";
import { mishaps } from "./scenarios/mishaps.ts";
import { names } from "./scenarios/names.ts";
import { nodes } from "./scenarios/nodes.ts";
import { observe } from "./scenarios/observe.ts";
import { otherPins } from "./scenarios/other-pins.ts";
import { outages } from "./scenarios/outages.ts";
import { pluginCommands } from "./scenarios/plugin.ts";
import { profiles } from "./scenarios/profiles.ts";
import { rights } from "./scenarios/rights.ts";
import { status } from "./scenarios/status.ts";
import { tenants } from "./scenarios/tenants.ts";
import { twoStacks } from "./scenarios/two-stacks.ts";
import { uninstallation } from "./scenarios/uninstallation.ts";
import { upgrade } from "./scenarios/upgrade.ts";

after(() => Cluster.remove());
const say = sayAt();
say("helm");
helmPath();
const cluster = await Cluster.start({ progress: say });
say("Portcullis' image");
await distributeImage(cluster);
const server = await Server.start(cluster);
say("tests");

definition(cluster);
installation(cluster);
examples(cluster);
names(cluster);
profiles(cluster, server);
containers(cluster, server);
kindsOfPods(cluster, server);
twoStacks(cluster);
status(cluster, server);
rights(cluster);
hostile(cluster, server);
tenants(cluster, server);
pluginCommands(cluster, server);
observe(cluster, server);
nodes(cluster, server);
outages(cluster, server);
clocks(cluster, server);
mishaps(cluster, server);
upgrade(cluster, server);
otherPins(cluster, server);
uninstallation(cluster, server);
