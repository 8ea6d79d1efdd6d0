/* SPDX-License-Identifier: Apache-2.0 */
/* A lot over one TCP connection. */
#ifndef BULK_H
#define BULK_H

#include <poll.h>
#include <pthread.h>

#include "lane.h"

#define CHUNK (256 * 1024)

/* What had to wait for something else to be done first: acknowledgements, the kernel's own threads. */
static void wait_for(struct lane *lane)
{
	struct pollfd ends[] = { { .fd = lane->tcp, .events = POLLOUT }, { .fd = lane->tcp_server, .events = POLLIN } };

	if (poll(ends, 2, TIMEOUT_SECONDS * 1000) <= 0)
		fail("TCP bulk stands still");
}

/* `bytes` over the TCP connection, in large pieces, as fast as one CPU can send and receive them. */
static int64_t run_bulk_alone(struct lane *lane, int64_t bytes)
{
	static char buffer[CHUNK];
	int64_t sent = 0, received = 0, start;

	open_tcp(lane);
	start = now();
	while (received < bytes) {
		ssize_t out = 0, in;

		if (sent < bytes)
			out = send(lane->tcp, buffer, bytes - sent < CHUNK ? bytes - sent : CHUNK, MSG_DONTWAIT);
		in = recv(lane->tcp_server, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (out > 0)
			sent += out;
		if (in > 0)
			received += in;
		if (out <= 0 && in <= 0)
			wait_for(lane);
	}
	return now() - start;
}

struct receiver {
	int fd;
	int64_t bytes;
};

static void *receive(void *argument)
{
	static char buffer[CHUNK];
	struct receiver *receiver = argument;

	pin(1);
	for (int64_t left = receiver->bytes; left > 0;) {
		ssize_t length = recv(receiver->fd, buffer, sizeof(buffer), 0);

		if (length <= 0)
			fail("TCP bulk, receiving");
		left -= length;
	}
	return NULL;
}

/* The same, sent on one CPU and received on another. */
static int64_t run_bulk(struct lane *lane, int64_t bytes)
{
	static char buffer[CHUNK];
	struct receiver receiver = { .bytes = bytes };
	pthread_t thread;
	int64_t start;

	open_tcp(lane);
	receiver.fd = lane->tcp_server;
	start = now();
	if (pthread_create(&thread, NULL, receive, &receiver))
		fail("pthread_create");
	for (int64_t left = bytes; left > 0;) {
		ssize_t length = send(lane->tcp, buffer, left < CHUNK ? left : CHUNK, 0);

		if (length <= 0)
			fail("TCP bulk, sending");
		left -= length;
	}
	pthread_join(thread, NULL);
	return now() - start;
}

#endif
