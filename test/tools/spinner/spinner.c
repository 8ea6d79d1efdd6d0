// SPDX-License-Identifier: Apache-2.0
/*
 * spinner send CGROUP ADDRESS PORT PORT: joins a cgroup, makes a network namespace, and sends datagrams to both ports
 * without a pause, from the namespace's first instant on. Says "born" then; at SIGTERM how many were sent to either
 * port, and how many the gate refused.
 * spinner receive PORT PORT: says "ready", and "arrived" at the first datagram for the first port. For each line of
 * input it says how many came to either port since the last one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int signal)
{
	ended = 1;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void say(const char *format, long one, long two, long three)
{
	printf(format, one, two, three);
	fflush(stdout);
}

static void join_cgroup(const char *folder)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
}

static struct sockaddr_in address_of(const char *text, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		fail(text);
	return address;
}

static int spin(char **args)
{
	struct sockaddr_in to[2] = { address_of(args[1], args[2]), address_of(args[1], args[3]) };
	long sent[2] = {}, refused = 0;
	int fd;

	signal(SIGTERM, end);
	join_cgroup(args[0]);
	if (unshare(CLONE_NEWNET))
		fail("unshare");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fail("socket");
	say("born\n", 0, 0, 0);
	for (unsigned int n = 0; !ended; n++) {
		if (sendto(fd, "spin", 4, 0, (struct sockaddr *)&to[n & 1], sizeof(to[0])) == 4)
			sent[n & 1]++;
		else if (errno == EPERM)
			refused++;
	}
	say("{\"sent\":[%ld,%ld],\"refused\":%ld}\n", sent[0], sent[1], refused);
	return 0;
}

static int bound_socket(const char *port)
{
	struct sockaddr_in address = address_of("0.0.0.0", port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		fail(port);
	return fd;
}

static int receive(char **args)
{
	struct pollfd watched[3] = {
		{ .fd = bound_socket(args[0]), .events = POLLIN },
		{ .fd = bound_socket(args[1]), .events = POLLIN },
		{ .fd = 0, .events = POLLIN },
	};
	long received[2] = {};
	char data[64];

	say("ready\n", 0, 0, 0);
	while (poll(watched, 3, -1) > 0) {
		for (int n = 0; n < 2; n++) {
			while (recv(watched[n].fd, data, sizeof(data), 0) > 0) {
				if (!n && !received[0])
					say("arrived\n", 0, 0, 0);
				received[n]++;
			}
		}
		if (!watched[2].revents)
			continue;
		if (read(0, data, sizeof(data)) <= 0)
			return 0;
		say("{\"received\":[%ld,%ld]}\n", received[0], received[1], 0);
		received[0] = received[1] = 0;
	}
	return 1;
}

int main(int count, char **args)
{
	if (count == 6 && !strcmp(args[1], "send"))
		return spin(args + 2);
	if (count == 4 && !strcmp(args[1], "receive"))
		return receive(args + 2);
	fprintf(stderr, "usage: spinner send CGROUP ADDRESS PORT PORT | spinner receive PORT PORT\n");
	return 2;
}
