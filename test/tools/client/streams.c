// SPDX-License-Identifier: Apache-2.0
/* Verbs that leave something in a socket by other ways than send(2). */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE 65536

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

const struct verb stream_verbs[] = {
	{ "tls", 0, "", tls },
	{ "sendmorehex", 1, "BYTES", send_more_hex },
	{ "splicemorehex", 1, "BYTES", splice_more_hex },
	{ NULL, 0, NULL, NULL },
};
