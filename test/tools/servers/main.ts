/**
 * The outside world of the end-to-end tests, in one process: started in its network namespace with an IPC channel,
 * over which the tests set the zone and ask what arrived.
 */
import { createSocket } from "node:dgram";
import { flushCompileCache } from "node:module";
import {
  BANNER_PORT,
  DNS_ADDRESSES,
  DNS_PORTS,
  ECHO_PORTS,
  HTTP_PORTS,
  OUTSIDE_ADDRESSES,
  type ServerRequest,
  type ServerResponse,
} from "./protocol.ts";
import { Receipts } from "./receipts.ts";
import { serveDns, serveHttp, serveTcpEcho, serveUdpEcho } from "./servers.ts";
import type { Zone } from "./zone.ts";

const receipts = new Receipts();
let zone: Zone = {};

async function handle(request: ServerRequest): Promise<unknown> {
  switch (request.operation) {
    case "zone":
      zone = request.zone;
      return null;
    case "received":
      return receipts.containing(request.text);
    case "asked":
      return receipts.questionsFor(request.name);
    case "send":
      return await sendDatagram(request);
  }
}

/** A datagram nobody asked for, from a port of the servers' own choice. */
function sendDatagram({ from, to, hex }: Extract<ServerRequest, { operation: "send" }>): Promise<null> {
  const socket = createSocket({ type: to.address.includes(":") ? "udp6" : "udp4", reuseAddr: true });
  return new Promise((settle, reject) => {
    socket.on("error", reject);
    socket.bind(from.port, from.address, () => {
      socket.send(Buffer.from(hex, "hex"), to.port, to.address, (error) => {
        socket.close();
        if (error === null) settle(null);
        else reject(error);
      });
    });
  });
}

async function start(): Promise<void> {
  for (const address of OUTSIDE_ADDRESSES) {
    for (const port of ECHO_PORTS) await serveUdpEcho(receipts, address, port);
    for (const port of ECHO_PORTS) await serveTcpEcho(receipts, address, port);
    for (const port of HTTP_PORTS) await serveHttp(receipts, address, port);
    await serveTcpEcho(receipts, address, BANNER_PORT, "220 welcome\r\n");
  }
  for (const address of DNS_ADDRESSES) {
    for (const port of DNS_PORTS) await serveDns(receipts, address, port, () => zone);
  }
}

process.on("disconnect", () => process.exit(0));
process.on("message", (request: ServerRequest) => {
  handle(request).then(
    (result) => process.send?.({ id: request.id, result } satisfies ServerResponse),
    (error: Error) => process.send?.({ id: request.id, result: null, error: error.message } satisfies ServerResponse),
  );
});
await start();
// It is killed at the end, and would leave nothing for the next one.
flushCompileCache();
process.send?.({ id: 0, result: "ready" } satisfies ServerResponse);
