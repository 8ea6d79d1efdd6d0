/** What an agent says of its folders. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_PIN_ROOT } from "../../node-agent/enforce/state/state.ts";
import { detachCommand } from "./node-options.ts";

test("the command that takes off what an agent leaves names its folders, where they are not the usual ones", () => {
  assert.equal(detachCommand({ pinRoot: DEFAULT_PIN_ROOT }), "portcullis detach --all");
  assert.equal(detachCommand({ pinRoot: "/sys/fs/bpf/x" }), "portcullis detach --all --pin-root /sys/fs/bpf/x");
  assert.equal(
    detachCommand({ pinRoot: DEFAULT_PIN_ROOT, stateDir: "/srv/state" }),
    "portcullis detach --all --state-dir /srv/state",
  );
});
