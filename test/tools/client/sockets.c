// SPDX-License-Identifier: Apache-2.0
/* Verbs on ordinary sockets. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE 65536
#define BACKLOG 64

static void make(struct client *client, int family, int type, int protocol)
{
	int on = 1;

	client->socket = socket(family, type, protocol);
	if (client->socket < 0)
		fail("socket");
	/* For UDP it would mean that several may have the port. */
	if (type == SOCK_STREAM)
		setsockopt(client->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

static void tcp4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_STREAM, 0); }
static void mptcp4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_STREAM, IPPROTO_MPTCP); }
static void mptcp6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_STREAM, IPPROTO_MPTCP); }
static void tcp6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_STREAM, 0); }
static void udp4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_DGRAM, 0); }
static void udp6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_DGRAM, 0); }
static void icmp4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_DGRAM, IPPROTO_ICMP); }
static void icmp6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6); }

static void udplite4(struct client *client, char **arguments) { make(client, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE); }
static void udplite6(struct client *client, char **arguments) { make(client, AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE); }

static void raw4(struct client *client, char **arguments)
{
	make(client, AF_INET, SOCK_RAW, parse_number(arguments[0]));
}

static void raw6(struct client *client, char **arguments)
{
	make(client, AF_INET6, SOCK_RAW, parse_number(arguments[0]));
}

static void set_timeout(struct client *client, char **arguments)
{
	client->timeout = parse_number(arguments[0]);
}

static void reuseport(struct client *client, char **arguments)
{
	int on = 1;

	if (setsockopt(client->socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)))
		fail("SO_REUSEPORT");
}

static void set_reuse_address(struct client *client, int on)
{
	if (setsockopt(client->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		fail("SO_REUSEADDR");
}

static void reuse_address(struct client *client, char **arguments) { set_reuse_address(client, 1); }

static void no_reuse_address(struct client *client, char **arguments) { set_reuse_address(client, 0); }

static void bind_device(struct client *client, char **arguments)
{
	if (setsockopt(client->socket, SOL_SOCKET, SO_BINDTODEVICE, arguments[0], strlen(arguments[0])))
		fail("SO_BINDTODEVICE");
}

/* As a member of the group on an interface. */
static void join(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	struct ip_mreqn group4 = { .imr_ifindex = if_nametoindex(arguments[1]) };
	struct ipv6_mreq group6 = { .ipv6mr_interface = if_nametoindex(arguments[1]) };
	int result;

	parse_address(arguments[0], "0", &address);
	group4.imr_multiaddr = ((struct sockaddr_in *)&address)->sin_addr;
	group6.ipv6mr_multiaddr = ((struct sockaddr_in6 *)&address)->sin6_addr;
	if (address.ss_family == AF_INET)
		result = setsockopt(client->socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group4, sizeof(group4));
	else
		result = setsockopt(client->socket, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group6, sizeof(group6));
	if (result)
		fail("join");
}

/* Where what is sent to a group goes out. */
static void multicast_by(struct client *client, char **arguments)
{
	struct ip_mreqn group4 = { .imr_ifindex = if_nametoindex(arguments[0]) };
	int interface = group4.imr_ifindex, on = 1, family;
	socklen_t size = sizeof(family);

	getsockopt(client->socket, SOL_SOCKET, SO_DOMAIN, &family, &size);
	setsockopt(client->socket, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	if (family == AF_INET ? setsockopt(client->socket, IPPROTO_IP, IP_MULTICAST_IF, &group4, sizeof(group4))
			      : setsockopt(client->socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface, sizeof(interface)))
		fail("multicastby");
}

static void do_bind(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[0], arguments[1], &address);

	if (bind(client->socket, (struct sockaddr *)&address, length))
		fail("bind");
}

/* Does not wait longer than the timeout, which is what a dropped SYN looks like. */
static void do_connect(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[0], arguments[1], &address), size = sizeof(int);
	struct pollfd waiting = { .fd = client->socket, .events = POLLOUT };
	int flags = fcntl(client->socket, F_GETFL), ready;

	fcntl(client->socket, F_SETFL, flags | O_NONBLOCK);
	if (connect(client->socket, (struct sockaddr *)&address, length) && errno != EINPROGRESS)
		fail("connect");
	ready = poll(&waiting, 1, client->timeout);
	if (ready <= 0) {
		errno = ETIMEDOUT;
		fail("connect");
	}
	if (getsockopt(client->socket, SOL_SOCKET, SO_ERROR, &errno, &size) || errno)
		fail("connect");
	fcntl(client->socket, F_SETFL, flags);
}

/* A datagram socket whose port the kernel has chosen has none afterwards, and may be bound to another one. */
static void disconnect(struct client *client, char **arguments)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(client->socket, &nobody, sizeof(nobody)))
		fail("connect to nobody");
}

