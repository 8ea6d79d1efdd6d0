/** `main.ts up|down`: the tests' cluster, to look at and to work with. */
import { Cluster } from "./cluster.ts";
import { clusterShell } from "./cluster-shell.ts";
import { distributeImage } from "./product/product.ts";
import { sayAt } from "./progress.ts";

const say = sayAt();

switch (process.argv[2]) {
  case "up": {
    const cluster = await Cluster.start({ progress: say });
    say("Portcullis' image");
    await distributeImage(cluster);
    clusterShell(cluster);
    console.log(cluster.kubectl("get", "nodes").trimEnd());
    console.log("make cluster-shell   opens a shell with kubectl and helm for it; make cluster-down removes it");
    break;
  }
  case "down":
    await Cluster.remove();
    say("removed");
    break;
  default:
    console.error("usage: main.ts up|down");
    process.exitCode = 2;
}
