/** What a process and its thread of endpoints say to each other. */
import type { DropReason } from "../net/connection-limits.ts";

export interface EndpointListener {
  host: string;
  port: number;
  /** As it was given, for messages. */
  address: string;
}

export interface EndpointsWorkerData {
  probe: EndpointListener | null;
  metrics: EndpointListener | null;
  needsToken: boolean;
  tls: { certificateFile: string; keyFile: string } | null;
}

export type ToWorker =
  /** The process lives, and this keeps it from its work. */
  | { type: "beat"; problems: string[] }
  /** Metrics as of now; null: they cannot be had. */
  | { type: "rendered"; text: string | null; contentType: string }
  /** Null: it cannot be asked now. */
  | { type: "reviewed"; id: number; allowed: boolean | null };

export type FromWorker =
  | { type: "listening"; probePort: number; metricsPort: number }
  /** Null: it was no address that failed. */
  | { type: "failed"; address: string | null; reason: string }
  | { type: "render" }
  | { type: "review"; id: number; token: string }
  | { type: "dropped"; reason: DropReason };
