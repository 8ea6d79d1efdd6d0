/** Records counted by fields, on standard output when the last one has come. */
import { UsageError } from "../../api/errors.ts";
import type { FieldName } from "../../flow/counting/fields.ts";
import { GROUP_MEASURES, Grouped } from "../../flow/counting/grouped.ts";
import { Scripts } from "../../flow/counting/scripts.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { printObjects, printTable } from "../questions/output.ts";
import type { ObserveFormat } from "./printer.ts";

const FORMATS: readonly ObserveFormat[] = ["compact", "table", "json"];

export class GroupPrinter {
  readonly #fields: readonly FieldName[];
  readonly #top: number;
  readonly #format: ObserveFormat;
  readonly #grouped: Grouped;
  readonly #scripts = new Scripts();

  /** @param format `compact` and `table` are the same @throws UsageError for one that groups do not have */
  constructor(fields: readonly FieldName[], format: ObserveFormat, { top, since }: { top?: number; since?: number }) {
    if (!FORMATS.includes(format)) throw new UsageError(`-o ${format}: groups are printed as ${FORMATS.join(", ")}`);
    this.#fields = fields;
    this.#top = top ?? Number.POSITIVE_INFINITY;
    this.#format = format;
    this.#grouped = new Grouped(fields, since);
  }

  print(record: AgentEvent): void {
    this.#grouped.add(this.#scripts.completed(record));
  }

  end(): void {
    const groups = this.#grouped.groups(this.#top);
    if (this.#format === "json") {
      const named = groups.map(({ values, ...counts }) => ({
        ...Object.fromEntries(this.#fields.map((name, index) => [name, values[index] ?? null])),
        ...counts,
      }));
      printObjects(named);
      return;
    }
    const heading = [...GROUP_MEASURES, ...this.#fields].map((name) => name.toUpperCase());
    const rows = groups.map(({ values, ...counts }) => [
      ...GROUP_MEASURES.map((measure) => String(counts[measure])),
      ...values.map((value) => value ?? "-"),
    ]);
    printTable(
      [heading, ...rows],
      [...GROUP_MEASURES.map(() => "right" as const), ...this.#fields.map(() => "shorten" as const)],
    );
  }
}
