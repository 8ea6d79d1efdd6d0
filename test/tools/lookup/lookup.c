/*
 * lookup NAME PORT: asks the C library for all addresses of a name, and exchanges a word with each. Prints the addresses that answered, in
 * order of their text, one a line. Ends with 1 if the name is not found. What it shows depends on the C library that it is built with.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 16 };

static int answers(const struct addrinfo *peer)
{
	struct timeval patience = { .tv_sec = 2 };
	char byte;
	int fd = socket(peer->ai_family, peer->ai_socktype, peer->ai_protocol);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	int good = connect(fd, peer->ai_addr, peer->ai_addrlen) == 0 && send(fd, "x", 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1;
	close(fd);
	return good;
}

static int by_text(const void *left, const void *right)
{
	return strcmp(left, right);
}

int main(int argc, char **argv)
{
	static char lines[ADDRESSES_MAX][NI_MAXHOST];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	int count = 0;
	int error = argc == 3 ? getaddrinfo(argv[1], argv[2], &hints, &found) : EAI_FAIL;

	if (error != 0) {
		fprintf(stderr, "%s\n", gai_strerror(error));
		return 1;
	}
	for (const struct addrinfo *peer = found; peer != NULL && count < ADDRESSES_MAX; peer = peer->ai_next) {
		if (answers(peer))
			getnameinfo(peer->ai_addr, peer->ai_addrlen, lines[count++], NI_MAXHOST, NULL, 0, NI_NUMERICHOST);
	}
	qsort(lines, count, sizeof(*lines), by_text);
	for (int line = 0; line < count; line++)
		puts(lines[line]);
	return 0;
}
