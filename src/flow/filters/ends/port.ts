/** Ends with a port: `443`, or `8000-8999` for all of them. */
import { FilterError } from "../error.ts";
import type { EndTest } from "./end.ts";

const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?$/;

export function hasPort(values: readonly string[]): EndTest {
  const ranges = values.map(rangeOf);
  return ({ endpoint }) => {
    const port = endpoint?.port;
    return port !== undefined && ranges.some(([first, last]) => port >= first && port <= last);
  };
}

/** @throws FilterError */
function rangeOf(text: string): [number, number] {
  const [, first = "", last = first] = PORTS.exec(text) ?? [];
  const range: [number, number] = [Number(first), Number(last)];
  if (first === "" || range[1] > 65_535 || range[0] > range[1]) {
    throw new FilterError("port", text, "write a port or a range, such as 443 or 8000-8999");
  }
  return range;
}