/* What there is of a socket that cannot be connected now is taken for good: the SYN has been sent. */
static void start_connecting(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[0], arguments[1], &address);

	fcntl(client->socket, F_SETFL, fcntl(client->socket, F_GETFL) | O_NONBLOCK);
	if (connect(client->socket, (struct sockaddr *)&address, length) && errno != EINPROGRESS)
		fail("connect");
}

static void send_bytes(struct client *client, const void *bytes, size_t length)
{
	if (send(client->socket, bytes, length, 0) != (ssize_t)length)
		fail("send");
}

static void do_send(struct client *client, char **arguments)
{
	send_bytes(client, arguments[0], strlen(arguments[0]));
}

static void send_hex(struct client *client, char **arguments)
{
	static uint8_t bytes[BUFFER_SIZE];

	send_bytes(client, bytes, parse_hex(arguments[0], bytes, sizeof(bytes)));
}

/* A datagram of this size that begins with the text: larger than the MTU, it goes in fragments. */
static void send_size(struct client *client, char **arguments)
{
	static char bytes[BUFFER_SIZE];
	size_t size = parse_number(arguments[0]);

	if (size > sizeof(bytes))
		usage("sendsize: at most %zu bytes", sizeof(bytes));
	memset(bytes, '.', size);
	memcpy(bytes, arguments[1], strlen(arguments[1]) < size ? strlen(arguments[1]) : size);
	send_bytes(client, bytes, size);
}

/* Held back until something follows that is sent without this flag, by whoever has the socket then. */
static void send_more(struct client *client, char **arguments)
{
	size_t size = strlen(arguments[0]);

	if (send(client->socket, arguments[0], size, MSG_MORE) != (ssize_t)size)
		fail("send");
}

/* As `sendmore`, from a pipe. */
static void splice_more(struct client *client, char **arguments)
{
	ssize_t size = strlen(arguments[0]);
	int ends[2];

	if (pipe(ends) || write(ends[1], arguments[0], size) != size)
		fail("pipe");
	if (splice(ends[0], NULL, client->socket, NULL, size, SPLICE_F_MORE) != size)
		fail("splice");
}

static void send_to_more(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[0], arguments[1], &address);
	size_t size = strlen(arguments[2]);

	if (sendto(client->socket, arguments[2], size, MSG_MORE, (struct sockaddr *)&address, length) != (ssize_t)size)
		fail("sendto");
}

static void send_to(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	socklen_t length = parse_address(arguments[0], arguments[1], &address);
	size_t size = strlen(arguments[2]);

	if (sendto(client->socket, arguments[2], size, 0, (struct sockaddr *)&address, length) != (ssize_t)size)
		fail("sendto");
}

static size_t receive(struct client *client, char *bytes, size_t size)
{
	ssize_t length;

	await_readable(client, client->socket);
	length = recv(client->socket, bytes, size - 1, 0);
	if (length < 0)
		fail("recv");
	bytes[length] = '\0';
	return length;
}

/* Gives one datagram back, and remembers from whom it was. */
static void answer_once(struct client *client, char **arguments)
{
	static char bytes[BUFFER_SIZE];
	socklen_t size = sizeof(client->peer);
	ssize_t length;

	await_readable(client, client->socket);
	length = recvfrom(client->socket, bytes, sizeof(bytes), 0, (struct sockaddr *)&client->peer, &size);
	if (length < 0 || sendto(client->socket, bytes, length, 0, (struct sockaddr *)&client->peer, size) != length)
		fail("answer");
}

static void connect_peer(struct client *client, char **arguments)
{
	if (connect(client->socket, (struct sockaddr *)&client->peer, sizeof(struct sockaddr_in)))
		fail("connect");
}

/* Reads until something has come that holds the text, headers included. */
static void hear(struct client *client, char **arguments)
{
	static char bytes[BUFFER_SIZE];
	ssize_t length;

	say("listening");
	do {
		await_readable(client, client->socket);
		length = recv(client->socket, bytes, sizeof(bytes), 0);
		if (length < 0)
			fail("recv");
	} while (!memmem(bytes, length, arguments[0], strlen(arguments[0])));
	say("heard");
}

/* Reads until so many bytes have come. */
static void receive_size(struct client *client, char **arguments)
{
	static char bytes[BUFFER_SIZE];
	long missing = parse_number(arguments[0]);

	while (missing > 0) {
		ssize_t length;

		await_readable(client, client->socket);
		length = recv(client->socket, bytes, sizeof(bytes), 0);
		if (length <= 0)
			fail("recv");
		missing -= length;
	}
}

static void do_recv(struct client *client, char **arguments)
{
	static char bytes[BUFFER_SIZE];

	if (receive(client, bytes, sizeof(bytes)) == 0) {
		errno = ECONNRESET;
		fail("recv");
	}
	say("%s", bytes);
}

