// SPDX-License-Identifier: Apache-2.0
/* Verbs about who uses a socket: they carry out the rest in another process, thread or executable. */
#define _GNU_SOURCE
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 128
#define NUMBERS_TEXT 32

/* For a line on standard input: the test says when to go on. */
static void do_wait(struct client *client, char **arguments)
{
	char byte;

	say("waiting");
	do {
		if (read(STDIN_FILENO, &byte, 1) <= 0)
			fail("waiting for a line");
	} while (byte != '\n');
}

static void do_sleep(struct client *client, char **arguments)
{
	long milliseconds = parse_number(arguments[0]);
	struct timespec time = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static void print(struct client *client, char **arguments)
{
	say("%s", arguments[0]);
}

static void print_pid(struct client *client, char **arguments)
{
	say("%d", getpid());
}

/* Ends as the child ended. */
static _Noreturn void end_like(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid");
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_ERROR);
}

static void do_fork(struct client *client, char **arguments)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child > 0)
		end_like(child);
}

/* The child goes on; the parent is gone before it does. */
static void orphan(struct client *client, char **arguments)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		fail("fork");
	if (child > 0)
		_exit(0);
	while (getppid() == parent)
		usleep(1000);
}

/* The effective user from here on; the saved one stays, so that the process may change again. */
static void become_user(struct client *client, char **arguments)
{
	uid_t user = parse_number(arguments[0]);

	if (setresuid(-1, user, -1))
		fail("setresuid");
}

/* A user namespace of its own, in which this user has the number. */
static void own_users(struct client *client, char **arguments)
{
	char text[64];
	int map, length = snprintf(text, sizeof(text), "%s %d 1", arguments[0], geteuid());

	if (unshare(CLONE_NEWUSER))
		fail("unshare");
	map = open("/proc/self/uid_map", O_WRONLY);
	if (map < 0 || write(map, text, length) != length)
		fail("uid_map");
	close(map);
}

static void *rest_in_thread(void *client)
{
	run_rest(client);
}

static pthread_t start_thread(struct client *client)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, rest_in_thread, client);
	if (errno)
		fail("pthread_create");
	return thread;
}

static void in_thread(struct client *client, char **arguments)
{
	pthread_join(start_thread(client), NULL);
}

/* The thread group's leader ends; its process lives on in another thread. */
static void leader_exits(struct client *client, char **arguments)
{
	static struct client rest;

	rest = *client;
	start_thread(&rest);
	syscall(SYS_exit, 0);
}

/* The rest in a child with this very pid, which has to be free. */
static void clone_as(struct client *client, char **arguments)
{
	pid_t pid = parse_number(arguments[0]);
	struct clone_args request = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = 1,
	};
	long child = syscall(SYS_clone3, &request, sizeof(request));

	if (child < 0)
		fail("clone3");
	if (child > 0)
		end_like(child);
}

/* `fd N` and the rest, for another executable that takes the current socket over. */
static char **arguments_for(struct client *client, char *program, char **list, char *numbers)
{
	int count = 0;

	list[count++] = program;
	list[count++] = "timeout";
	list[count++] = numbers;
	snprintf(numbers, NUMBERS_TEXT / 2, "%d", client->timeout);
	if (client->socket >= 0) {
		list[count++] = "fd";
		list[count++] = numbers + NUMBERS_TEXT / 2;
		snprintf(numbers + NUMBERS_TEXT / 2, NUMBERS_TEXT / 2, "%d", client->socket);
	}
	while (*client->rest && count < ARGUMENTS_MAX - 1)
		list[count++] = *client->rest++;
	list[count] = NULL;
	return list;
}

static void do_exec(struct client *client, char **arguments)
{
	char *list[ARGUMENTS_MAX], numbers[NUMBERS_TEXT];

	execv(arguments[0], arguments_for(client, arguments[0], list, numbers));
	fail(arguments[0]);
}

static void exec_descriptor(struct client *client, int file, char *program)
{
	char *list[ARGUMENTS_MAX], numbers[NUMBERS_TEXT];

	fexecve(file, arguments_for(client, program, list, numbers), environ);
	fail("fexecve");
}

/* Executes a file in a root directory in which it is not: the linker and the libraries are those of that root. */
static void exec_from_root(struct client *client, char **arguments)
{
	int file = open(arguments[1], O_RDONLY | O_CLOEXEC);

	if (file < 0 || chroot(arguments[0]) || chdir("/"))
		fail(arguments[0]);
	exec_descriptor(client, file, arguments[1]);
}

