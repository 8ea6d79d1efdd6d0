/** What the tests' clients talk to, in a namespace that no profile looks at: it tells what has arrived. */
import type { Cluster } from "../cluster.ts";
import { container, deployment, onNode, type Pod } from "./objects.ts";
import { Scene } from "./scene.ts";

/** HTTP. */
export const WEB_PORT = 8080;
/** Give back what comes over a TCP connection, each for one client at a time. */
export const ECHO_PORTS = [7000, 7009] as const;
/** UDP, and each datagram is kept. */
export const SINK_PORT = 9000;
/** The same, for those who may not send. */
export const FORBIDDEN_PORT = 9001;

const NAMESPACE = "servers";
const FOREVER = "1000000000";
const KEPT = "/tmp/kept";
const [FIRST_ECHO, LAST_ECHO] = ECHO_PORTS;
const ECHOES = `
  port=${FIRST_ECHO}
  while [ $port -le ${LAST_ECHO} ]; do /bin/app tcp4 bind 0.0.0.0 $port listen echo & port=$((port + 1)); done
  wait`;

export class Server {
  readonly address: string;
  readonly #scene: Scene;
  #echoes = 0;
  readonly #pod: Pod;

  private constructor(scene: Scene, pod: Pod) {
    this.#scene = scene;
    this.#pod = pod;
    this.address = pod.status.podIP;
  }

  /** Starts it on the first node, which tests do not empty. */
  static async start(cluster: Cluster): Promise<Server> {
    const scene = await Scene.make(cluster, NAMESPACE);
    const sink = (name: string, port: number) =>
      container(name, [
        "/bin/sh",
        "-c",
        `exec /bin/app timeout ${FOREVER} udp4 bind 0.0.0.0 ${port} recvall > ${KEPT}`,
      ]);
    const containers = [
      container("web", ["/bin/httpd", "-f", "-p", String(WEB_PORT), "-h", "/srv"]),
      container("echo", ["/bin/sh", "-c", ECHOES]),
      sink("sink", SINK_PORT),
      sink("forbidden", FORBIDDEN_PORT),
    ];
    const [first] = cluster.nodes;
    await scene.deploy(deployment("server", { containers, pod: onNode(first?.place.name ?? "") }));
    return new Server(scene, scene.pod("server"));
  }

  /** A port that echoes, for one client alone. */
  echoPort(): number {
    const port = FIRST_ECHO + this.#echoes;
    if (port > LAST_ECHO) throw new Error("there are no more ports that echo");
    this.#echoes += 1;
    return port;
  }

  /** How many datagrams have come that begin so. */
  arrived(sink: "sink" | "forbidden", text: string): number {
    const script = `grep -c '^${text}' ${KEPT} || true`;
    return Number(this.#scene.output(this.#pod, sink, "/bin/sh", "-c", script));
  }
}
