// SPDX-License-Identifier: Apache-2.0
/* Verbs that ask over DNS, by hand: so that the asking process is the one that connects, and odd questions can be asked. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 65535
#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28

/* How the next questions are asked. */
static struct {
	int edns, mixed_case, questions, piece, id;
} style = { .questions = 1, .id = -1 };

static const struct {
	const char *name;
	uint16_t type;
} types[] = { { "A", TYPE_A }, { "CNAME", TYPE_CNAME }, { "AAAA", TYPE_AAAA }, { "TXT", 16 }, { "NULL", 10 },
	      { "ANY", 255 }, { "MX", 15 }, { "SRV", 33 }, { "HTTPS", 65 } };

static uint16_t type_of(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcasecmp(types[i].name, name))
			return types[i].type;
	return parse_number(name);
}

static uint8_t *put16(uint8_t *at, unsigned int value)
{
	*at++ = value >> 8;
	*at++ = value;
	return at;
}

static uint8_t *put_name(uint8_t *at, const char *name)
{
	while (*name) {
		size_t length = strcspn(name, ".");

		*at++ = length;
		for (size_t i = 0; i < length; i++)
			*at++ = style.mixed_case && i % 2 ? toupper(name[i]) : name[i];
		name += length + (name[length] == '.');
	}
	*at++ = 0;
	return at;
}

static size_t build(uint8_t *message, uint16_t id, const char *name, uint16_t type)
{
	uint8_t *at = message;

	at = put16(at, id);
	at = put16(at, 0x0100);
	at = put16(at, style.questions);
	at = put16(at, 0);
	at = put16(at, 0);
	at = put16(at, style.edns);
	for (int i = 0; i < style.questions; i++) {
		at = put_name(at, name);
		at = put16(at, type);
		at = put16(at, 1);
	}
	if (style.edns) {
		/* OPT, RFC 6891: root name, type 41, 1232 bytes, no flags, no options. */
		static const uint8_t option[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0 };

		memcpy(at, option, sizeof(option));
		at += sizeof(option);
	}
	return at - message;
}

static int is_stream(int socket)
{
	int type;
	socklen_t size = sizeof(type);

	getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
	return type == SOCK_STREAM;
}

static void send_in_pieces(int socket, const uint8_t *bytes, size_t length)
{
	size_t piece = style.piece ? (size_t)style.piece : length;
	int on = 1;

	setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t at = 0; at < length; at += piece) {
		size_t size = length - at < piece ? length - at : piece;

		if (send(socket, bytes + at, size, 0) != (ssize_t)size)
			fail("send");
		if (style.piece)
			usleep(20000);
	}
}

static void send_message(int socket, uint8_t *message, size_t length)
{
	uint8_t framed[MESSAGE_MAX + 2];

	if (!is_stream(socket)) {
		if (send(socket, message, length, 0) != (ssize_t)length)
			fail("send");
		return;
	}
	memcpy(put16(framed, length), message, length);
	send_in_pieces(socket, framed, length + 2);
}

static void receive_exactly(struct client *client, uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		ssize_t size;

		await_readable(client, client->socket);
		size = recv(client->socket, bytes + at, length - at, 0);
		if (size <= 0) {
			if (!size)
				errno = ECONNRESET;
			fail("recv");
		}
		at += size;
	}
}

static size_t receive_message(struct client *client, uint8_t *message)
{
	uint8_t prefix[2];
	ssize_t length;

	if (is_stream(client->socket)) {
		receive_exactly(client, prefix, sizeof(prefix));
		length = prefix[0] << 8 | prefix[1];
		if (length > MESSAGE_MAX)
			length = MESSAGE_MAX;
		receive_exactly(client, message, length);
		return length;
	}
	await_readable(client, client->socket);
	length = recv(client->socket, message, MESSAGE_MAX, 0);
	if (length < 0)
		fail("recv");
	return length;
}

static const uint8_t *skip_name(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at && *at < 0xc0)
		at += *at + 1;
	return at < end && *at >= 0xc0 ? at + 2 : at + 1;
}

/* Prints "NOERROR 192.0.2.1 2001:db8::1": the code, TC if truncated, and the addresses in the answer section. */
static void print_answer(const uint8_t *message, size_t length)
{
	static const char *const codes[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED" };
	const uint8_t *at = message + 12, *end = message + length;
	unsigned int code = message[3] & 15, answers = message[6] << 8 | message[7];
	char text[8192], address[INET6_ADDRSTRLEN];
	size_t used;

	used = snprintf(text, sizeof(text), "%s%s", code < 6 ? codes[code] : "OTHER", message[2] & 2 ? " TC" : "");
	for (int i = message[4] << 8 | message[5]; i > 0; i--)
		at = skip_name(at, end) + 4;
	while (answers-- && at < end) {
		unsigned int type, size;

		at = skip_name(at, end);
		if (at + 10 > end)
			break;
		type = at[0] << 8 | at[1];
		size = at[8] << 8 | at[9];
		at += 10;
		if ((type == TYPE_A && size == 4) || (type == TYPE_AAAA && size == 16)) {
			inet_ntop(type == TYPE_A ? AF_INET : AF_INET6, at, address, sizeof(address));
			used += snprintf(text + used, sizeof(text) - used, " %s", address);
		}
		at += size;
	}
	say("%s", text);
}

static void ask(struct client *client, char **arguments)
{
	uint8_t message[MESSAGE_MAX];
	uint16_t id = style.id >= 0 ? style.id : (int)(getpid() ^ time(NULL) ^ (rand() << 3));
	size_t length = build(message, id, arguments[0], type_of(arguments[1]));

	send_message(client->socket, message, length);
	do {
		length = receive_message(client, message);
	} while (length < 12 || (message[0] << 8 | message[1]) != id);
	print_answer(message, length);
}

static void edns(struct client *client, char **arguments) { style.edns = 1; }
static void mixed_case(struct client *client, char **arguments) { style.mixed_case = 1; }
static void questions(struct client *client, char **arguments) { style.questions = parse_number(arguments[0]); }
static void pieces(struct client *client, char **arguments) { style.piece = parse_number(arguments[0]); }
static void question_id(struct client *client, char **arguments) { style.id = parse_number(arguments[0]); }

const struct verb dns_verbs[] = {
	{ "ask", 2, "NAME TYPE", ask },
	{ "edns", 0, "", edns },
	{ "mixedcase", 0, "", mixed_case },
	{ "questions", 1, "COUNT", questions },
	{ "pieces", 1, "BYTES", pieces },
	{ "id", 1, "NUMBER", question_id },
	{ NULL, 0, NULL, NULL },
};
