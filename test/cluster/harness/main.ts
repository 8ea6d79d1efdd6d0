/** `main.ts up|down`: the tests' cluster, to look at and to work with. */
import { Cluster } from "./cluster.ts";
import { sayAt } from "./progress.ts";

const say = sayAt();

switch (process.argv[2]) {
  case "up": {
    const { controlPlane } = await Cluster.start({ progress: say });
    console.log(`nsenter --net=/run/netns/pc-cluster-node1 kubectl --kubeconfig=${controlPlane.kubeconfig} get nodes`);
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
