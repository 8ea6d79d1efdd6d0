/** The file that says what is exported where: YAML, as docs/export.md describes it. */
import { readFileSync } from "node:fs";
import { Ajv, type ErrorObject } from "ajv";
import { parse } from "yaml";
import { causeText, fileFault, UsageError } from "../../api/errors.ts";
import type { ExportSettings } from "../../export/settings.ts";
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
  file: { path: string; maxSize?: string; maxFiles?: number; compress?: boolean };
}

/** Each has memory of its own, and a file that hangs keeps one of the four threads that Node has for files. */
const EXPORTS_MAX = 8;
const FILES_MAX = 2;
const SIZE_MIN = 2 ** 20;
const QUEUE = "16MiB";
const FILE_SIZE = "10MiB";
const FILES_KEPT = 5;

const size = { type: "string", pattern: "^[0-9]+(\\.[0-9]+)?[KMG]iB?$" };
const fileSchema = {
  type: "object",
  properties: {
    path: { type: "string", pattern: "^/.*[^/]$" },
    maxSize: size,
    maxFiles: { type: "integer", minimum: 0, maximum: 100 },
    compress: { type: "boolean" },
  },
  required: ["path"],
  additionalProperties: false,
};
const validate = new Ajv({ strict: true }).compile<{ exports: WrittenExport[] }>({
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
        },
        required: ["name", "file"],
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
  if (exports.length > FILES_MAX) {
    throw new ExportsError(`${path}: ${exports.length} exports go to files; at most ${FILES_MAX} can`);
  }
  return exports.map((written) => settingsOf(written, `${path}: the export ${written.name}`));
}

function parsed(path: string): unknown {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ExportsError(`cannot read ${path}: ${fileFault(cause)}`, { cause });
  }
}

function settingsOf({ name, queue = QUEUE, file, ...wanted }: WrittenExport, where: string): ExportSettings {
  const { path, maxSize = FILE_SIZE, maxFiles = FILES_KEPT, compress = false } = file;
  return {
    ...{ name, ...wantedOf(wanted, where) },
    queue: bytes(queue, `${where}: queue`),
    file: { path, maxSize: bytes(maxSize, `${where}: file.maxSize`), maxFiles, compress },
  };
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
