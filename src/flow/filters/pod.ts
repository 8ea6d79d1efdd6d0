/** Records of one pod, by its uid: another pod of the same name has another one. */
import type { RecordFilter } from "./filter.ts";

export function isOfPod(uid: string): RecordFilter {
  return ({ workload }) => workload.uid === uid;
}
