/* SPDX-License-Identifier: Apache-2.0 */
/* DNS, both sides of it (RFC 1035, 4.1). */
#ifndef DNS_H
#define DNS_H

#include "lane.h"

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

#endif
