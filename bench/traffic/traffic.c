/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for the benchmarks, and the time that it takes.
 *
 *   traffic client         reads commands from standard input, answers each with a line; ends with its input
 *   traffic dns NAMESPACE  answers every DNS question on port 53 of a network namespace with one address
 *
 * A lane is a way from one network namespace to another. Both of its ends are sockets of this one thread (but for
 * DNS, which has a server on the same CPU, and for bulk TCP where two CPUs are asked for): what a packet costs, from send
 * to receive with everything in between, then is what the thread takes for it. The thread is pinned and has a real-time
 * priority, so that other work on the machine does not end up in the figures.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>

#include "bulk.h"
#include "dns.h"
#include "packets.h"

static void obey(const char *line)
{
	char client[256], server[256], address[64], mode[16];
	int id = 0, count, port;
	unsigned int addresses;
	long long bytes, pace;

	if (sscanf(line, "%*s %d", &id) != 1 || id < 0 || id >= LANES_MAX)
		fail("no lane in: %s", line);
	if (sscanf(line, "lane %d %255s %255s %63s %d", &id, client, server, address, &port) == 5) {
		open_lane(client, server, address, port, &lanes[id]);
		printf("ok\n");
	} else if (sscanf(line, "udp %d %d", &id, &count) == 2) {
		printf("%lld\n", (long long)run_udp(&lanes[id], count));
	} else if (sscanf(line, "tcp %d %d", &id, &count) == 2) {
		printf("%lld\n", (long long)run_tcp(&lanes[id], count));
	} else if (sscanf(line, "bulk %d %lld %d", &id, &bytes, &count) == 3) {
		printf("%lld\n", (long long)(count == 1 ? run_bulk_alone : run_bulk)(&lanes[id], bytes));
	} else if (sscanf(line, "first %d %d %u %lld", &id, &count, &addresses, &pace) == 4) {
		printf("%lld\n", (long long)run_first(&lanes[id], count, addresses, pace));
	} else if (sscanf(line, "dns %d %d %255s %15s", &id, &count, address, mode) == 4) {
		run_dns(&lanes[id], count, address, !strcmp(mode, "fresh"));
	} else {
		fail("unknown command: %s", line);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[1024];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 3 && !strcmp(argv[1], "dns"))
		serve_dns(argv[2]);
	if (argc != 2 || strcmp(argv[1], "client")) {
		fprintf(stderr, "usage: traffic client | traffic dns NAMESPACE\n");
		return 2;
	}
	allow_many_files();
	pin(0);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
