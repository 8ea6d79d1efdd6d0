/** What a guest tells its host: one JSON object a line, on its second serial port. Used on both sides. */

/** A program of an object file. */
export interface ProgramResult {
  kind: "program";
  /** `classifier` for classifier.bpf.o. */
  object: string;
  program: string;
  /** After verification; 0 if it was refused. */
  instructions: number;
  /** That the verifier walked through; 0 where the kernel does not tell (before 5.16). */
  verified: number;
  /** The end of the verifier's log, if it was refused. */
  refused?: string;
}

/** A feature that src/node-agent/kernel/features/features.ts looks for. */
export interface FeatureResult {
  kind: "feature";
  feature: string;
  available: boolean;
  detail: string;
}

/** How the agent's programs get to the kernel's functions for a job, or what is lost because they do not. */
export interface HookResult {
  kind: "hook";
  job: string;
  way: string;
}

export interface TestResult {
  kind: "test";
  file: string;
  /** With the names of the suites around it. */
  name: string;
  /** Unsteady: it failed in one of two runs. */
  outcome: "passed" | "failed" | "unsteady" | "skipped";
  milliseconds: number;
  /** Of the failure, or why it was skipped. */
  message?: string;
}

/** A part of the suite has come to its end: a test file, or what comes before. */
export interface PartResult {
  kind: "part";
  name: string;
  milliseconds: number;
}

/** The suite itself could not go on. */
export interface TroubleResult {
  kind: "trouble";
  message: string;
}

/** The last line. */
export interface EndResult {
  kind: "end";
  status: number;
}

export type GuestResult =
  | ProgramResult
  | FeatureResult
  | HookResult
  | TestResult
  | PartResult
  | TroubleResult
  | EndResult;

/** Lines that are cut off, because the guest died, are left out. */
export function parseResults(text: string): GuestResult[] {
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as GuestResult];
    } catch {
      return [];
    }
  });
}
