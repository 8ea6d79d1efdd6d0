// SPDX-License-Identifier: Apache-2.0
/* Frames by way of AF_XDP: from memory that the kernel and the process share. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING 64        /* descriptors, of each ring */
#define FRAME_SIZE 4096
#define MEMORY (RING * FRAME_SIZE)

static void ring_size(int socket, int ring)
{
	int size = RING;

	if (setsockopt(socket, SOL_XDP, ring, &size, sizeof(size)))
		fail("XDP ring");
}

/* The socket with its memory and its rings, bound to the first queue of the interface. */
static int open_xdp(const char *interface, uint8_t **memory)
{
	struct xdp_umem_reg umem = { .len = MEMORY, .chunk_size = FRAME_SIZE };
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY, .sxdp_ifindex = if_nametoindex(interface)
	};
	int xdp = socket(AF_XDP, SOCK_RAW, 0);

	if (xdp < 0 || !address.sxdp_ifindex)
		fail("AF_XDP");
	*memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	umem.addr = (uintptr_t)*memory;
	if (*memory == MAP_FAILED || setsockopt(xdp, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)))
		fail("XDP_UMEM_REG");
	ring_size(xdp, XDP_UMEM_FILL_RING);
	ring_size(xdp, XDP_UMEM_COMPLETION_RING);
	ring_size(xdp, XDP_TX_RING);
	if (bind(xdp, (struct sockaddr *)&address, sizeof(address)))
		fail("bind");
	return xdp;
}

static void send_by_xdp(struct client *client, char **arguments)
{
	struct xdp_mmap_offsets offsets;
	socklen_t size = sizeof(offsets);
	struct xdp_desc *descriptors;
	uint8_t *memory, *ring;
	int xdp = open_xdp(arguments[0], &memory);
	size_t length = parse_hex(arguments[1], memory, FRAME_SIZE);

	if (getsockopt(xdp, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size))
		fail("XDP_MMAP_OFFSETS");
	ring = mmap(NULL, offsets.tx.desc + RING * sizeof(*descriptors), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		    xdp, XDP_PGOFF_TX_RING);
	if (ring == MAP_FAILED)
		fail("mmap");
	descriptors = (struct xdp_desc *)(ring + offsets.tx.desc);
	descriptors[0] = (struct xdp_desc){ .addr = 0, .len = length };
	__atomic_store_n((uint32_t *)(ring + offsets.tx.producer), 1, __ATOMIC_RELEASE);
	if (sendto(xdp, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
		fail("sendto");
	close(xdp);
}

const struct verb xdp_verbs[] = {
	{ "xdp", 2, "INTERFACE BYTES", send_by_xdp },
	{ NULL, 0, NULL, NULL },
};
