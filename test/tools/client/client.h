/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test client: its arguments are verbs, carried out one after the other, each with its own arguments. Verbs
 * that split the process or replace it (fork, thread, exec) carry out the rest on the other side, so that one command
 * line describes one way in which a socket comes to its user:
 *
 *     client udp4 connect 198.51.100.1 7000 fork send hello recv
 *
 * Exit status: 0 all done, 1 an error, 2 wrong usage, 3 nothing came in time, 4 refused by the network.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum exit_status { EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_TIMEOUT = 3, EXIT_REFUSED = 4 };

/* What the verbs work on. */
struct client {
	int socket;        /* the current one, -1: none yet */
	int listener;      /* where `accept` takes from */
	int timeout;       /* milliseconds that `connect`, `recv`, `ask` and `accept` wait */
	char **rest;       /* verbs not carried out yet, NULL at the end */
	const char *self;  /* argv[0] */
	struct sockaddr_storage peer; /* whom `answer` has heard from */
};

struct verb {
	const char *name;
	int arguments;
	const char *usage;
	void (*run)(struct client *client, char **arguments);
};

/* Ends with a NULL name. */
extern const struct verb socket_verbs[], process_verbs[], dns_verbs[], packet_verbs[], load_verbs[],
	flood_verbs[], stream_verbs[], uring_verbs[], xdp_verbs[], supervise_verbs[];

/* Carries out what is left of client->rest, and ends the process. */
_Noreturn void run_rest(struct client *client);

/* Ends the process with the exit status of errno, saying what failed. */
_Noreturn void fail(const char *what);
_Noreturn void usage(const char *format, ...);

/* Fills `address`; ends the process if the text is no address. Returns its length. */
socklen_t parse_address(const char *text, const char *port, struct sockaddr_storage *address);
long parse_number(const char *text);
/* Bytes of hexadecimal text; ends the process if it is none, or longer than `size`. */
size_t parse_hex(const char *text, uint8_t *bytes, size_t size);

/* Waits until the socket can be read; ends the process with EXIT_TIMEOUT if nothing comes. */
void await_readable(struct client *client, int socket);

/* Prints a line at once: the tests wait for it. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
