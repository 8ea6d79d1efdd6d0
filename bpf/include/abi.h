/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Everything that the kernel side and user space both know: map keys and values, events, enums.
 * abi/ is the only description of these layouts; `tools/generate-abi.ts` reads them back from the
 * objects' BTF and writes the TypeScript codecs. Rules: explicit padding, no bit fields, no pointers.
 *
 * Conventions: every address is 16 bytes, IPv4 as ::ffff:a.b.c.d. "local" is the workload's side and
 * "remote" its peer's, whichever way a packet goes. Ports and addresses are in network byte order,
 * everything else in host order. Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns).
 */
#ifndef PORTCULLIS_ABI_H
#define PORTCULLIS_ABI_H

#define ADDRESS_LENGTH 16

#include "abi/verdicts.h"
#include "abi/settings.h"
#include "abi/workloads.h"
#include "abi/devices.h"
#include "abi/gate.h"
#include "abi/rules.h"
#include "abi/processes.h"
#include "abi/sockets.h"
#include "abi/shares.h"
#include "abi/flows.h"
#include "abi/dns.h"
#include "abi/counters.h"
#include "abi/records.h"

#endif
