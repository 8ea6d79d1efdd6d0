/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes and their sockets. */
#ifndef LANE_H
#define LANE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LANES_MAX 64
#define FIRST_SOCKETS 256               /* with as many addresses, more flows than are remembered */
#define TIMEOUT_SECONDS 5
#define PRIORITY 10
#define DNS_PORT 53

struct lane {
	int client_namespace, server_namespace;
	struct sockaddr_in server;             /* address and first of three ports: UDP, UDP for first packets, TCP */
	int udp, udp_server;                   /* connected, and where its packets arrive */
	int first[FIRST_SOCKETS], first_server; /* send to many addresses */
	int tcp, tcp_server;                   /* connected, and its other end */
	int dns;
};

static struct lane lanes[LANES_MAX];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "traffic: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* A machine that does not give real-time priorities gives noisier figures, no wrong ones. */
static void pin(int cpu)
{
	struct sched_param parameters = { .sched_priority = PRIORITY };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_FIFO, &parameters);
}

/* As many as may be had without asking; too few show when they run out. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("setrlimit");
}

static int open_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail("%s", path);
	return fd;
}

static void enter(int namespace)
{
	if (setns(namespace, CLONE_NEWNET) < 0)
		fail("cannot enter a network namespace");
}

static int make_socket(int namespace, int type)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_SECONDS };
	int fd, size = 8 * 1024 * 1024;

	enter(namespace);
	fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static struct sockaddr_in server_address(const struct lane *lane, int port)
{
	struct sockaddr_in address = lane->server;

	address.sin_port = htons(ntohs(address.sin_port) + port);
	return address;
}

static int bound(int namespace, int type, const struct sockaddr_in *where)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = where->sin_port };
	int fd = make_socket(namespace, type), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		fail("bind to port %d", ntohs(where->sin_port));
	return fd;
}

static int connected(int namespace, int type, const struct sockaddr_in *to)
{
	int fd = make_socket(namespace, type), on = 1;

	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		fail("connect to %s port %d", inet_ntoa(to->sin_addr), ntohs(to->sin_port));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* lane ID CLIENT_NAMESPACE SERVER_NAMESPACE ADDRESS PORT: where to. Sockets are made when they are needed. */
static struct lane *open_lane(const char *client, const char *server, const char *address, int port, struct lane *lane)
{
	memset(lane, -1, sizeof(*lane));
	lane->client_namespace = open_namespace(client);
	lane->server_namespace = open_namespace(server);
	memset(&lane->server, 0, sizeof(lane->server));
	lane->server.sin_family = AF_INET;
	lane->server.sin_port = htons(port);
	if (inet_pton(AF_INET, address, &lane->server.sin_addr) != 1)
		fail("address %s", address);
	return lane;
}

/* Connects the lane's TCP socket, once. */
static void open_tcp(struct lane *lane)
{
	struct sockaddr_in to = server_address(lane, 2);
	int listener, on = 1;

	if (lane->tcp >= 0)
		return;
	listener = bound(lane->server_namespace, SOCK_STREAM, &to);
	if (listen(listener, 1) < 0)
		fail("listen");
	lane->tcp = connected(lane->client_namespace, SOCK_STREAM, &to);
	lane->tcp_server = accept(listener, NULL, NULL);
	if (lane->tcp_server < 0)
		fail("accept");
	setsockopt(lane->tcp_server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(listener);
}

#endif
