#include "stranger.h"

#include "channel.h"
#include "vm.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct order {
	unsigned long request;
	const void *nowhere; /* not NULL: ask with this address */
	uint64_t bytes[32];
};

static int line = -1;

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static struct msghdr message_for(struct iovec *part, union control *control)
{
	return (struct msghdr){
		.msg_iov = part,
		.msg_iovlen = 1,
		.msg_control = control->bytes,
		.msg_controllen = sizeof(control->bytes),
	};
}

static void serve(int socket)
{
	for (;;) {
		struct order order;
		struct iovec part = { &order, sizeof(order) };
		union control control;
		struct msghdr message = message_for(&part, &control);

		if (recvmsg(socket, &message, 0) != sizeof(order))
			_exit(0);
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		int fd, error;

		if (head == NULL)
			_exit(1);
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		void *argument = order.nowhere != NULL ? nowhere() : order.bytes;
		error = ask(fd, order.request, argument);
		close(fd);
		if (write(socket, &error, sizeof(error)) != sizeof(error))
			_exit(1);
	}
}

void stranger_start(void)
{
	int ends[2];

	nowhere(); /* so that both have it at the same address */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		fatal("no socket pair: %s", strerror(errno));
	pid_t child = fork();
	if (child < 0)
		fatal("no child process: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		serve(ends[1]);
	}
	close(ends[1]);
	line = ends[0];
}

int stranger_ask(int fd, unsigned long request, const void *argument, size_t length)
{
	struct order order = { .request = request, .nowhere = argument == nowhere() ? argument : NULL };
	struct iovec part = { &order, sizeof(order) };
	union control control;
	int error;

	if (order.nowhere == NULL)
		memcpy(order.bytes, argument, length < sizeof(order.bytes) ? length : sizeof(order.bytes));
	memset(&control, 0, sizeof(control));
	struct msghdr message = message_for(&part, &control);
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (sendmsg(line, &message, 0) != sizeof(order) || read(line, &error, sizeof(error)) != sizeof(error))
		return -1;
	return error;
}
