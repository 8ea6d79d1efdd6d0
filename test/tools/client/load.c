// SPDX-License-Identifier: Apache-2.0
/* Verbs that send many datagrams. Each has a text and a number, so that the receiver knows which of them came. */
#define _GNU_SOURCE
#include "client.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TARGETS_MAX 8

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void pause_for(long microseconds)
{
	struct timespec time = { 0, microseconds * 1000 };

	if (microseconds)
		nanosleep(&time, NULL);
}

/*
 * To each of COUNT targets in turn, in this order, for so long: "TEXT:round:target". The current socket (udp4, udp6)
 * sends them all, so that they leave in the order of their numbers. Prints how many rounds there were.
 */
static void rounds(struct client *client, char **arguments)
{
	long milliseconds = parse_number(arguments[0]), gap = parse_number(arguments[1]);
	int count = parse_number(arguments[3]);
	struct sockaddr_storage addresses[TARGETS_MAX];
	socklen_t lengths[TARGETS_MAX];
	long end = now() + milliseconds * 1000, round;

	if (count < 1 || count > TARGETS_MAX)
		usage("rounds: 1 to %d targets", TARGETS_MAX);
	for (int i = 0; i < count; i++, client->rest += 2) {
		if (!client->rest[0] || !client->rest[1])
			usage("rounds: an address and a port for each target");
		lengths[i] = parse_address(client->rest[0], client->rest[1], &addresses[i]);
	}
	say("sending");
	for (round = 0; now() < end; round++) {
		for (int i = 0; i < count; i++) {
			char text[128];
			int length = snprintf(text, sizeof(text), "%s:%ld:%d", arguments[2], round, i);

			sendto(client->socket, text, length, 0, (struct sockaddr *)&addresses[i], lengths[i]);
		}
		pause_for(gap);
	}
	say("%ld", round);
}

const struct verb load_verbs[] = {
	{ "rounds", 4, "MILLISECONDS MICROSECONDS TEXT COUNT (ADDRESS PORT)...", rounds },
	{ NULL, 0, NULL, NULL },
};
