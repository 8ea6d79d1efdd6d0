/** The file that says what is exported where: YAML, as docs/export.md describes it. */
import { readFileSync } from "node:fs";
import { Ajv, type ErrorObject } from "ajv";
import { parse } from "yaml";
import { causeText, fileFault, UsageError } from "../../api/errors.ts";
import type { ExportSettings, FileSettings, OtlpSettings } from "../../export/settings.ts";
import { fieldPath } from "../../flow/field-path.ts";
import { selectionFilter } from "../../flow/filters/filter.ts";
import { criteriaList } from "../../flow/query.ts";
import { parseSize } from "../values/sizes.ts";

/** A file of exports that cannot be read, or has something in it that cannot be. Code PC_EXPORTS_INVALID. */
export class ExportsError extends UsageError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, "PC_EXPORTS_INVALID");
  }
}

/** As it is written. */
interface WrittenExport {
  name: string;
  allow?: unknown;
  deny?: unknown;
  fields?: string[];
  queue?: string;
  /** One of these. */
  file?: { path: string; maxSize?: string; maxFiles?: number; compress?: boolean };
  otlp?: {
    endpoint: string;
    protocol?: OtlpSettings["protocol"];
    caFile?: string;
    tokenFile?: string;
    headers?: Record<string, string>;
  };
}

/** Each has memory of its own, and a file that hangs keeps one of the four threads that Node has for files. */
const EXPORTS_MAX = 8;
const FILES_MAX = 2;
const SIZE_MIN = 2 ** 20;
const QUEUE = "16MiB";
const FILE_SIZE = "10MiB";
const FILES_KEPT = 5;

const size = { type: "string", pattern: "^[0-9]+(\\.[0-9]+)?[KMG]iB?$" };
const file = { type: "string", pattern: "^/.*[^/]$" };
const fileSchema = {
  type: "object",
  properties: {
    path: file,
    maxSize: size,
    maxFiles: { type: "integer", minimum: 0, maximum: 100 },
    compress: { type: "boolean" },
  },
  required: ["path"],
  additionalProperties: false,
};
const otlpSchema = {
  type: "object",
  properties: {
    endpoint: { type: "string", pattern: "^https?://[^/?#@]+(/[^?#]*)?$" },
    protocol: { type: "string", enum: ["grpc", "http"] },
    caFile: file,
    tokenFile: file,
    headers: {
      type: "object",
      propertyNames: { pattern: "^[a-z0-9][-_a-z0-9]*$" },
      additionalProperties: { type: "string", pattern: "^[ -~]*$" },
    },
  },
  required: ["endpoint"],
  additionalProperties: false,
};
const validate = new Ajv({ strict: true, strictRequired: false }).compile<{ exports: WrittenExport[] }>({
  type: "object",
  properties: {
    exports: {
      type: "array",
      maxItems: EXPORTS_MAX,
      items: {
        type: "object",
        properties: {
          name: { type: "string", pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" },
          // Looked at by those that know criteria.
          allow: { type: "array" },
          deny: { type: "array" },
          fields: { type: "array", items: { type: "string" }, maxItems: 100 },
          queue: size,
          file: fileSchema,
          otlp: otlpSchema,
        },
        required: ["name"],
        oneOf: [{ required: ["file"] }, { required: ["otlp"] }],
        additionalProperties: false,
      },
    },
  },
  required: ["exports"],
  additionalProperties: false,
});

/** @throws ExportsError naming the file, and the field that is wrong */
export function readExports(path: string): ExportSettings[] {
  const value = parsed(path);
  if (!validate(value)) throw new ExportsError(`${path}: ${fault(validate.errors?.[0])}`);
  const { exports } = value;
  const names = exports.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new ExportsError(`${path}: two exports have the name ${twice}`);
  const files = exports.filter((one) => one.file !== undefined).length;
  if (files > FILES_MAX) throw new ExportsError(`${path}: ${files} exports go to files; at most ${FILES_MAX} can`);
  return exports.map((written) => settingsOf(written, `${path}: the export ${written.name}`));
}

function parsed(path: string): unknown {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ExportsError(`cannot read ${path}: ${fileFault(cause)}`, { cause });
  }
}

function settingsOf({ name, queue = QUEUE, ...written }: WrittenExport, where: string): ExportSettings {
  return {
    ...{ name, ...wantedOf(written, where) },
    queue: bytes(queue, `${where}: queue`),
    to: written.otlp === undefined ? fileOf(written.file, where) : otlpOf(written.otlp, where),
  };
}

function fileOf(written: WrittenExport["file"], where: string): FileSettings {
  const { path = "", maxSize = FILE_SIZE, maxFiles = FILES_KEPT, compress = false } = written ?? {};
  return { kind: "file", path, maxSize: bytes(maxSize, `${where}: file.maxSize`), maxFiles, compress };
}

function otlpOf(written: NonNullable<WrittenExport["otlp"]>, where: string): OtlpSettings {
  const { endpoint, protocol = "grpc", caFile = null, tokenFile = null, headers = {} } = written;
  if (!URL.canParse(endpoint)) throw new ExportsError(`${where}: otlp.endpoint: ${endpoint} is no URL`);
  const { pathname } = new URL(endpoint);
  if (protocol === "grpc" && pathname !== "/") {
    throw new ExportsError(`${where}: otlp.endpoint: gRPC has no path; leave ${pathname} out, or set protocol: http`);
  }
  if (tokenFile !== null && endpoint.startsWith("http:")) {
    throw new ExportsError(`${where}: otlp.tokenFile: a token is sent over TLS only; write https://`);
  }
  return { kind: "otlp", endpoint, protocol, caFile, tokenFile, headers };
}

/** Which records, and what of them. */
function wantedOf(
  { allow = [], deny = [], fields = [] }: Pick<WrittenExport, "allow" | "deny" | "fields">,
  where: string,
) {
  try {
    const select = { allow: criteriaList(allow, "allow"), deny: criteriaList(deny, "deny") };
    selectionFilter(select);
    return { ...select, fields: fields.map(fieldPath) };
  } catch (cause) {
    throw new ExportsError(`${where}: ${causeText(cause)}`, { cause });
  }
}

function bytes(text: string, where: string): number {
  const value = parseSize(text);
  if (value < SIZE_MIN) throw new ExportsError(`${where}: ${text} is too little; give 1MiB or more`);
  return value;
}

function fault(error: ErrorObject | undefined): string {
  const where = error?.instancePath.replaceAll("/", ".").replace(/^\./, "") || "the file";
  const extra: unknown = error?.params.additionalProperty;
  return `${where} ${error?.message ?? "is wrong"}${extra === undefined ? "" : ` (${String(extra)})`}`;
}
