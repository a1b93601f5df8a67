/* A tap, as far as vhost-net looks at one: packets that are sent are noted, packets that come wait to be received.
 *
 * Bytes are not moved. Noted is where in host memory a packet's bytes are; that is all that the vectors are about. There
 * is always room to send, and each packet is sent by itself (a tap with a limited send buffer).
 */
#include "shim.h"
#include "shim_net.h"
#include "harness.h"

#define HEADER_BYTES 12 /* the device counts them on top: it is told of a packet without its header */

static struct file tap, no_socket;
static struct sock sk;
static struct sk_buff *last;

/* The pieces of host memory of the next `size` bytes of an iterator. */
static void note(enum event kind, int queue, const struct iov_iter *iter, size_t size)
{
	const struct iovec *one = iter->vectors;
	size_t skip = (uintptr_t)iter->at, pieces = 0;
	for (size_t left = size, i = 0, before = skip; left && i < iter->segments; i++, before = 0) {
		left -= min(left, one[i].iov_len - before);
		pieces++;
	}
	driver_expects(queue, chain_taken(queue), kind == EVENT_RECEIVED ? size : 0);
	event(kind);
	event(chain_taken(queue));
	event(pieces);
	for (size_t i = 0; i < pieces; i++, skip = 0) {
		size_t length = min(size, one[i].iov_len - skip);
		event((uintptr_t)one[i].iov_base + skip);
		event(length);
		size -= length;
	}
}

static int sendmsg(struct socket *socket, struct msghdr *message, size_t size)
{
	(void)socket;
	note(EVENT_SENT, 1, &message->msg_iter, size);
	return size;
}

static int recvmsg(struct socket *socket, struct msghdr *message, size_t size, int flags)
{
	struct sk_buff *packet = sk.sk_receive_queue.first;
	(void)socket, (void)flags;
	BUG_ON(!packet);
	sk.sk_receive_queue.first = packet->next;
	if (!packet->next)
		last = NULL;
	free(packet);
	if (size == 1) /* how the device says that a packet is too long for the chain */
		event(EVENT_DISCARDED);
	else
		note(EVENT_RECEIVED, 0, &message->msg_iter, size);
	return size;
}

static const struct proto_ops operations = { .sendmsg = sendmsg, .recvmsg = recvmsg };
static struct socket sock = { &tap, &sk, &operations };

struct file *file_of(int fd)
{
	tap.socket = &sock;
	return fd == 1 ? &tap : fd == 2 ? &no_socket : NULL;
}

__poll_t vfs_poll(struct file *file, poll_table *table)
{
	table->proc(file, &file->waiting, table);
	return EPOLLOUT | (sk.sk_receive_queue.first ? EPOLLIN | EPOLLRDNORM : 0);
}

void tap_begin(void)
{
	while (sk.sk_receive_queue.first) {
		struct sk_buff *packet = sk.sk_receive_queue.first;
		sk.sk_receive_queue.first = packet->next;
		free(packet);
	}
	last = NULL;
	tap.waiting.first = NULL;
	sk = (struct sock){ .sk_type = SOCK_RAW, .sk_sndbuf = 1 << 20 };
}

void tap_packet(u64 length)
{
	struct sk_buff *packet = malloc(sizeof(*packet));
	*packet = (struct sk_buff){ .len = length - HEADER_BYTES };
	if (last)
		last->next = packet;
	else
		sk.sk_receive_queue.first = packet;
	last = packet;
	tell_waiting(&tap.waiting, EPOLLIN | EPOLLRDNORM);
}
