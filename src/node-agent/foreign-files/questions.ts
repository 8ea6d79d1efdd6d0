/**
 * What the agent asks of files that are not the node's own, and how each question is answered. The answers are worked out
 * in the helper process (helper.ts) and nowhere else: any of these calls may last for ever.
 */
import { dirname } from "node:path";
import { resolveInRoot } from "./files.ts";
import {
  imageLinks,
  type PodProcessMounts,
  processMounts,
  processSearchDomains,
  readableRoot,
} from "./process-files.ts";

/** Each kind of question: what is asked, and what is answered. */
export interface Questions {
  /**
   * The files that paths lead to inside a container's root, by path: by links of the image alone, but for paths that are `planted` as
   * well. `roots` and `rootMount`: see `readableRoot`.
   */
  links: {
    ask: { roots: readonly string[]; rootMount: string | null; paths: readonly string[]; planted: readonly string[] };
    answer: Record<string, string>;
  };
  /** What the mounts of a pod's process tell of its container. */
  mounts: { ask: { pid: number; podUid: string }; answer: PodProcessMounts | null };
  /** Search list of the resolv.conf in a process's root; null where there is none. */
  searchDomains: { ask: { pid: number }; answer: string[] | null };
}

export type QuestionKind = keyof Questions;
export type Ask<K extends QuestionKind> = Questions[K]["ask"];
export type Answer<K extends QuestionKind> = Questions[K]["answer"];

type Answering = { [K in QuestionKind]: (ask: Ask<K>) => Promise<Answer<K>> };

const ANSWERING: Answering = {
  links: async ({ roots, rootMount, paths, planted }) => {
    const files: Record<string, string> = {};
    const root = await readableRoot(roots, rootMount);
    const ofImage = imageLinks(dirname(root));
    for (const path of paths)
      files[path] = await resolveInRoot(root, path, planted.includes(path) ? undefined : ofImage);
    return files;
  },
  mounts: ({ pid, podUid }) => processMounts(pid, podUid),
  searchDomains: ({ pid }) => processSearchDomains(pid),
};

/** Looks. @throws Node's error for what is neither an answer nor a process that has ended */
export function answer<K extends QuestionKind>(kind: K, ask: Ask<K>): Promise<Answer<K>> {
  return ANSWERING[kind](ask);
}
