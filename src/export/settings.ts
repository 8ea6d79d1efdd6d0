/** What is exported where: settings of one export, which can be sent to a thread. */
import type { FieldPath } from "../flow/field-mask.ts";
import type { RecordSelection } from "../flow/filters/filter.ts";

export interface FileSettings {
  kind: "file";
  path: string;
  /** Bytes, at which another file is begun. */
  maxSize: number;
  /** Files that are kept beside the one that is written. */
  maxFiles: number;
  /** Those are compressed with gzip. */
  compress: boolean;
}

/** A receiver of OTLP's logs. */
export interface OtlpSettings {
  kind: "otlp";
  /** `http://` or `https://`, a host, a port, and for HTTP a path. */
  endpoint: string;
  protocol: "grpc" | "http";
  /** Of authorities that its certificate is checked against; null: the system's. */
  caFile: string | null;
  /** Of a token that is shown (`Authorization: Bearer`). */
  tokenFile: string | null;
  headers: Readonly<Record<string, string>>;
}

export interface ExportSettings extends RecordSelection {
  /** Tells it from others, in metrics and messages. */
  name: string;
  /** Fields of records that are wanted; empty: all. */
  fields: readonly FieldPath[];
  /** Bytes that may wait for the destination. */
  queue: number;
  to: FileSettings | OtlpSettings;
}

/** How an export goes: counts since it was asked before. */
export interface ExportState {
  name: string;
  /** Records that its destination has. */
  taken: number;
  /** That were left out because too much was waiting. */
  overflowed: number;
  /** That the destination will never take, as it says, or that were still waiting at the end. */
  refused: number;
  /** Bytes. */
  waiting: number;
  /** Why the destination takes nothing; null: it does. */
  problem: string | null;
}
