// SPDX-License-Identifier: Apache-2.0
/* Verbs for packets that no ordinary socket sends. */
#define _GNU_SOURCE
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65536

static uint16_t checksum(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* A whole Ethernet frame, past every socket's owner. */
static void frame(struct client *client, char **arguments)
{
	static uint8_t bytes[PACKET_MAX];
	size_t length = parse_hex(arguments[1], bytes, sizeof(bytes));
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(arguments[0]) };
	int packets = socket(AF_PACKET, SOCK_RAW, 0);

	if (packets < 0 || !address.sll_ifindex)
		fail(arguments[0]);
	if (sendto(packets, bytes, length, 0, (struct sockaddr *)&address, sizeof(address)) != (ssize_t)length)
		fail("sendto");
	close(packets);
}

/*
 * One large frame, for the kernel to cut into segments: the bytes given, up to the end of the L4 header, and TEXT again
 * and again behind them. With a length beyond the device's gso_max_size the kernel has to do it in software.
 */
static void segments(struct client *client, char **arguments)
{
	static uint8_t bytes[sizeof(struct virtio_net_hdr) + PACKET_MAX + ETH_HLEN];
	struct virtio_net_hdr *header = (struct virtio_net_hdr *)bytes;
	uint8_t *frame = bytes + sizeof(*header);
	size_t header_length = parse_hex(arguments[4], frame, 256), length = parse_number(arguments[3]);
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(arguments[0]) };
	int packets = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
	int is_ipv6 = frame[12] == 0x86, is_udp = !strcmp(arguments[1], "udp");

	if (packets < 0 || !address.sll_ifindex || setsockopt(packets, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
		fail(arguments[0]);
	if (length > PACKET_MAX + ETH_HLEN || length < header_length)
		usage("segments: length out of range");
	for (size_t i = header_length; i < length; i++)
		frame[i] = arguments[5][(i - header_length) % strlen(arguments[5])];
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->gso_type = is_udp ? VIRTIO_NET_HDR_GSO_UDP : is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	header->hdr_len = header_length;
	header->gso_size = parse_number(arguments[2]);
	header->csum_start = ETH_HLEN + (is_ipv6 ? 40 : 20);
	header->csum_offset = is_udp ? 6 : 16;
	address.sll_protocol = htons(is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	if (sendto(packets, bytes, sizeof(*header) + length, 0, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("sendto");
	close(packets);
}

/* Says so, and listens on an interface until a frame with TEXT in it has come in. */
static void sniff(struct client *client, char **arguments)
{
	static uint8_t bytes[PACKET_MAX + ETH_HLEN];
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(arguments[0]), .sll_protocol = htons(ETH_P_ALL)
	};
	int packets = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (packets < 0 || bind(packets, (struct sockaddr *)&address, sizeof(address)))
		fail(arguments[0]);
	say("sniffing");
	for (;;) {
		struct sockaddr_ll from = {};
		socklen_t size = sizeof(from);
		ssize_t length;

		await_readable(client, packets);
		length = recvfrom(packets, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);
		if (length > 0 && from.sll_pkttype != PACKET_OUTGOING &&
		    memmem(bytes, length, arguments[1], strlen(arguments[1])))
			break;
	}
	say("seen");
	close(packets);
}

/* A whole IPv4 or IPv6 packet, through a raw socket. Its destination is read from it. */
static void packet(struct client *client, char **arguments)
{
	static uint8_t bytes[PACKET_MAX];
	size_t length = parse_hex(arguments[0], bytes, sizeof(bytes));
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
	int version = bytes[0] >> 4;
	int raw = socket(version == 4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
	struct sockaddr *address = version == 4 ? (struct sockaddr *)&ipv4 : (struct sockaddr *)&ipv6;

	if (raw < 0)
		fail("socket");
	memcpy(&ipv4.sin_addr, bytes + 16, sizeof(ipv4.sin_addr));
	memcpy(&ipv6.sin6_addr, bytes + 24, sizeof(ipv6.sin6_addr));
	if (sendto(raw, bytes, length, 0, address, version == 4 ? sizeof(ipv4) : sizeof(ipv6)) != (ssize_t)length)
		fail("sendto");
	close(raw);
}

/* A UDP datagram with a header of the client's own making, so that it can name a port that is another process's. */
static void forge(struct client *client, char **arguments)
{
	uint8_t bytes[1500] = {};
	struct iphdr *ip = (struct iphdr *)bytes;
	struct udphdr *udp = (struct udphdr *)(bytes + sizeof(*ip));
	size_t size = strlen(arguments[4]), length = sizeof(*ip) + sizeof(*udp) + size;
	struct sockaddr_in address = { .sin_family = AF_INET };
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	if (raw < 0)
		fail("socket");
	if (length > sizeof(bytes))
		usage("forge: text too long");
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = htons(length);
	if (inet_pton(AF_INET, arguments[0], &ip->saddr) != 1 || inet_pton(AF_INET, arguments[2], &ip->daddr) != 1)
		usage("forge FROM PORT TO PORT TEXT");
	udp->source = htons(parse_number(arguments[1]));
	udp->dest = htons(parse_number(arguments[3]));
	udp->len = htons(sizeof(*udp) + size);
	memcpy(udp + 1, arguments[4], size);
	address.sin_addr.s_addr = ip->daddr;
	if (sendto(raw, bytes, length, 0, (struct sockaddr *)&address, sizeof(address)) != (ssize_t)length)
		fail("sendto");
	close(raw);
}

static size_t echo_request(int family, uint8_t *bytes)
{
	struct icmphdr *header = (struct icmphdr *)bytes;
	size_t length = sizeof(*header) + 8;

	memset(bytes, 0, length);
	header->type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	header->un.echo.id = htons(getpid() & 0xffff);
	header->un.echo.sequence = htons(1);
	memcpy(header + 1, "portculs", 8);
	if (family == AF_INET)
		header->checksum = checksum(bytes, length);
	return length;
}

/* A raw IPv4 socket shows the IP header too; and every ICMP packet, so that its own reply has to be looked for. */
static int is_reply(int socket, int family, const uint8_t *bytes, size_t length)
{
	int type;
	socklen_t size = sizeof(type);

	if (family == AF_INET && length >= 28 && bytes[0] >> 4 == 4)
		bytes += (bytes[0] & 15) * 4;
	if (bytes[0] != (family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		return 0;
	getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size);
	return type != SOCK_RAW || (bytes[4] << 8 | bytes[5]) == (getpid() & 0xffff);
}

/* An echo request through the current socket (icmp4, icmp6, raw4 1, raw6 58), and its reply. */
static void ping(struct client *client, char **arguments)
{
	struct sockaddr_storage address;
	socklen_t size = parse_address(arguments[0], "0", &address);
	uint8_t bytes[1500];
	size_t length = echo_request(address.ss_family, bytes);
	time_t end = time(NULL) + 1 + client->timeout / 1000;

	if (sendto(client->socket, bytes, length, 0, (struct sockaddr *)&address, size) != (ssize_t)length)
		fail("sendto");
	do {
		ssize_t received;

		await_readable(client, client->socket);
		received = recv(client->socket, bytes, sizeof(bytes), 0);
		if (received < 0)
			fail("recv");
		if (is_reply(client->socket, address.ss_family, bytes, received)) {
			say("reply");
			return;
		}
	} while (time(NULL) < end);
	errno = ETIMEDOUT;
	fail("ping");
}

const struct verb packet_verbs[] = {
	{ "frame", 2, "INTERFACE BYTES", frame },
	{ "segments", 6, "INTERFACE tcp|udp SIZE LENGTH HEADERS TEXT", segments },
	{ "sniff", 2, "INTERFACE TEXT", sniff },
	{ "packet", 1, "BYTES", packet },
	{ "forge", 5, "FROM PORT TO PORT TEXT", forge },
	{ "ping", 1, "ADDRESS", ping },
	{ NULL, 0, NULL, NULL },
};
