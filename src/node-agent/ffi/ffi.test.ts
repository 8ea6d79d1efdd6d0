import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import koffi from "koffi";
import { PortcullisError } from "../../api/errors.ts";
import { checkResult, ERRNO, errnoName, isKernelError, KernelError } from "./errno.ts";
import { openObject } from "./libbpf.ts";
import { captureLog, libbpfVersion } from "./libbpf-library.ts";
import {
  CLOCK,
  closeFd,
  interfaceIndex,
  interfaceName,
  listInterfaces,
  mapMemory,
  PROT_READ,
  pageSize,
  readClock,
} from "./libc.ts";
import { assertPlatform, Library, PlatformError } from "./library.ts";
import "./programs.ts";
import "./perf-events.ts";

test("error numbers have their usual names", () => {
  assert.deepEqual([1, 11, 95, 524, 9999].map(errnoName), ["EPERM", "EAGAIN", "EOPNOTSUPP", "ENOTSUPP", "errno 9999"]);
  for (const [name, number] of Object.entries(ERRNO)) assert.equal(errnoName(number), name);
});

test("a KernelError says what, to what, why and what to do", () => {
  const error = new KernelError({ operation: "pin", object: "map x", errno: ERRNO.EPERM });
  assert.ok(error instanceof PortcullisError);
  assert.equal(error.code, "PC_KERNEL");
  assert.match(error.message, /^cannot pin map x: operation not permitted \(EPERM\)\. Run as root/);
  assert.equal(checkResult(3, "x", "y"), 3);
  assert.throws(
    () => checkResult(-2, "open", "y"),
    (e: unknown) => isKernelError(e, ERRNO.ENOENT),
  );
  assert.equal(isKernelError(error, ERRNO.EINVAL), false);
  assert.equal(isKernelError(new Error("x")), false);
});

test("errors of libc", () => {
  assert.throws(
    () => closeFd(-1),
    (e: unknown) => isKernelError(e) && e.errnoName === "EBADF",
  );
  assert.throws(
    () => mapMemory(-1, 0, pageSize(), PROT_READ),
    (e: unknown) => isKernelError(e) && e.errnoName === "EBADF",
  );
});

test("interfaces and clocks", () => {
  assert.equal(interfaceIndex("lo"), 1);
  assert.equal(interfaceName(1), "lo");
  assert.equal(interfaceIndex("nonexistent"), null);
  assert.equal(interfaceName(0x7ffffff0), null);
  assert.ok(listInterfaces().some(({ index, name }) => index === 1 && name === "lo"));
  const wall = readClock(CLOCK.REALTIME) / 1_000_000n - BigInt(Date.now());
  assert.ok(wall > -1000n && wall < 1000n);
  assert.ok(readClock(CLOCK.BOOTTIME) + 1_000_000n > readClock(CLOCK.MONOTONIC));
});

test("other platforms are refused clearly", () => {
  for (const [platform, arch, order] of [
    ["darwin", "arm64", "LE"],
    ["linux", "ia32", "LE"],
    ["linux", "arm64", "BE"],
  ] as const) {
    assert.throws(() => assertPlatform(platform, arch, order), PlatformError);
  }
  assertPlatform("linux", "arm64", "LE");
});

test("a library that is missing says what to install, at the first call only", () => {
  const missing = new Library("libnothing-here.so.1", "Install it");
  const call = missing.declare<() => number>("int nothing()");
  assert.throws(
    call,
    (e: unknown) => e instanceof PlatformError && e.code === "PC_LIBRARY_MISSING" && /Install it$/.test(e.message),
  );
});

test("what libbpf prints is captured, and does not reach the terminal", () => {
  assert.match(libbpfVersion(), /^v1\./);
  const { log } = captureLog(() => {
    assert.throws(() => openObject("/nowhere.o", null));
  });
  assert.equal(log, "", "the inner capture took it");
  assert.throws(() => openObject("/nowhere.o", null), /failed to open \/nowhere.o: No such file/);
});

