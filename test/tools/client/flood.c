// SPDX-License-Identifier: Apache-2.0
/*
 * Verbs of a bad neighbour: each makes COUNT of something that the node has to remember, as fast as it can, and then says
 * that it is done.
 */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_PORT 10000
#define PORTS 50000
#define OUTSTANDING_MAX 32
#define LINK_PATH_MAX 200
#define BURST 32
#define REST_MICROSECONDS 200

/* After every burst, so that it is not the kernel's queues that overflow, and lose what others send. */
static void rest_after(long sent)
{
	if (sent % BURST == BURST - 1)
		usleep(REST_MICROSECONDS);
}

/*
 * Datagrams through the current UDP socket to as many ports, of ADDRESS and those that follow it: so many flows, each of which
 * is in use.
 */
static void scatter(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]);
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[1], "0", &address);
	struct sockaddr_in *target = (struct sockaddr_in *)&address;
	uint32_t first = ntohl(target->sin_addr.s_addr);

	for (long i = 0; i < count; i++) {
		target->sin_addr.s_addr = htonl(first + i / PORTS);
		target->sin_port = htons(FIRST_PORT + i % PORTS);
		/* An error of an earlier one, from a closed port, is reported once and in another's place. */
		for (int sent = 0, tries = 0; sent < 2 && tries < 4; tries++)
			sent += sendto(client->socket, "x", 1, 0, (struct sockaddr *)&address, length) > 0;
		rest_after(i);
	}
	say("done");
}

/* The question for the address of "nNUMBER.SUFFIX". Returns its length. */
static size_t question(uint8_t *bytes, long number, const char *suffix)
{
	static const uint8_t flags_and_counts[] = { 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	char name[256];
	size_t length = 12;

	snprintf(name, sizeof(name), "n%ld.%s", number, suffix);
	bytes[0] = number >> 8;
	bytes[1] = number;
	memcpy(bytes + 2, flags_and_counts, sizeof(flags_and_counts));
	for (char *label = strtok(name, "."); label; label = strtok(NULL, ".")) {
		bytes[length++] = strlen(label);
		memcpy(bytes + length, label, strlen(label));
		length += strlen(label);
	}
	memcpy(bytes + length, "\0\0\1\0\1", 5);
	return length + 5;
}

/* Asks the connected name server for as many names, and takes the answers. */
static void names(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]), asked = 0, answered = 0;
	struct pollfd waiting = { .fd = client->socket, .events = POLLIN };
	uint8_t bytes[512];

	while (answered < count) {
		while (asked < count && asked - answered < OUTSTANDING_MAX) {
			send(client->socket, bytes, question(bytes, asked, arguments[1]), 0);
			asked++;
		}
		/* What is lost is lost. */
		if (poll(&waiting, 1, 200) <= 0)
			answered = asked;
		else if (recv(client->socket, bytes, sizeof(bytes), 0) > 0)
			answered++;
	}
	say("done");
}

/* First fragments of as many datagrams to ADDRESS, through a raw socket of protocol 255. The rest never comes. */
static void first_parts(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]);
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[1], "0", &address);
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char payload[16];
	} packet = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .frag_off = htons(IP_MF) },
		     .udp = { .source = htons(7), .dest = htons(7000), .len = htons(600) } };

	packet.ip.daddr = ((struct sockaddr_in *)&address)->sin_addr.s_addr;
	for (long i = 0; i < count; i++) {
		packet.ip.id = htons(1 + i % 65535);
		sendto(client->socket, &packet, sizeof(packet), 0, (struct sockaddr *)&address, length);
		rest_after(i);
	}
	say("done");
}

/*
 * Executes as many links of this program in FOLDER, one after the other. Their names are bytes that are no UTF-8. Each sends a
 * datagram to ADDRESS.
 */
static void links(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]);
	char path[LINK_PATH_MAX];
	char *verbs[] = { path, "udp4", "sendto", arguments[2], "9", "x", NULL };

	for (long i = 0; i < count; i++) {
		pid_t child;

		snprintf(path, sizeof(path), "%s/\xff\xfe%c%c%c", arguments[1], (int)(0x80 + i % 64),
			 (int)(0x80 + i / 64 % 64), (int)(0x80 + i / 4096));
		if (link(client->self, path))
			fail("link");
		errno = posix_spawn(&child, path, NULL, NULL, verbs, NULL);
		if (errno)
			fail("posix_spawn");
		waitpid(child, NULL, 0);
		unlink(path);
	}
	say("done");
}

/* As many processes of this program, one after the other, each with a socket. */
static void spawn(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]);
	char *verbs[] = { (char *)client->self, "udp4", NULL };

	for (long i = 0; i < count; i++) {
		pid_t child;

		errno = posix_spawn(&child, client->self, NULL, NULL, verbs, NULL);
		if (errno)
			fail("posix_spawn");
		waitpid(child, NULL, 0);
	}
	say("done");
}

/* As many network namespaces of this process's own, one after the other, in each of which it sends to itself. */
static void namespaces(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]);
	struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_port = htons(9),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (long i = 0; i < count; i++) {
		struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP };
		int udp;

		if (unshare(CLONE_NEWNET))
			fail("unshare");
		udp = socket(AF_INET, SOCK_DGRAM, 0);
		if (udp < 0 || ioctl(udp, SIOCSIFFLAGS, &up))
			fail("lo");
		sendto(udp, "x", 1, 0, (struct sockaddr *)&loopback, sizeof(loopback));
		close(udp);
	}
	say("done");
}

/* As many children, which wait for this process's end. */
static void bomb(struct client *client, char **arguments)
{
	long count = parse_number(arguments[0]);

	for (long i = 0; i < count; i++) {
		pid_t child = fork();

		if (child < 0)
			fail("fork");
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	say("done");
}

const struct verb flood_verbs[] = {
	{ "scatter", 2, "COUNT ADDRESS", scatter },
	{ "names", 2, "COUNT SUFFIX", names },
	{ "firstparts", 2, "COUNT ADDRESS", first_parts },
	{ "links", 3, "COUNT FOLDER ADDRESS", links },
	{ "spawn", 1, "COUNT", spawn },
	{ "namespaces", 1, "COUNT", namespaces },
	{ "bomb", 1, "COUNT", bomb },
	{ NULL, 0, NULL, NULL },
};
