/* SPDX-License-Identifier: Apache-2.0 */
/* Single packets: on open flows, and such that begin one. */
#ifndef PACKETS_H
#define PACKETS_H

#include "lane.h"

#define PAYLOAD 64
#define SPACE 5000000                   /* addresses below the first ten /13 of the peer's network */
#define FIRST_BATCH 32

/* There and back, `count` times, on one flow. Two packets each. */
static int64_t run_udp(struct lane *lane, int count)
{
	struct sockaddr_in to = server_address(lane, 0), from;
	char data[PAYLOAD] = {};
	socklen_t length;
	int64_t start;

	if (lane->udp < 0) {
		lane->udp_server = bound(lane->server_namespace, SOCK_DGRAM, &to);
		lane->udp = connected(lane->client_namespace, SOCK_DGRAM, &to);
	}
	start = now();
	for (int i = 0; i < count; i++) {
		length = sizeof(from);
		if (send(lane->udp, data, sizeof(data), 0) < 0 ||
		    recvfrom(lane->udp_server, data, sizeof(data), 0, (struct sockaddr *)&from, &length) < 0)
			fail("UDP packet %d", i);
		if (sendto(lane->udp_server, data, sizeof(data), 0, (struct sockaddr *)&from, length) < 0 ||
		    recv(lane->udp, data, sizeof(data), 0) < 0)
			fail("UDP answer %d", i);
	}
	return now() - start;
}

/* The same over a TCP connection. */
static int64_t run_tcp(struct lane *lane, int count)
{
	char data[PAYLOAD] = {};
	int64_t start;

	open_tcp(lane);
	start = now();
	for (int i = 0; i < count; i++)
		if (send(lane->tcp, data, sizeof(data), 0) < 0 || recv(lane->tcp_server, data, sizeof(data), 0) < 0 ||
		    send(lane->tcp_server, data, sizeof(data), 0) < 0 || recv(lane->tcp, data, sizeof(data), 0) < 0)
			fail("TCP packet %d", i);
	return now() - start;
}

/* One of `count` addresses, at random, that lie evenly among SPACE from 10.129.0.0 on. */
static uint32_t next_address(uint32_t count)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return 0x0a810000 + (uint32_t)(((uint64_t)state * count) >> 32) * (SPACE / count);
}

static void drain(int fd)
{
	char data[PAYLOAD];

	while (recv(fd, data, sizeof(data), MSG_DONTWAIT) >= 0)
		;
}

/* Real time is for measuring; a load on others must leave them the CPU. */
static void set_real_time(int on)
{
	struct sched_param parameters = { .sched_priority = on ? PRIORITY : 0 };

	sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &parameters);
}

/* Waits until `count` packets may have been sent at one per `pace` ns. */
static void keep_pace(int64_t start, int count, int64_t pace)
{
	int64_t ahead = count * pace - (now() - start);
	struct timespec pause = { .tv_nsec = ahead };

	if (ahead > 0)
		nanosleep(&pause, NULL);
}

/* Packets that each begin a flow, to one of so many addresses. `pace`: nanoseconds between two, 0 for none. */
static int64_t run_first(struct lane *lane, int count, uint32_t addresses, int64_t pace)
{
	struct sockaddr_in to = server_address(lane, 1);
	char data[PAYLOAD] = {};
	int64_t start;

	if (lane->first_server < 0) {
		lane->first_server = bound(lane->server_namespace, SOCK_DGRAM, &to);
		for (int i = 0; i < FIRST_SOCKETS; i++)
			lane->first[i] = make_socket(lane->client_namespace, SOCK_DGRAM);
	}
	set_real_time(!pace);
	start = now();
	for (int i = 0; i < count; i++) {
		to.sin_addr.s_addr = htonl(next_address(addresses));
		if (sendto(lane->first[i % FIRST_SOCKETS], data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			fail("first packet %d", i);
		if (i % FIRST_BATCH != FIRST_BATCH - 1)
			continue;
		drain(lane->first_server);
		keep_pace(start, i, pace);
	}
	drain(lane->first_server);
	set_real_time(1);
	return now() - start;
}

#endif
