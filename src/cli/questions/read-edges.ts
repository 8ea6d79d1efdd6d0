/** The edges of the records that are selected, for the commands that ask about them. */

import { type EdgeList, Edges } from "../../flow/edges/edges.ts";
import { EVERY_RECORD, type RecordSelection, selectionFilter } from "../../flow/filters/filter.ts";
import { readRecordsInto, type SourceOptions } from "../observe/question-options.ts";

/** The ends of edges are found among all records, whichever are selected. @throws UsageError, InputError, RecordsServerError */
export async function readEdges(options: SourceOptions, select: RecordSelection): Promise<EdgeList> {
  const edges = new Edges(selectionFilter(select), options.since);
  await readRecordsInto(options, EVERY_RECORD, (record) => edges.add(record));
  const list = edges.end();
  if (list.ambiguous > 0) {
    process.stderr.write(
      `${list.ambiguous} addresses belonged to several workloads in this time: who used them is shown by address; ask for a shorter time\n`,
    );
  }
  return list;
}
