/** The servers themselves: echo over UDP and TCP, HTTP, DNS. They remember what they got. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Socket } from "node:net";
import { parseQuestion } from "./dns-message.ts";
import type { Receipts } from "./receipts.ts";
import { answer, type Zone } from "./zone.ts";

/** Gives back what it gets. */
export async function serveUdpEcho(receipts: Receipts, address: string, port: number): Promise<void> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (message, peer) => {
    receipts.add({ transport: "udp", address, port, from: peer.address, text: message.toString("latin1") });
    socket.send(message, peer.port, peer.address);
  });
  socket.bind(port, address);
  await once(socket, "listening");
}

/** Gives back what it gets, and says something of its own first where `greeting` is given. */
export async function serveTcpEcho(receipts: Receipts, address: string, port: number, greeting = ""): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    const local = { address: plain(socket.localAddress), port, from: plain(socket.remoteAddress) };
    if (greeting !== "") socket.write(greeting);
    socket.on("data", (data) => {
      receipts.add({ transport: "tcp", ...local, text: data.toString("latin1") });
      socket.write(data);
    });
  });
  server.listen({ host: address, port, ipv6Only: false });
  await once(server, "listening");
}

export async function serveHttp(receipts: Receipts, address: string, port: number): Promise<void> {
  const server = createHttpServer((request, response) => {
    const { socket, method, url, headers } = request;
    receipts.add({
      transport: "tcp",
      address: plain(socket.localAddress),
      port,
      from: plain(socket.remoteAddress),
      text: `${method} ${headers.host ?? ""} ${url}`,
    });
    response.end("hello\n");
  });
  server.listen({ host: address, port });
  await once(server, "listening");
}

/** A name server, over UDP and TCP. `zone` is asked for at each question: it may change. */
export async function serveDns(receipts: Receipts, address: string, port: number, zone: () => Zone): Promise<void> {
  const reply = (message: Buffer, transport: "udp" | "tcp"): Buffer | null => {
    const question = parseQuestion(message);
    if (question === null) return null;
    receipts.asked({ transport, name: question.name, type: question.type });
    return answer(zone(), question, transport);
  };
  // Datagrams that nobody asked for are sent from another socket on the same port.
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", reuseAddr: true });
  socket.on("message", (message, peer) => {
    const bytes = reply(message, "udp");
    if (bytes !== null) socket.send(bytes, peer.port, peer.address);
  });
  socket.bind(port, address);
  await once(socket, "listening");
  const server = createServer((connection) => serveDnsStream(connection, reply));
  server.listen({ host: address, port });
  await once(server, "listening");
}

/** Each message has its length before it: RFC 1035, 4.2.2. */
function serveDnsStream(connection: Socket, reply: (message: Buffer, transport: "tcp") => Buffer | null): void {
  let pending = Buffer.alloc(0);
  connection.on("error", () => connection.destroy());
  connection.on("data", (data) => {
    pending = Buffer.concat([pending, data]);
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0);
      const bytes = reply(pending.subarray(2, end), "tcp");
      pending = pending.subarray(end);
      if (bytes === null) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length);
      connection.write(Buffer.concat([length, bytes]));
    }
  });
}

function plain(address = ""): string {
  return address.replace(/^::ffff:/, "");
}
