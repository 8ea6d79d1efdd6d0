/** What `kubectl describe` says of a profile, in each state that it can be in, is as in snapshots/. `make snapshots` writes it again. */
import { join } from "node:path";
import { test } from "node:test";
import { stringify } from "yaml";
import type { ProfileStatus } from "../profiles/profile-status.ts";
import { profileObject, storedProfile } from "../testing/stored-profile.ts";
import { buildStatus } from "./build.ts";
import { type Folded, unfolded } from "./fold.ts";
import { addCounts, ProfileTotals } from "./totals.ts";

const NOW = new Date("2026-01-02T03:04:05.678Z");
const SPEC = { actions: ["enforce"], processes: [{ path: "/bin/web", container: "app" }, { path: "/bin/sh" }] };
const FAILING = [{ name: "n1", reason: "PC_CAPACITY", message: "the map peers4 is full", pods: 2 }];

const NOBODY = unfolded(0);
const WELL: Partial<Folded> = {
  pods: { selected: 4, enforced: 4, unprotected: 0 },
  nodes: { total: 2, programmed: 2, ready: 2 },
};

const SHARED: Partial<Folded> = { sharedWith: new Map([["/bin/sh", new Set(["/bin/cat", "/bin/ls"])]]) };

interface State {
  spec?: object;
  metadata?: object;
  folded?: Partial<Folded>;
}

const STATES: Record<string, State> = {
  "all is well": {},
  "it selects no pod": { folded: { ...NOBODY } },
  "it has no labels": { metadata: { labels: {} } },
  "it is not valid": { spec: { actions: ["nonsense"] } },
  "it cannot be compiled": { folded: { compileFailure: { reason: "CompileFailed", message: "too many rules" } } },
  "nodes are on their way": {
    folded: {
      pods: { selected: 4, enforced: 3, unprotected: 0 },
      nodes: { total: 2, programmed: 1, ready: 1 },
    },
  },
  "a node fails": {
    folded: {
      pods: { selected: 4, enforced: 2, unprotected: 0 },
      nodes: { total: 2, programmed: 1, ready: 1 },
      failing: FAILING,
    },
  },
  "a node has limits": { folded: { limited: FAILING } },
  "a pod cannot be protected": {
    folded: {
      pods: { selected: 4, enforced: 3, unprotected: 1 },
      unprotected: { reason: "HostNetwork", message: "it is in the node's network", pod: "shop/proxy" },
    },
  },
  "pods were let through before": { folded: { letThrough: ["shop/early"] } },
  "pods have more than they need": {
    folded: {
      weaknesses: new Map([
        ["privileged", { pods: 1, first: "shop/b" }],
        ["netRaw", { pods: 3, first: "shop/a" }],
      ]),
    },
  },
};

function statusOf({ spec = SPEC, metadata = {}, folded = {} }: State): ProfileStatus {
  const profile = storedProfile(profileObject(spec, { generation: 3, ...metadata }));
  const totals = new ProfileTotals().of({ key: "shop/web", uid: "u", status: {} });
  addCounts(totals, { path: "/bin/sh", container: "" }, [{ verdict: "dropped", packets: 2 }]);
  return buildStatus(profile, { ...NOBODY, ...WELL, ...folded }, totals, {}, NOW);
}

test("conditions in every state of a profile, and a whole status", (context) => {
  const texts = Object.entries(STATES).map(([name, state]) => {
    const lines = statusOf(state).conditions.map((one) => `${one.type} ${one.status} ${one.reason}: ${one.message}`);
    return [`# ${name}`, ...lines, ""].join("\n");
  });
  const whole = stringify(statusOf({ folded: SHARED }));
  const file = join(import.meta.dirname, "snapshots/conditions.txt");
  context.assert.fileSnapshot([...texts, `# everything\n${whole}`].join("\n"), file, { serializers: [String] });
});
