// SPDX-License-Identifier: Apache-2.0
/* The interpreter of the verbs, and what all of them share. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT 1000

static const struct verb *const tables[] = { socket_verbs, process_verbs, dns_verbs,	 packet_verbs,
					      load_verbs,   flood_verbs,   stream_verbs, uring_verbs,
					      supervise_verbs, xdp_verbs };

static const struct verb *find_verb(const char *name)
{
	for (size_t table = 0; table < sizeof(tables) / sizeof(*tables); table++)
		for (const struct verb *verb = tables[table]; verb->name; verb++)
			if (!strcmp(verb->name, name))
				return verb;
	usage("no such verb: %s", name);
}

_Noreturn void run_rest(struct client *client)
{
	while (*client->rest) {
		const struct verb *verb = find_verb(*client->rest++);
		char **arguments = client->rest;

		for (int i = 0; i < verb->arguments; i++, client->rest++)
			if (!*client->rest)
				usage("%s %s", verb->name, verb->usage);
		verb->run(client, arguments);
	}
	fflush(stdout);
	_exit(0);
}

static int status_of(int error)
{
	switch (error) {
	case ETIMEDOUT:
	case EAGAIN:
	case EINPROGRESS:
		return EXIT_TIMEOUT;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPERM:
	case EACCES:
		return EXIT_REFUSED;
	default:
		return EXIT_ERROR;
	}
}

_Noreturn void fail(const char *what)
{
	int error = errno;

	fprintf(stderr, "client: %s: %s\n", what, strerror(error));
	_exit(status_of(error));
}

_Noreturn void usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("client: usage: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	_exit(EXIT_USAGE);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	putchar('\n');
	fflush(stdout);
	va_end(arguments);
}

long parse_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 0);

	if (!*text || *end)
		usage("not a number: %s", text);
	return number;
}

socklen_t parse_address(const char *text, const char *port, struct sockaddr_storage *address)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
		ipv4->sin_family = AF_INET;
		ipv4->sin_port = htons(parse_number(port));
		return sizeof(*ipv4);
	}
	if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) != 1)
		usage("not an address: %s", text);
	ipv6->sin6_family = AF_INET6;
	ipv6->sin6_port = htons(parse_number(port));
	return sizeof(*ipv6);
}

size_t parse_hex(const char *text, uint8_t *bytes, size_t size)
{
	size_t length = strlen(text) / 2;

	if (strlen(text) % 2 || length > size)
		usage("not %zu bytes of hexadecimal text, or fewer: %s", size, text);
	for (size_t i = 0; i < length; i++)
		if (sscanf(text + 2 * i, "%2hhx", &bytes[i]) != 1)
			usage("not hexadecimal: %s", text);
	return length;
}

void await_readable(struct client *client, int socket)
{
	struct pollfd waiting = { .fd = socket, .events = POLLIN };
	int ready;

	do
		ready = poll(&waiting, 1, client->timeout);
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return;
	if (ready == 0)
		errno = ETIMEDOUT;
	fail("waiting for data");
}

int main(int count, char **arguments)
{
	struct client client = { .socket = -1, .listener = -1, .timeout = DEFAULT_TIMEOUT, .self = arguments[0] };

	signal(SIGPIPE, SIG_IGN);
	if (count < 2)
		usage("%s VERB [ARGUMENT...]...", arguments[0]);
	/* As an interpreter it is given the path of what it runs. */
	client.rest = arguments + (arguments[1][0] == '/' ? 2 : 1);
	run_rest(&client);
}