/** Structs whose layout is written down here, by the name that koffi has for them. */
const STRUCTS: Readonly<Record<string, string>> = {
  PcObjectOpenOptions: "bpf_object_open_opts",
  PcProgLoadOptions: "bpf_prog_load_opts",
  PcTestRunOptions: "bpf_test_run_opts",
};

test("layouts of libbpf's and the kernel's structs", () => {
  const lines = Object.entries(STRUCTS).flatMap(([name, c]) => {
    const { members = {} } = koffi.type(name);
    const fields = Object.keys(members).filter((field) => field !== "reserved");
    return [`size(${c})`, ...fields.map((field) => `offset(${c}, ${field})`)];
  });
  const expected = Object.entries(STRUCTS).flatMap(([name]) => {
    const { members = {}, size } = koffi.type(name);
    return [
      size,
      ...Object.values(members)
        .filter(({ name: field }) => field !== "reserved")
        .map(({ offset }) => offset),
    ];
  });
  const others = [
    ["size(bpf_link_create_opts)", 64],
    ["offset(bpf_link_create_opts, flags)", 8],
    ["size(bpf_map_create_opts)", 48],
    ["offset(bpf_map_create_opts, map_flags)", 28],
    ["size(bpf_map_batch_opts)", 24],
    ["size(bpf_tc_hook)", 24],
    ["offset(bpf_tc_hook, attach_point)", 12],
    ["size(bpf_tc_opts)", 32],
    ["offset(bpf_tc_opts, prog_fd)", 8],
    ["offset(bpf_tc_opts, handle)", 20],
    ["offset(bpf_tc_opts, priority)", 24],
    ["size(bpf_prog_info)", 232],
    ["offset(bpf_prog_info, verified_insns)", 216],
    ["offset(bpf_prog_info, run_time_ns)", 192],
    ["offset(bpf_prog_info, name)", 64],
    ["offset(bpf_map_info, name)", 24],
    ["offset(bpf_map_info, map_flags)", 20],
    ["offset(bpf_link_info, prog_id)", 8],
    ["size(__sk_buff)", 192],
    ["offset(__sk_buff, mark)", 8],
    ["offset(__sk_buff, priority)", 32],
    ["offset(__sk_buff, ingress_ifindex)", 36],
    ["offset(__sk_buff, ifindex)", 40],
    ["offset(__sk_buff, cb)", 48],
  ] as const;
  const all = [...lines, ...others.map(([line]) => line)];
  assert.deepEqual(measure(all), [...expected, ...others.map(([, value]) => value)]);
  assert.equal(koffi.offsetof("PcPerfEventAttributes", "config1"), measure(["offset(perf_event_attr, config1)"])[0]);
});

/** What the C compiler says of each `size(struct)` and `offset(struct, field)`. */
function measure(lines: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), "pc-layout-"));
  try {
    const source = `#include <stdio.h>
#include <stddef.h>
#include <linux/perf_event.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#define size(s) printf("%zu\\n", sizeof(struct s))
#define offset(s, f) printf("%zu\\n", offsetof(struct s, f))
int main(void) { ${lines.map((line) => `${line};`).join("\n")} return 0; }`;
    writeFileSync(join(folder, "layout.c"), source);
    execFileSync("clang", ["-o", join(folder, "layout"), join(folder, "layout.c")]);
    return execFileSync(join(folder, "layout"), { encoding: "utf8" }).trim().split("\n").map(Number);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("exitNow ends the process at once, with its status, and runs nothing of what is left", () => {
  const text = `
    import { exitNow } from "./libc.ts";
    process.on("exit", () => console.log("Node's own end"));
    console.log("before");
    exitNow(7);
  `;
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "--eval", text], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  assert.equal(status, 7);
  assert.equal(stdout, "before\n");
});
