// SPDX-License-Identifier: Apache-2.0
/* Verbs on streams that are no plain TCP, and that leave something in a socket by other ways than send(2). */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sctp.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUFFER_SIZE 65536

static void make(struct client *client, int family, int type)
{
	struct timeval wait = { .tv_sec = 1 };

	client->socket = socket(family, type, IPPROTO_SCTP);
	/* What is sent begins the association, and waits for it. */
	if (client->socket < 0 || setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
		fail("socket");
}

static void sctp4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_STREAM); }
static void sctp6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_STREAM); }
/* One socket for many associations. */
static void sctpmany4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_SEQPACKET); }
static void sctpmany6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_SEQPACKET); }

/* The association that the current socket has begun, as a socket of its own, which becomes the current one. */
static void peel(struct client *client, char **arguments)
{
	struct { struct sctp_assoc_ids head; sctp_assoc_t first; } ids = {};
	sctp_peeloff_arg_t peeled = {};
	socklen_t size = sizeof(ids), peeled_size = sizeof(peeled);

	if (getsockopt(client->socket, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, &ids, &size) || !ids.head.gaids_number_of_ids)
		fail("SCTP_GET_ASSOC_ID_LIST");
	peeled.associd = ids.head.gaids_assoc_id[0];
	if (getsockopt(client->socket, IPPROTO_SCTP, SCTP_SOCKOPT_PEELOFF, &peeled, &peeled_size) < 0)
		fail("SCTP_SOCKOPT_PEELOFF");
	client->socket = peeled.sd;
}

/* The kernel encrypts what is sent from now on, with a key, a nonce and a sequence number of zeros. */
static void tls(struct client *client, char **arguments)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};

	if (setsockopt(client->socket, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")))
		fail("TCP_ULP");
	if (setsockopt(client->socket, SOL_TLS, TLS_TX, &keys, sizeof(keys)))
		fail("TLS_TX");
}

/* As `sendmore`, of any bytes. */
static void send_more_hex(struct client *client, char **arguments)
{
	static uint8_t bytes[BUFFER_SIZE];
	size_t size = parse_hex(arguments[0], bytes, sizeof(bytes));

	if (send(client->socket, bytes, size, MSG_MORE) != (ssize_t)size)
		fail("send");
}

/* As `splicemore`, of any bytes. */
static void splice_more_hex(struct client *client, char **arguments)
{
	static uint8_t bytes[BUFFER_SIZE];
	ssize_t size = parse_hex(arguments[0], bytes, sizeof(bytes));
	int ends[2];

	if (pipe(ends) || write(ends[1], bytes, size) != size)
		fail("pipe");
	if (splice(ends[0], NULL, client->socket, NULL, size, SPLICE_F_MORE) != size)
		fail("splice");
}

/* Sends the first bytes from pages of a file, and writes the second ones over them. */
static void splice_and_change(struct client *client, char **arguments)
{
	int file = memfd_create("pages", 0), ends[2];
	uint8_t *pages;
	ssize_t size;

	if (file < 0 || ftruncate(file, BUFFER_SIZE))
		fail("memfd_create");
	pages = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (pages == MAP_FAILED)
		fail("mmap");
	size = parse_hex(arguments[0], pages, BUFFER_SIZE);
	if (pipe(ends) || splice(file, NULL, ends[1], NULL, size, 0) != size)
		fail("pipe");
	if (splice(ends[0], NULL, client->socket, NULL, size, 0) != size)
		fail("splice");
	parse_hex(arguments[1], pages, BUFFER_SIZE);
}

/*
 * The connection begins with the first bytes that are written, which its SYN carries, without a cookie (RFC 7413). Whoever writes
 * them waits for the answer, for a second.
 */
static void connect_by_first_bytes(struct client *client, char **arguments)
{
	struct timeval wait = { .tv_sec = 1 };
	int on = 1;

	if (setsockopt(client->socket, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)) ||
	    setsockopt(client->socket, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof(on)) ||
	    setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
		fail("TCP_FASTOPEN_CONNECT");
}

/* Receives by splice(2), until TEXT has come, and says so. */
static void splice_receive(struct client *client, char **arguments)
{
	static char text[BUFFER_SIZE];
	size_t length = 0;
	int ends[2];

	if (pipe(ends))
		fail("pipe");
	while (!memmem(text, length, arguments[0], strlen(arguments[0]))) {
		ssize_t some;

		await_readable(client, client->socket);
		some = splice(client->socket, NULL, ends[1], NULL, sizeof(text) - length, 0);
		if (some <= 0 || read(ends[0], text + length, some) != some)
			fail("splice");
		length += some;
	}
	say("received %s", arguments[0]);
}

const struct verb stream_verbs[] = {
	{ "sctp4", 0, "", sctp4 },
	{ "sctp6", 0, "", sctp6 },
	{ "sctpmany4", 0, "", sctpmany4 },
	{ "sctpmany6", 0, "", sctpmany6 },
	{ "peel", 0, "", peel },
	{ "tls", 0, "", tls },
	{ "sendmorehex", 1, "BYTES", send_more_hex },
	{ "splicemorehex", 1, "BYTES", splice_more_hex },
	{ "splicechange", 2, "BYTES BYTES", splice_and_change },
	{ "fastopen", 0, "", connect_by_first_bytes },
	{ "splicerecv", 1, "TEXT", splice_receive },
	{ NULL, 0, NULL, NULL },
};
