/** Kinds of flows, by the numbers that Cilium's monitor gives them (pkg/monitor/api of Cilium 1.18). */
export const DROP_EVENT = 1;
export const TRACE_EVENT = 4;
export const L7_EVENT = 129;