/* While another process shares the root directory, and could change it at any time. */
static void exec_sharing_root(struct client *client, char **arguments)
{
	pid_t other = syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);

	if (other < 0)
		fail("clone");
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sleep(5);
		_exit(0);
	}
	do_exec(client, arguments);
}

/* A copy in memory that never had a name. */
static void memfd_exec(struct client *client, char **arguments)
{
	int from = open(arguments[0], O_RDONLY | O_CLOEXEC), to = memfd_create("client", MFD_CLOEXEC);
	struct stat stat;
	char bytes[65536];
	ssize_t length;

	if (from < 0 || to < 0 || fstat(from, &stat))
		fail(arguments[0]);
	while ((length = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, length) != length)
			fail("memfd");
	exec_descriptor(client, to, arguments[0]);
}

/* A file whose name is gone before it is executed. */
static void deleted_exec(struct client *client, char **arguments)
{
	int file = open(arguments[0], O_RDONLY | O_CLOEXEC);

	if (file < 0 || unlink(arguments[0]))
		fail(arguments[0]);
	exec_descriptor(client, file, arguments[0]);
}

/* Copies a part of the own executable that is in memory, so that no file is behind it any more. */
static void detach_part(uintptr_t begin, uintptr_t end, int protection)
{
	size_t length = end - begin;
	void *copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		fail("mmap");
	memcpy(copy, (void *)begin, length);
	if (mprotect(copy, length, protection) ||
	    mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)begin) == MAP_FAILED)
		fail("mremap");
}

static void detach_executable(void)
{
	char line[4096], own[4096], flags[5], path[4096];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t begin, end;

	if (length < 0 || !maps)
		fail("/proc/self");
	own[length] = '\0';
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %4095s", &begin, &end, flags, path) == 4 && !strcmp(path, own))
			detach_part(begin, end, (flags[0] == 'r' ? PROT_READ : 0) | (flags[1] == 'w' ? PROT_WRITE : 0) |
						    (flags[2] == 'x' ? PROT_EXEC : 0));
	fclose(maps);
}

/* Where the parts of the process are in memory, as they are (proc_pid_stat(5)). */
static void read_layout(struct prctl_mm_map *map)
{
	FILE *stat = fopen("/proc/self/stat", "r");
	__u64 fields[52] = {};

	if (!stat || fscanf(stat, "%*d %*s %*c") < 0)
		fail("/proc/self/stat");
	for (int i = 4; i < 52; i++)
		if (fscanf(stat, "%llu", &fields[i]) != 1)
			fail("/proc/self/stat");
	fclose(stat);
	map->start_code = fields[26];
	map->end_code = fields[27];
	map->start_stack = fields[28];
	map->start_data = fields[45];
	map->end_data = fields[46];
	map->start_brk = fields[47];
	map->brk = (uintptr_t)sbrk(0);
	map->arg_start = fields[48];
	map->arg_end = fields[49];
	map->env_start = fields[50];
	map->env_end = fields[51];
}

/* In a user namespace of its own, makes the kernel believe that the process runs another executable. */
static void impersonate(struct client *client, char **arguments)
{
	struct prctl_mm_map map = { .exe_fd = open(arguments[0], O_RDONLY) };

	read_layout(&map);
	if ((int)map.exe_fd < 0 || unshare(CLONE_NEWUSER))
		fail("unshare");
	detach_executable();
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0))
		fail("PR_SET_MM");
}

static int impersonate_and_end(void *context)
{
	impersonate(NULL, context);
	_exit(0);
}

/* The same, but only a child that shares the memory is in a user namespace, and it ends at once. */
static void impersonate_by_child(struct client *client, char **arguments)
{
	size_t size = 1 << 20;
	char *stack = malloc(size);

	if (!stack || clone(impersonate_and_end, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, arguments) < 0)
		fail("clone");
}

static void take_descriptor(struct client *client, char **arguments)
{
	client->socket = parse_number(arguments[0]);
}

static int unix_socket(const char *path, struct sockaddr_un *address)
{
	int result = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	strncpy(address->sun_path, path, sizeof(address->sun_path) - 1);
	if (result < 0)
		fail("socket");
	return result;
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header;
};

/* Sends a descriptor to the other end of a local socket (SCM_RIGHTS). */
static void send_descriptor(int peer, int descriptor)
{
	union control control = {};
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
	if (sendmsg(peer, &message, 0) != 1)
		fail("sendmsg");
}

