// SPDX-License-Identifier: Apache-2.0
/* Verbs that let the kernel's own threads send: io_uring, by its workers or by the thread that polls its queue. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ring {
	int file;
	struct io_uring_params parameters;
	char *queues;
	struct io_uring_sqe *entries;
};

static unsigned *field(struct ring *ring, unsigned offset)
{
	return (unsigned *)(ring->queues + offset);
}

static void open_ring(struct ring *ring, unsigned flags)
{
	size_t size;

	memset(ring, 0, sizeof(*ring));
	ring->parameters.flags = flags;
	ring->file = syscall(SYS_io_uring_setup, 4, &ring->parameters);
	if (ring->file < 0)
		fail("io_uring_setup");
	size = ring->parameters.cq_off.cqes + ring->parameters.cq_entries * sizeof(struct io_uring_cqe);
	ring->queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->file, IORING_OFF_SQ_RING);
	ring->entries = mmap(NULL, ring->parameters.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, ring->file, IORING_OFF_SQES);
	if (ring->queues == MAP_FAILED || ring->entries == MAP_FAILED)
		fail("mmap");
}

/* Carries out the first entry. Returns its result. */
static int submit(struct ring *ring)
{
	unsigned *tail = field(ring, ring->parameters.sq_off.tail), *head = field(ring, ring->parameters.cq_off.head);
	struct io_uring_cqe *completion = (struct io_uring_cqe *)(ring->queues + ring->parameters.cq_off.cqes);
	int polled = ring->parameters.flags & IORING_SETUP_SQPOLL;

	*field(ring, ring->parameters.sq_off.array) = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->file, polled ? 0 : 1, 1,
		    IORING_ENTER_GETEVENTS | (polled ? IORING_ENTER_SQ_WAKEUP : 0), NULL, 0) < 0)
		fail("io_uring_enter");
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return completion->res;
}

static void send_by(struct client *client, const char *text, unsigned setup, unsigned flags)
{
	struct ring ring;
	int result;

	open_ring(&ring, setup);
	ring.entries[0] = (struct io_uring_sqe){
		.opcode = IORING_OP_SEND,
		.flags = flags,
		.fd = client->socket,
		.addr = (uintptr_t)text,
		.len = strlen(text),
	};
	result = submit(&ring);
	if (result < 0) {
		errno = -result;
		fail("IORING_OP_SEND");
	}
}

static void send_by_worker(struct client *client, char **arguments)
{
	send_by(client, arguments[0], 0, IOSQE_ASYNC);
}

static void send_by_poller(struct client *client, char **arguments)
{
	send_by(client, arguments[0], IORING_SETUP_SQPOLL, 0);
}

const struct verb uring_verbs[] = {
	{ "uringworker", 1, "TEXT", send_by_worker },
	{ "uringpoller", 1, "TEXT", send_by_poller },
	{ NULL, 0, NULL, NULL },
};
