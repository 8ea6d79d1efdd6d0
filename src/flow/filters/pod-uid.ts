/** Records of one pod, by its uid: another pod of the same name has another one. */
import type { RecordFilter } from "./record-filter.ts";

export function isOfPodUid(uids: readonly string[]): RecordFilter {
  return (record) => "workload" in record && record.workload.uid !== undefined && uids.includes(record.workload.uid);
}
