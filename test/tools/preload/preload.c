// SPDX-License-Identifier: Apache-2.0
/*
 * A library that sends the text in the variable TAG to the tests' server (port 7000 of the address in the variable SERVER) as soon as it
 * is loaded. The exit status is that of the test client: 0 if there is an answer, otherwise 3.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

__attribute__((constructor)) static void run(void)
{
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(7000) };
	struct timeval wait = { .tv_sec = 1 };
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	char *tag = getenv("TAG"), *address = getenv("SERVER"), byte;

	if (!tag || !address || inet_pton(AF_INET, address, &server.sin_addr) != 1)
		_exit(2);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	sendto(s, tag, strlen(tag), 0, (void *)&server, sizeof(server));
	_exit(recv(s, &byte, 1, 0) == 1 ? 0 : 3);
}
