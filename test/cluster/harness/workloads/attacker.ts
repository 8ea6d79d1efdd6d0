/**
 * What a program in a pod does that has no business with Portcullis: run as a program, `attacker.ts HOW ADDRESS...`, in the pod's network
 * namespace. It says what came of it as JSON.
 */
import { spawn, spawnSync } from "node:child_process";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { DISTRIBUTION_SERVICE } from "../../../../src/protocol/service.ts";
import type { Pod } from "./objects.ts";
import { containerId, type Scene } from "./scene.ts";

const nothing = () => {};
const DEADLINE_MS = 60_000;

/** Starts it in a pod, and goes on. @returns what it says in the end */
export function attack(scene: Scene, pod: Pod, how: keyof typeof ATTACKS, ...addresses: string[]): Promise<unknown> {
  const child = spawn("nsenter", command(scene, pod, how, addresses), { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (data) => {
    text += data;
  });
  return new Promise((settle, fail) => {
    child.on("error", fail);
    child.on("close", (status) => (status === 0 ? settle(JSON.parse(text)) : fail(new Error(`${how}: ${status}`))));
  });
}

function command(scene: Scene, pod: Pod, how: string, addresses: string[]): string[] {
  const id = containerId(pod, "app");
  const { stdout } = scene.nodeOf(pod).ctr("task", "ls");
  const [, pid] =
    stdout
      .split("\n")
      .find((line) => line.startsWith(id))
      ?.split(/\s+/) ?? [];
  if (pid === undefined) throw new Error(`no task ${id}`);
  const program = [process.execPath, "--disable-warning=ExperimentalWarning", import.meta.filename];
  return ["--target", pid, "--net", "--", ...program, how, ...addresses];
}

/** Whether something can be connected to from the network namespace of a pod. */
export function reaches(scene: Scene, pod: Pod, address: string): boolean {
  const { stdout } = spawnSync("nsenter", command(scene, pod, "connect", [address]), { encoding: "utf8" });
  return JSON.parse(stdout) as boolean;
}

function parts(address: string): { host: string; port: number } {
  const end = address.lastIndexOf(":");
  return { host: address.slice(0, end), port: Number(address.slice(end + 1)) };
}

/** One body that is too long after the other. @returns how many were answered */
async function bodies(addresses: string[]): Promise<number> {
  let answered = 0;
  for (let round = 0; round < 10; round += 1) {
    for (const address of addresses) {
      const { host, port } = parts(address);
      const options = { host, port, method: "POST", path: "/v1/observe", rejectUnauthorized: false, timeout: 5_000 };
      const { promise, resolve } = Promise.withResolvers<void>();
      const request = https.request(options, (response) => {
        answered += 1;
        response.resume().on("close", resolve).on("error", nothing);
      });
      request.on("error", () => resolve());
      request.on("timeout", () => request.destroy());
      request.end("x".repeat(200 * 1024));
      await promise;
    }
  }
  return answered;
}

/** Streams with tokens that are none, as many as come through in so long. @returns how many were ended by the other side */
async function streams([address = ""]: string[]): Promise<number> {
  const end = Date.now() + 15_000;
  let ended = 0;
  const headers = {
    ":method": "POST",
    ":path": DISTRIBUTION_SERVICE.connect.path,
    "content-type": "application/grpc",
    te: "trailers",
  };
  while (Date.now() < end) {
    const client = http2.connect(`https://${address}`, { rejectUnauthorized: false });
    client.on("error", nothing);
    for (let stream = 0; stream < 400; stream += 1) {
      const request = client.request({ ...headers, authorization: `Bearer ${Math.random()}` });
      request.on("error", nothing);
      request.on("close", () => {
        ended += 1;
      });
    }
    await sleep(10);
  }
  return ended;
}

/** 400 connections to each, for so long, that ask again whenever there is an answer. @returns how many are open in the end */
async function connections(addresses: string[]): Promise<number> {
  const open = new Set<net.Socket>();
  const end = Date.now() + 15_000;
  const begin = (address: string) => {
    const { host, port } = parts(address);
    const socket = net.connect({ host, port });
    const ask = () => socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    socket.on("error", nothing);
    socket.on("connect", ask);
    socket.on("data", ask);
    socket.on("close", () => {
      open.delete(socket);
      if (Date.now() < end) setTimeout(() => begin(address), 50);
    });
    open.add(socket);
  };
  for (const address of addresses) for (let count = 0; count < 400; count += 1) begin(address);
  await sleep(end - Date.now());
  return open.size;
}

async function connect([address = ""]: string[]): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = net.connect(parts(address));
  socket.setTimeout(3_000, () => resolve(false));
  socket.on("connect", () => resolve(true));
  socket.on("error", () => resolve(false));
  const reached = await promise;
  socket.destroy();
  return reached;
}

/** What is said to who asks for metrics without a token. */
async function metrics([address = ""]: string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = tls.connect({ ...parts(address), rejectUnauthorized: false });
  socket.on("secureConnect", () => socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"));
  socket.on("data", (data) => resolve(data.toString()));
  socket.on("error", (cause) => resolve(cause.message));
  return promise;
}

const ATTACKS = { bodies, streams, connections, connect, metrics };

if (import.meta.main) {
  const [how = "", ...addresses] = process.argv.slice(2);
  setTimeout(() => process.exit(1), DEADLINE_MS);
  console.log(JSON.stringify(await ATTACKS[how as keyof typeof ATTACKS](addresses)));
  process.exit(0);
}
