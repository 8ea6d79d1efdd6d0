/**
 * The server's certificate and key in files, taken up again when they are renewed. What cannot be read, or does not belong
 * together because it is just being written, leaves the pair before in use.
 */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { experimental } from "@grpc/grpc-js";
import { causeText, UnreadableError } from "../api/errors.ts";
import type { Logger } from "../telemetry/logger.ts";

type CaListener = Parameters<experimental.CertificateProvider["addCaCertificateListener"]>[0];
type IdentityListener = Parameters<experimental.CertificateProvider["addIdentityCertificateListener"]>[0];

interface Pair {
  certificate: Buffer;
  privateKey: Buffer;
  expiresAt: number;
}

/** Renewed files are taken up after at most this long. */
const INTERVAL_MS = 60_000;
/** Somebody has to renew it by then; said once a day. */
const SOON_MS = 14 * 24 * 60 * 60_000;
const LOG_AGAIN_MS = 24 * 60 * 60_000;

/** gRPC asks for a provider of authorities too; certificates of clients are not looked at, because agents show tokens. */
export class CertificateFiles implements experimental.CertificateProvider {
  readonly #files: { certificateFile: string; keyFile: string };
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #identities = new Set<IdentityListener>();
  readonly #authorities = new Set<CaListener>();
  #pair: Pair;
  #loggedAt = Number.NEGATIVE_INFINITY;

  /** @throws UnreadableError where they cannot be read, or do not belong together */
  constructor(files: { certificateFile: string; keyFile: string }, log: Logger, interval = INTERVAL_MS) {
    this.#files = files;
    this.#log = log;
    this.#pair = readPair(files);
    this.#timer = setInterval(() => this.#refresh(), interval);
    this.#timer.unref();
    this.#logExpiry();
  }

  /** When the certificate ends, in milliseconds since 1970. */
  get expiresAt(): number {
    return this.#pair.expiresAt;
  }

  // gRPC expects to be told after it has added the listener, not while.
  addCaCertificateListener(listener: CaListener): void {
    this.#authorities.add(listener);
    process.nextTick(listener, { caCertificate: this.#pair.certificate });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#authorities.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identities.add(listener);
    process.nextTick(listener, this.#pair);
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identities.delete(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** An agent that is shown an expired certificate goes away, and so does everybody else. */
  #logExpiry(): void {
    const left = this.#pair.expiresAt - Date.now();
    if (left > SOON_MS || performance.now() - this.#loggedAt < LOG_AGAIN_MS) return;
    this.#loggedAt = performance.now();
    const about = { file: this.#files.certificateFile, expires: dateText(this.#pair) };
    if (left > 0) this.#log.warn(about, "the certificate expires soon; renew it");
    else this.#log.error(about, "the certificate has expired: no agent connects until it is renewed");
  }

  #refresh(): void {
    let pair: Pair;
    try {
      pair = readPair(this.#files);
    } catch (cause) {
      this.#log.warn({}, `the certificate in use stays: ${causeText(cause)}`);
      this.#logExpiry();
      return;
    }
    this.#logExpiry();
    if (pair.certificate.equals(this.#pair.certificate) && pair.privateKey.equals(this.#pair.privateKey)) return;
    this.#pair = pair;
    this.#log.info({ file: this.#files.certificateFile, expires: dateText(pair) }, "another certificate is in use");
    this.#loggedAt = Number.NEGATIVE_INFINITY;
    this.#logExpiry();
    for (const listener of this.#identities) listener(pair);
    for (const listener of this.#authorities) listener({ caCertificate: pair.certificate });
  }
}

function dateText({ expiresAt }: Pair): string {
  return new Date(expiresAt).toISOString();
}

function readPair({ certificateFile, keyFile }: { certificateFile: string; keyFile: string }): Pair {
  const certificate = readPem(certificateFile);
  const privateKey = readPem(keyFile);
  try {
    createSecureContext({ cert: certificate, key: privateKey });
  } catch (cause) {
    throw new UnreadableError(`${certificateFile} with ${keyFile}`, cause);
  }
  return { certificate, privateKey, expiresAt: Date.parse(new X509Certificate(certificate).validTo) };
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new UnreadableError(file, cause);
  }
}
