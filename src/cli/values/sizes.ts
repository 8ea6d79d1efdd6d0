/** Sizes on the command line: `512MiB`, `1GiB`, as Kubernetes writes them (`Mi`, `Gi`) too. */
import { UsageError } from "../../api/errors.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
const SIZE = /^(\d+(?:\.\d+)?)(|[KMGT]i)B?$/;

/** Bytes. @throws UsageError */
export function parseSize(text: string): number {
  const [, number = "", unit = ""] = SIZE.exec(text) ?? [];
  if (number === "") throw new UsageError(`"${text}" is not a size; write for example 512MiB or 1GiB`);
  return Math.round(Number(number) * (UNITS[unit] ?? 1));
}

/** The size with one digit behind the point, in the largest unit that it fills. */
export function formatSize(bytes: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([, one]) => bytes >= one) ?? ["", 1];
  return `${Number((bytes / size).toFixed(1))}${unit === "" ? " bytes" : `${unit}B`}`;
}
