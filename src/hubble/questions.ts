/** Requests of Hubble's clients as questions about records. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RecordQuery } from "../flow/query.ts";
import { type Flow, FlowFilterSchema, type GetFlowsRequest } from "../gen/observer_pb.js";
import { flowMask } from "./field-mask.ts";
import { criteriaOf } from "./flow-filter.ts";

export interface FlowQuestion {
  query: RecordQuery;
  /** What is wanted of each flow. */
  mask: (flow: Flow) => Flow;
}

const EVERY_FLOW = create(FlowFilterSchema);

/** @throws UsageError, FilterError naming the filter that cannot be answered */
export function questionOf(request: GetFlowsRequest, now: number): FlowQuestion {
  const { number, first, follow, since, until, whitelist, blacklist } = request;
  const count = Number(number > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : number);
  const allow = criteriaOf(whitelist.length === 0 ? [EVERY_FLOW] : whitelist);
  // Who follows, and asks for nothing else, wants what comes.
  const from = since !== undefined ? timestampMs(since) : follow && count === 0 ? now : undefined;
  const paths = request.fieldMask?.paths ?? request.experimental?.fieldMask?.paths ?? [];
  return {
    query: {
      select: { allow, deny: criteriaOf(blacklist) },
      follow,
      ...(from === undefined ? {} : { since: from }),
      ...(until === undefined ? {} : { until: timestampMs(until) }),
      ...(count === 0 ? {} : first ? { first: count } : { last: count }),
    },
    mask: paths.length === 0 ? (flow) => flow : flowMask(paths),
  };
}
