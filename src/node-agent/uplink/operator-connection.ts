/** A connection to an operator: TLS, and the token on each stream that is opened on it. */
import { readFileSync } from "node:fs";
import { Client, type ClientDuplexStream, credentials, Metadata, type MethodDefinition } from "@grpc/grpc-js";
import { causeText } from "../../api/errors.ts";
import { KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, MAX_MESSAGE_BYTES } from "../../protocol/service.ts";
import { OperatorConnectionError } from "./errors.ts";

export interface OperatorAddress {
  /** `host:port`. */
  target: string;
  /** The name in the operators' certificate: that of the address which was configured, wherever the leader is. */
  serverName: string;
  /** File with the certificates to trust, PEM. Read anew for each connection, as it may be replaced. */
  caFile: string;
  /** File with the service-account token, which the kubelet replaces before it expires. */
  tokenFile: string;
}

export class OperatorConnection {
  readonly #address: OperatorAddress;
  readonly #client: Client;
  readonly #metadata = new Metadata();

  /** @throws OperatorConnectionError where the token or the certificates cannot be read */
  constructor(address: OperatorAddress) {
    this.#address = address;
    this.#metadata.set("authorization", `Bearer ${readText(address.tokenFile, "token").trim()}`);
    this.#client = new Client(address.target, credentials.createSsl(Buffer.from(readText(address.caFile, "CA"))), {
      "grpc.ssl_target_name_override": address.serverName,
      "grpc.default_authority": address.serverName,
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
      "grpc.enable_retries": 0,
      // Proxies of the environment are for the world outside; the operator is in the cluster.
      "grpc.enable_http_proxy": 0,
      // Channels of earlier connections are not shared: this one's certificates may be other ones.
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  /** Opens a stream in both directions. */
  open<Sent, Received>(method: MethodDefinition<Sent, Received>): ClientDuplexStream<Sent, Received> {
    const { path, requestSerialize, responseDeserialize } = method;
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.#metadata);
  }

  /** Ends it, with the streams on it. */
  close(): void {
    this.#client.close();
  }

  /** What the words of OpenSSL mean here, and what to do; null: they are about something else. */
  certificateTrouble(words: string): string | null {
    const { serverName, caFile } = this.#address;
    if (/certificate has expired/i.test(words))
      return "the operator's certificate has expired, unless this node's clock is wrong; renew it (helm upgrade does, with tls.mode generated)";
    if (/certificate is not yet valid/i.test(words))
      return "the operator's certificate is not valid yet; is this node's clock right?";
    if (/self.signed certificate|unable to (get|verify)/i.test(words))
      return `the operator's certificate is not by an authority in ${caFile}; it is read again for each try`;
    if (/altnames/i.test(words)) return `the operator's certificate is not for the name ${serverName}`;
    return null;
  }
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new OperatorConnectionError(`cannot read the ${what} for the operator: ${causeText(cause)}`, { cause });
  }
}
