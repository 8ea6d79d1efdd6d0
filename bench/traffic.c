/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic for the benchmarks, and the time that it takes.
 *
 *   traffic client         reads commands from standard input, answers each with a line; ends with its input
 *   traffic dns NAMESPACE  answers every DNS question on port 53 of a network namespace with one address
 *
 * A lane is a way from one network namespace to another. Both of its ends are sockets of this one process and, but for
 * bulk TCP and DNS, of one thread: what a packet costs, from send to receive with everything in between, then is what
 * the thread takes for it, without a wake-up or another CPU in it. The thread is pinned and has a real-time priority, so
 * that other work on the machine does not end up in the figures.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LANES_MAX 64
#define PAYLOAD 64
#define SPACE 5000000                   /* addresses below the first ten /13 of the peer's network */
#define FIRST_BATCH 32
#define FIRST_SOCKETS 256               /* with as many addresses, more flows than are remembered */
#define CHUNK (256 * 1024)
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

/* `bytes` over the TCP connection, sent on one CPU and received on another. */
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

/* A question for NAME as it goes over the wire. Returns its length. */
static int write_question(uint8_t *message, uint16_t id, const char *name)
{
	int at = 12;

	memset(message, 0, 12);
	message[0] = id >> 8;
	message[1] = id;
	message[2] = 1; /* recursion desired */
	message[5] = 1;
	for (const char *label = name; *label;) {
		int length = strcspn(label, ".");

		message[at++] = length;
		memcpy(message + at, label, length);
		at += length;
		label += length + (label[length] == '.');
	}
	memcpy(message + at, "\0\0\1\0\1", 5); /* root, type A, class IN */
	return at + 5;
}

/* `count` questions, one after the other; prints how long each took. With `fresh`, no name is asked twice. */
static void run_dns(struct lane *lane, int count, const char *domain, int fresh)
{
	static uint32_t number;
	struct sockaddr_in to = lane->server;
	uint8_t question[512], answer[512];
	char name[256];

	to.sin_port = htons(DNS_PORT);
	if (lane->dns < 0)
		lane->dns = connected(lane->client_namespace, SOCK_DGRAM, &to);
	for (int i = 0; i < count; i++) {
		int64_t start;
		int length;

		snprintf(name, sizeof(name), "n%u.%s", fresh ? ++number : 0, domain);
		length = write_question(question, number + i, name);
		start = now();
		if (send(lane->dns, question, length, 0) < 0)
			fail("DNS question %d", i);
		do
			if (recv(lane->dns, answer, sizeof(answer), 0) < 12)
				fail("DNS answer %d", i);
		while (answer[0] != question[0] || answer[1] != question[1]);
		printf("%lld ", (long long)(now() - start));
	}
	printf("\n");
}

/* Answers with one A record, TTL 60, for any question. */
static void serve_dns(const char *namespace)
{
	static const uint8_t answer[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 129, 0, 1 };
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) }, from;
	struct timeval forever = {};
	int fd = bound(open_namespace(namespace), SOCK_DGRAM, &where);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	pin(0);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		uint8_t message[512 + sizeof(answer)];
		socklen_t length = sizeof(from);
		ssize_t size = recvfrom(fd, message, 512, 0, (struct sockaddr *)&from, &length), end = 12;

		if (size < 12)
			continue;
		while (end < size && message[end])
			end += message[end] + 1;
		end += 5;
		if (end > size)
			continue;
		memcpy(message + end, answer, sizeof(answer));
		message[2] |= 0x80;
		message[3] = 0x80;
		message[7] = 1;
		memset(message + 8, 0, 4);
		sendto(fd, message, end + sizeof(answer), 0, (struct sockaddr *)&from, length);
	}
}

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
	} else if (sscanf(line, "bulk %d %lld", &id, &bytes) == 2) {
		printf("%lld\n", (long long)run_bulk(&lanes[id], bytes));
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
