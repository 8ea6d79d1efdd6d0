import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { addSettingOptions, type SettingOptions, settingsOf } from "./node-options.ts";

const portsOf = (...args: string[]) => {
  const command = addSettingOptions(new Command("x"));
  command.parse(args, { from: "user" });
  return settingsOf(command.opts<SettingOptions>()).dnsPorts;
};

test("--dns-port adds to port 53, which is DNS whatever else is", () => {
  assert.deepEqual(portsOf(), [53]);
  assert.deepEqual(portsOf("--dns-port", "5353"), [53, 5353]);
  assert.deepEqual(portsOf("--dns-port", "53", "--dns-port", "5353"), [53, 5353]);
});
