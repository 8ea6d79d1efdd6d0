/** Records of ports: `443`, or `8000-8999` for all of them. */
import { FilterError } from "../error.ts";
import type { RecordFilter } from "../filter.ts";
import { hasEnd, type Side } from "./end.ts";

const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?$/;

export function hasPort(side: Side): (values: readonly string[]) => RecordFilter {
  return (values) => {
    const ranges = values.map(rangeOf);
    return hasEnd(side, ({ endpoint }) => {
      const port = endpoint?.port;
      return port !== undefined && ranges.some(([first, last]) => port >= first && port <= last);
    });
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
