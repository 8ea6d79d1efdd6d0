/**
 * Namespaces: being in another one for the time of a synchronous call, and making network namespaces that outlive their maker.
 * setns(2) and unshare(2) act on the calling thread, which is the one that runs JavaScript; so everything that shall
 * happen inside a namespace has to happen before the next tick, and no promise may be awaited in there.
 */
import { closeSync, openSync } from "node:fs";
import koffi from "koffi";
import { causeText, InternalError } from "../../api/errors.ts";
import { ERRNO, KernelError } from "./errno.ts";
import {
  setNetworkNamespace,
  setPidNamespaceOfChildren,
  unshareNetworkNamespace,
  unsharePidNamespaceOfChildren,
} from "./libc.ts";
import { Library } from "./library.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");
const mount = libc.declare<(source: string, target: string, type: string | null, flags: number, data: null) => number>(
  "int mount(const char *source, const char *target, const char *type, ulong flags, const void *data)",
);
const umount2 = libc.declare<(target: string, flags: number) => number>("int umount2(const char *target, int flags)");

/** <linux/mount.h>, <sys/mount.h> */
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SHARED = 0x100000;
const MNT_DETACH = 2;

/** The network namespace of the thread that runs JavaScript. */
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

/** @throws KernelError where a call returned -1. */
function check(result: number, operation: string, object: string): void {
  if (result < 0) throw new KernelError({ operation, object, errno: koffi.errno() });
}

/** To go on in a foreign namespace would guard, and change, the wrong interfaces: no way back, no way on. */
function goHome(home: number, enter: (fd: number) => void): void {
  try {
    enter(home);
  } catch (error) {
    process.stderr.write(`portcullis: cannot return to its own namespace: ${causeText(error)}\n`);
    process.abort();
  }
  closeSync(home);
}

/** Runs `work`, which may change the thread's namespace of one kind, and goes back to where it was, whatever happens. */
function returning<T>(work: () => T, own = OWN_NAMESPACE, enter = setNetworkNamespace): T {
  const home = openSync(own, "r");
  try {
    const result = work();
    if (result instanceof Promise) throw new InternalError("work inside a namespace has to be synchronous");
    return result;
  } finally {
    goHome(home, enter);
  }
}

/**
 * Calls `work` with the thread inside the network namespace that `namespaceFd` refers to. Sockets opened in there,
 * and children spawned in there, stay in that namespace.
 *
 * @throws KernelError where the namespace cannot be entered; whatever `work` throws.
 */
export function inNetworkNamespace<T>(namespaceFd: number, work: () => T): T {
  return returning(() => {
    setNetworkNamespace(namespaceFd);
    return work();
  });
}

/**
 * Calls `work`, whose children begin in a new PID namespace. The first one is that namespace's first process: when it ends,
 * the kernel ends all others in there.
 *
 * @throws KernelError; whatever `work` throws.
 */
export function withChildrenInNewPidNamespace<T>(work: () => T): T {
  const makeAndWork = () => {
    unsharePidNamespaceOfChildren();
    return work();
  };
  return returning(makeAndWork, "/proc/thread-self/ns/pid_for_children", setPidNamespaceOfChildren);
}

/**
 * Makes a network namespace and binds it to the existing file `target`, so that it lives until
 * `unbindNamespace(target)` and the end of the last process in it. The caller's own namespace stays as it is.
 *
 * @throws KernelError
 */
export function makeNetworkNamespace(target: string): void {
  returning(() => {
    unshareNetworkNamespace();
    check(mount(OWN_NAMESPACE, target, null, MS_BIND, null), "bind a network namespace to", target);
  });
}

/** Takes a namespace's binding away from `target`. @throws KernelError */
export function unbindNamespace(target: string): void {
  check(umount2(target, MNT_DETACH), "release the network namespace at", target);
}

/**
 * Makes `folder` a shared mount, as `ip netns` does with /run/netns: what is bound below it is then seen, and
 * released, in every mount namespace that came from this one.
 *
 * @throws KernelError
 */
export function shareMount(folder: string): void {
  if (mount("", folder, "none", MS_SHARED | MS_REC, null) === 0) return;
  const errno = koffi.errno();
  if (errno !== ERRNO.EINVAL) throw new KernelError({ operation: "share the mounts below", object: folder, errno });
  check(mount(folder, folder, "none", MS_BIND | MS_REC, null), "bind to itself", folder);
  check(mount("", folder, "none", MS_SHARED | MS_REC, null), "share the mounts below", folder);
}
