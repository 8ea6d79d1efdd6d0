/** What the kernel has written down of a connection (struct flow_tcp), as a record has it: numbers become causes. */
import { constants } from "node:os";
import { TCP_STATES, type TcpFailure, type TcpFigures, type TcpState } from "../../flow/record.ts";
import type { FlowTcp } from "../../gen/abi.gen.ts";

const { ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EPIPE, EACCES, ETIMEDOUT } = constants.errno;
const NS_PER_US = 1000;
/** RCV_SHUTDOWN and SEND_SHUTDOWN of include/net/sock.h: the process has closed the socket. */
const SHUTDOWN_BOTH = 3;

/** Linux tells a route's absence, an unreachable host and an administrator's refusal apart, and processes rarely do. */
const UNREACHABLE: readonly number[] = [EHOSTUNREACH, ENETUNREACH, EACCES];
/** From these, a socket that its process closes goes without another word only if it resets the connection. */
const OPEN: readonly TcpState[] = ["syn-received", "established", "close-wait"];

/** @returns null where nothing is known: it is not a connection of TCP, or one without a socket of the workload's */
export function tcpFigures(tcp: FlowTcp): TcpFigures | null {
  const { handshake, rttLeast, rttSmoothed, retransmits, lost, outOfOrder } = tcp;
  const state = TCP_STATES[tcp.closedFrom - 1];
  const handshakePart = handshake === 0n ? {} : { handshakeNs: Number(handshake) };
  if (state === undefined) return handshake === 0n ? null : handshakePart;
  const least = rttLeast === 0 ? {} : { minNs: rttLeast * NS_PER_US };
  const failure = failureOf(tcp, state);
  const resetBy = resetOf(tcp, state);
  return {
    state,
    ...handshakePart,
    ...(rttSmoothed === 0 ? {} : { rtt: { ...least, smoothedNs: rttSmoothed * NS_PER_US } }),
    ...{ retransmits, lost, outOfOrder },
    ...(resetBy === null ? {} : { resetBy }),
    ...(failure === null ? {} : { failure }),
  };
}

function failureOf({ error, refused, unreachable }: FlowTcp, state: TcpState): TcpFailure | null {
  if (state === "syn-sent") {
    if (refused !== 0) return "denied";
    if (error === ECONNREFUSED || error === ECONNRESET) return "refused";
    if (error === ETIMEDOUT) return "timeout";
    // A process that asks for the error of a connect under way takes it from the socket, and then gives up.
    return error === 0 && unreachable === 0 ? "abandoned" : "unreachable";
  }
  if (error === ETIMEDOUT) return "timeout";
  if (UNREACHABLE.includes(error)) return "unreachable";
  return isResetByPeer(error, state) ? "reset" : null;
}

function resetOf({ error, shutdown }: FlowTcp, state: TcpState): "local" | "remote" | null {
  if (state === "syn-sent") return null;
  if (isResetByPeer(error, state)) return "remote";
  return error === 0 && shutdown === SHUTDOWN_BOTH && OPEN.includes(state) ? "local" : null;
}

/** After the peer's FIN, a reset shows as a broken pipe: tcp_reset of net/ipv4/tcp_input.c. */
function isResetByPeer(error: number, state: TcpState): boolean {
  return error === ECONNRESET || (error === EPIPE && state === "close-wait");
}
