/* SPDX-License-Identifier: Apache-2.0 */
/* Answers system calls of another program, as its user may without any privilege (seccomp_unotify(2)). */
#include "client.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* From here on, access(2) and openat(2) of this process, and of what it executes, are asked of whoever has the result. */
static int ask_for_files(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_access, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("PR_SET_NO_NEW_PRIVS");
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* The first file that is asked for is this one, which is there; all others are what they are. */
static void answer(int listener, const char *path)
{
	struct seccomp_notif question = {};
	struct seccomp_notif_resp reply = {};
	struct seccomp_notif_addfd file = {};
	static int opened;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question))
		_exit(0);
	reply.id = file.id = question.id;
	if (question.data.nr == SYS_openat && !opened) {
		opened = 1;
		file.srcfd = open(path, O_RDONLY);
		/* Adding and answering in one call is 5.14's. */
		reply.val = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &file);
		if (reply.val < 0)
			fail("SECCOMP_IOCTL_NOTIF_ADDFD");
	} else if (question.data.nr == SYS_openat)
		reply.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

/* Executes the program, whose linker takes the file for /etc/ld.so.preload. */
static void supervise(struct client *client, char **arguments)
{
	int numbers[2], listener, status;
	pid_t program, supervisor;

	if (pipe(numbers))
		fail("pipe");
	program = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!program) {
		listener = ask_for_files();
		if (write(numbers[1], &listener, sizeof(listener)) != sizeof(listener))
			_exit(EXIT_ERROR);
		execl(arguments[1], arguments[1], NULL);
		_exit(EXIT_ERROR);
	}
	if (read(numbers[0], &listener, sizeof(listener)) != sizeof(listener) || listener < 0)
		fail("seccomp");
	supervisor = fork();
	while (!supervisor)
		answer(listener, arguments[0]);
	if (waitpid(program, &status, 0) != program)
		fail("waitpid");
	kill(supervisor, SIGKILL);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_ERROR);
}

const struct verb supervise_verbs[] = {
	{ "supervise", 2, "FILE PROGRAM", supervise },
	{ NULL, 0, NULL, NULL },
};