static int receive_descriptor(int peer)
{
	union control control = {};
	int descriptor;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (recvmsg(peer, &message, 0) != 1 || control.header.cmsg_type != SCM_RIGHTS)
		fail("recvmsg");
	memcpy(&descriptor, CMSG_DATA(&control.header), sizeof(int));
	return descriptor;
}

/* Hands the current socket to whoever connects to the path, and goes on when that one is done. */
static void pass(struct client *client, char **arguments)
{
	struct sockaddr_un address;
	int listener = unix_socket(arguments[0], &address), peer;
	char byte;

	unlink(arguments[0]);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		fail(arguments[0]);
	say("offering");
	peer = accept(listener, NULL, NULL);
	send_descriptor(peer, client->socket);
	if (read(peer, &byte, 1) < 0)
		fail("read");
}

/* Takes a socket from who offers one at the path. */
static void take(struct client *client, char **arguments)
{
	struct sockaddr_un address;
	int peer = unix_socket(arguments[0], &address);

	if (connect(peer, (struct sockaddr *)&address, sizeof(address)))
		fail(arguments[0]);
	client->socket = receive_descriptor(peer);
}

static int hiding_place[2];

/* Puts the current socket where no process has it open: into a message that nobody has read. */
static void hide(struct client *client, char **arguments)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, hiding_place))
		fail("socketpair");
	send_descriptor(hiding_place[0], client->socket);
	close(client->socket);
	client->socket = -1;
}

static void unhide(struct client *client, char **arguments)
{
	client->socket = receive_descriptor(hiding_place[1]);
}

/* Takes a descriptor out of another process of the same user. */
static void steal(struct client *client, char **arguments)
{
	int process = syscall(SYS_pidfd_open, (pid_t)parse_number(arguments[0]), 0);

	if (process < 0)
		fail("pidfd_open");
	client->socket = syscall(SYS_pidfd_getfd, process, (int)parse_number(arguments[1]), 0);
	if (client->socket < 0)
		fail("pidfd_getfd");
}

/* The number of the current socket's descriptor, for `steal`. */
static void print_descriptor(struct client *client, char **arguments)
{
	say("%d", client->socket);
}

/* A mount namespace of its own, in which a mount tells nobody else. */
static void own_mounts(struct client *client, char **arguments)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("unshare");
}

/* A mount, for root: as container runtimes do it. */
static void pivot(struct client *client, char **arguments)
{
	own_mounts(client, arguments);
	if (chdir(arguments[0]) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		fail(arguments[0]);
}

/* As switch_root(8) and runtimes without pivot_root do: the folder lies upon the root before it. */
static void move_root(struct client *client, char **arguments)
{
	own_mounts(client, arguments);
	if (chdir(arguments[0]) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail(arguments[0]);
}

static void change_root(struct client *client, char **arguments)
{
	if (chroot(arguments[0]) || chdir("/"))
		fail(arguments[0]);
}

const struct verb process_verbs[] = {
	{ "wait", 0, "", do_wait },
	{ "sleep", 1, "MILLISECONDS", do_sleep },
	{ "print", 1, "TEXT", print },
	{ "pid", 0, "", print_pid },
	{ "fork", 0, "", do_fork },
	{ "orphan", 0, "", orphan },
	{ "user", 1, "NUMBER", become_user },
	{ "ownusers", 1, "NUMBER", own_users },
	{ "thread", 0, "", in_thread },
	{ "leaderexits", 0, "", leader_exits },
	{ "cloneas", 1, "PID", clone_as },
	{ "exec", 1, "PROGRAM", do_exec },
	{ "rootexec", 2, "FOLDER PROGRAM", exec_from_root },
	{ "sharedrootexec", 1, "PROGRAM", exec_sharing_root },
	{ "memfdexec", 1, "PROGRAM", memfd_exec },
	{ "deletedexec", 1, "PROGRAM", deleted_exec },
	{ "impersonate", 1, "PROGRAM", impersonate },
	{ "impersonatebychild", 1, "PROGRAM", impersonate_by_child },
	{ "fd", 1, "NUMBER", take_descriptor },
	{ "pass", 1, "PATH", pass },
	{ "take", 1, "PATH", take },
	{ "hide", 0, "", hide },
	{ "unhide", 0, "", unhide },
	{ "steal", 2, "PID NUMBER", steal },
	{ "descriptor", 0, "", print_descriptor },
	{ "ownmounts", 0, "", own_mounts },
	{ "pivot", 1, "FOLDER", pivot },
	{ "moveroot", 1, "FOLDER", move_root },
	{ "chroot", 1, "FOLDER", change_root },
	{ NULL, 0, NULL, NULL },
};