/* Reads until the other side has nothing more to say. */
static void receive_all(struct client *client, char **arguments)
{
	static char bytes[BUFFER_SIZE];

	while (receive(client, bytes, sizeof(bytes)) > 0)
		say("%s", bytes);
}

/* The error that the network has sent for this socket, an ICMP error say: exit status 4. */
static void await_error(struct client *client, char **arguments)
{
	char byte;

	await_readable(client, client->socket);
	if (recv(client->socket, &byte, sizeof(byte), 0) < 0)
		fail("recv");
	say("no error");
}

static void do_listen(struct client *client, char **arguments)
{
	if (listen(client->socket, BACKLOG))
		fail("listen");
	client->listener = client->socket;
	say("listening");
}

static void do_accept(struct client *client, char **arguments)
{
	await_readable(client, client->listener);
	client->socket = accept(client->listener, NULL, NULL);
	if (client->socket < 0)
		fail("accept");
}

static void echo_datagrams(int socket)
{
	static char bytes[BUFFER_SIZE];

	say("ready");
	for (;;) {
		struct sockaddr_storage peer;
		socklen_t size = sizeof(peer);
		ssize_t length = recvfrom(socket, bytes, sizeof(bytes), 0, (struct sockaddr *)&peer, &size);

		if (length >= 0)
			sendto(socket, bytes, length, 0, (struct sockaddr *)&peer, size);
	}
}

static void echo_stream(int socket)
{
	static char bytes[BUFFER_SIZE];
	ssize_t length;

	while ((length = recv(socket, bytes, sizeof(bytes), 0)) > 0)
		if (send(socket, bytes, length, 0) != length)
			break;
	close(socket);
}

/* Until it is killed: gives back what it gets. A listener serves one connection after the other. */
static void echo(struct client *client, char **arguments)
{
	int type;
	socklen_t size = sizeof(type);

	getsockopt(client->socket, SOL_SOCKET, SO_TYPE, &type, &size);
	if (type == SOCK_DGRAM)
		echo_datagrams(client->socket);
	if (client->socket != client->listener)
		echo_stream(client->socket);
	while (client->socket == client->listener) {
		int connection = accept(client->listener, NULL, NULL);

		if (connection >= 0)
			echo_stream(connection);
	}
}

static void do_close(struct client *client, char **arguments)
{
	close(client->socket);
	client->socket = -1;
}

static void no_delay(struct client *client, char **arguments)
{
	int on = 1;

	if (setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		fail("TCP_NODELAY");
}

const struct verb socket_verbs[] = {
	{ "tcp4", 0, "", tcp4 },
	{ "mptcp4", 0, "", mptcp4 },
	{ "mptcp6", 0, "", mptcp6 },
	{ "tcp6", 0, "", tcp6 },
	{ "udp4", 0, "", udp4 },
	{ "udp6", 0, "", udp6 },
	{ "icmp4", 0, "", icmp4 },
	{ "icmp6", 0, "", icmp6 },
	{ "udplite4", 0, "", udplite4 },
	{ "udplite6", 0, "", udplite6 },
	{ "raw4", 1, "PROTOCOL", raw4 },
	{ "raw6", 1, "PROTOCOL", raw6 },
	{ "timeout", 1, "MILLISECONDS", set_timeout },
	{ "reuseport", 0, "", reuseport },
	{ "reuseaddr", 0, "", reuse_address },
	{ "noreuseaddr", 0, "", no_reuse_address },
	{ "join", 2, "GROUP INTERFACE", join },
	{ "multicastby", 1, "INTERFACE", multicast_by },
	{ "binddevice", 1, "NAME", bind_device },
	{ "nodelay", 0, "", no_delay },
	{ "bind", 2, "ADDRESS PORT", do_bind },
	{ "connect", 2, "ADDRESS PORT", do_connect },
	{ "disconnect", 0, "", disconnect },
	{ "connecting", 2, "ADDRESS PORT", start_connecting },
	{ "send", 1, "TEXT", do_send },
	{ "sendhex", 1, "BYTES", send_hex },
	{ "sendmore", 1, "TEXT", send_more },
	{ "splicemore", 1, "TEXT", splice_more },
	{ "sendtomore", 3, "ADDRESS PORT TEXT", send_to_more },
	{ "sendsize", 2, "SIZE TEXT", send_size },
	{ "sendto", 3, "ADDRESS PORT TEXT", send_to },
	{ "recv", 0, "", do_recv },
	{ "recvall", 0, "", receive_all },
	{ "recvsize", 1, "SIZE", receive_size },
	{ "hear", 1, "TEXT", hear },
	{ "answer", 0, "", answer_once },
	{ "connectpeer", 0, "", connect_peer },
	{ "error", 0, "", await_error },
	{ "listen", 0, "", do_listen },
	{ "accept", 0, "", do_accept },
	{ "echo", 0, "", echo },
	{ "close", 0, "", do_close },
	{ NULL, 0, NULL, NULL },
};
