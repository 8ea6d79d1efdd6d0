// SPDX-License-Identifier: Apache-2.0
/*
 * Verbs that send much, for a time or until they get a SIGTERM, and then say how much it was. Each datagram has a text and a
 * number, so that the receiver knows which of them came.
 */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TARGETS_MAX 8

static volatile sig_atomic_t ended;

static void on_end(int signal) { ended = 1; }

static void end_by_signal(void)
{
	struct sigaction action = { .sa_handler = on_end, .sa_flags = SA_RESTART };

	sigaction(SIGTERM, &action, NULL);
}

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
	end_by_signal();
	say("sending");
	for (round = 0; !ended && now() < end; round++) {
		for (int i = 0; i < count; i++) {
			char text[128];
			int length = snprintf(text, sizeof(text), "%s:%ld:%d", arguments[2], round, i);

			sendto(client->socket, text, length, 0, (struct sockaddr *)&addresses[i], lengths[i]);
		}
		pause_for(gap);
	}
	say("%ld", round);
}

/*
 * Over the current connection, to somebody who echoes: sends TEXT, awaits it back, rests, and again, until a SIGTERM. Prints how
 * often, and ends with the exit status of a timeout or an error where one of them does not come back.
 */
static void talk(struct client *client, char **arguments)
{
	long gap = parse_number(arguments[0]), count;
	size_t size = strlen(arguments[1]);

	end_by_signal();
	say("talking");
	for (count = 0; !ended; count++) {
		char text[128];

		if (send(client->socket, arguments[1], size, MSG_NOSIGNAL) != (ssize_t)size)
			fail("send");
		for (size_t at = 0; at < size;) {
			ssize_t length;

			await_readable(client, client->socket);
			length = recv(client->socket, text, sizeof(text), 0);
			if (length <= 0) {
				if (!length)
					errno = ECONNRESET;
				fail("recv");
			}
			at += length;
		}
		pause_for(gap);
	}
	say("%ld", count);
}

const struct verb load_verbs[] = {
	{ "talk", 2, "MICROSECONDS TEXT", talk },
	{ "rounds", 4, "MILLISECONDS MICROSECONDS TEXT COUNT (ADDRESS PORT)...", rounds },
	{ NULL, 0, NULL, NULL },
};
