/** Programs that put packets into pods past the node's end of their veths are found, and named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { probeVethCrossing } from "./features/node.ts";
import { calledHelpers, RETURN_NEXT } from "./instructions.ts";
import { PeerRedirects, peerRedirectText } from "./peer-redirects.ts";
import { loadPeerRedirect } from "./testing/peer-redirect-program.ts";

test("a program that calls bpf_redirect_peer is found by name for as long as it is loaded, and no other", () => {
  const redirects = new PeerRedirects();
  const names = () => redirects.list()?.map(({ name }) => name);
  assert.ok(!names()?.includes("pc_redirects"));
  {
    using _redirects = loadPeerRedirect("pc_redirects");
    assert.ok(names()?.includes("pc_redirects"));
    assert.ok(!names()?.includes("pc_probe"), "what is loaded for comparison is nobody's");
    const { state, detail } = probeVethCrossing();
    assert.equal(state, "missing");
    assert.match(detail, /pc_redirects \(\d+\) can put packets into pods past the node's end of their veths/);
  }
  assert.ok(!names()?.includes("pc_redirects"));
});

test("calls of helpers are told from calls of functions", () => {
  const call = (registers: number, place: number) => {
    const code = Buffer.from([0x85, registers, 0, 0, 0, 0, 0, 0]);
    code.writeInt32LE(place, 4);
    return code;
  };
  assert.deepEqual(calledHelpers(Buffer.concat([call(0, 155), call(0x10, 7), RETURN_NEXT])), new Set([155]));
});

test("several are named in one sentence", () => {
  const found = ["a", "b"].map((name, index) => ({ id: index + 1, name }));
  assert.match(peerRedirectText(found), /^the BPF programs a \(1\), b \(2\) can put/);
});
