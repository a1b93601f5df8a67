/* A vhost-net device made of the kernel's own drivers/vhost/vhost.c and net.c, and a loop that asks it what it is told.
 *
 * The kernel's files are included as they are, so that what is static in them can be called. The device is opened,
 * called, read, written and closed through its own file operations. What is not the kernel's is the tap (tap.c), the
 * driver (driver.c) and this loop: docs/linux_source.md names each part.
 *
 * A request on standard input is words of 64 bits: operation, number of words, words. So is an answer on standard
 * output: kind, number of words, words. Answers are written out when the trial ends.
 */
#include "shim_net.h"
#include "harness.h"
#include "vhost.c"

static u64 events[1 << 16];
static size_t event_words, misses;

void event(u64 word)
{
	BUG_ON(event_words == ARRAY_SIZE(events));
	events[event_words++] = word;
}

/* A queue that may not reach its ring as it must waits, and says nothing. It is told here, where the loops ask. */
static int ring_looked_up(struct vhost_virtqueue *queue)
{
	size_t before = misses;
	int there = vq_meta_prefetch(queue);
	if (!there && misses == before)
		event(EVENT_BLOCKED);
	return there;
}
#define vq_meta_prefetch ring_looked_up
#include "net.c"

enum operation { OP_BEGIN = 1, OP_END, OP_IOCTL, OP_WRITE, OP_READ, OP_TRANSLATE, OP_OBSERVE, OP_OFFER, OP_PACKET,
	OP_KICK };
enum answer { DONE, REFUSED, SEGMENTS, FAULT, MAPS, NO_ROOM, RAN, WRONG };

#define MOST_WORDS (1 << 17)
#define CALLERS_BUFFER (1 << 20)
static u64 words[MOST_WORDS];
static char buffer[CALLERS_BUFFER]; /* the memory that the caller's requests are in */

/* The device ------------------------------------------------------------------------------------------------------- */

static struct file file = { .f_flags = O_NONBLOCK };
static struct inode inode;
static struct vhost_net *net;
static struct eventfd_ctx errors[QUEUES];
static u64 log_base; /* where the owner has the dirty log: the last place that the device took */

static struct vhost_virtqueue *queue_of(u64 number) { return &net->vqs[number % QUEUES].vq; }

bool work_is_left(void)
{
#ifdef HAS_WORKERS
	for (int i = 0; i < QUEUES; i++)
		if (queue_of(i)->worker && !llist_empty(&queue_of(i)->worker->work_list))
			return true;
	return false;
#else
	return !llist_empty(&net->dev.work_list);
#endif
}

static void begin(void)
{
	if (net)
		vhost_net_fops.release(&inode, &file);
	max_mem_regions = words[0];
	max_iotlb_entries = words[1];
	user_limit = words[2];
	log_base = 0;
	tap_begin();
	driver_begin();
	BUG_ON(vhost_net_fops.open(&inode, &file));
	net = file.private_data;
	BUG_ON(event_words); /* a device that is opened or closed does nothing else */
}

/* What happens ------------------------------------------------------------------------------------------------------ */

u16 chain_taken(int queue) { return queue_of(queue)->last_avail_idx - 1; }

static bool reading; /* a message that was read is put into the other list: that is no miss */

static size_t messages_waiting(void)
{
	size_t count = 0;
	for (struct list_head *one = net->dev.read_list.next; one != &net->dev.read_list; one = one->next)
		count++;
	return count;
}

void message_was_queued(void)
{
	struct vhost_msg_node *node;
	if (reading || list_empty(&net->dev.read_list))
		return;
	misses++;
	node = list_entry(net->dev.read_list.prev, struct vhost_msg_node, node);
	event(EVENT_MISSED);
	event(node->msg.iotlb.iova);
	event(node->msg.iotlb.perm);
}

static char last_said[256];

void said(const char *text, ...)
{
	va_list arguments;
	va_start(arguments, text);
	vsnprintf(last_said, sizeof(last_said), text, arguments);
	va_end(arguments);
}

/* The errno behind an error that a queue reports: that of a translation is in the kernel's log. 0: it says none. */
static u64 errno_said(void)
{
	int number;
	return sscanf(last_said, "Translation failure %d", &number) == 1 ? -number : 0;
}

static bool was_said(const char *words) { return strstr(last_said, words) != NULL; }

/* Of some errors there are two signals: of what is wrong, and of what was to be done in an indirect table or a ring. */
static bool is_second(void)
{
	return was_said("Failure detected in indirect") || was_said("Failed to ") || was_said("Can't access used idx");
}

/* Words: queue, errno, whether it may be a second signal. */
void eventfd_signalled(struct eventfd_ctx *to)
{
	event(EVENT_ERROR);
	event(to - errors);
	event(errno_said());
	event(is_second());
	if (was_said("Failed to write used") || was_said("Failed to increment used idx"))
		driver_gives_up(to - errors);
}

/* Answers ---------------------------------------------------------------------------------------------------------- */

static void put(u64 word)
{
	if (fwrite(&word, sizeof(word), 1, stdout) != 1)
		exit(3);
}

static void answer(enum answer kind, u64 count)
{
	put(kind);
	put(count);
}

/* Words: queue, what its used ring should say, what it says. */
static bool ring_is_wrong(void)
{
	u64 expected, found;
	for (int i = 0; i < QUEUES; i++)
		if (driver_objects(i, queue_of(i)->num, &expected, &found)) {
			answer(WRONG, 3);
			put(i);
			put(expected);
			put(found);
			return true;
		}
	return false;
}

/* The result of a call or its errno, what happened because of it, and the pages that were marked. */
static void answer_call(long result)
{
	static u64 marks[1 << 16];
	size_t marked = pages_marked(log_base, marks, ARRAY_SIZE(marks));
	if (ring_is_wrong())
		return;
	answer(result < 0 ? REFUSED : DONE, 2 + event_words + marked);
	put(result < 0 ? -result : result);
	put(event_words);
	for (size_t i = 0; i < event_words; i++)
		put(events[i]);
	for (size_t i = 0; i < marked; i++)
		put(marks[i]);
}

static void translate(void)
{
	static struct iovec found[UIO_MAXIOV + 1];
	u64 address = words[0], at = address, room = words[3];
	int result = -EFAULT, pieces = 0;
	memset(found, 0, sizeof(found[0]) * (room + 1));
	if (net->dev.iotlb || net->dev.umem)
		result = translate_desc(queue_of(words[4]), address, words[1], found, room, words[2]);
	else if (words[1] == 0)
		result = 0;
	while (pieces < (int)room && found[pieces].iov_len)
		at += found[pieces++].iov_len;
	if (result < 0) {
		answer(FAULT, 2);
		put(-result);
		put(at);
		return;
	}
	answer(SEGMENTS, 2 * result);
	for (int i = 0; i < result; i++) {
		put((uintptr_t)found[i].iov_base);
		put(found[i].iov_len);
	}
}

static void put_map(struct vhost_iotlb *map)
{
	put(map ? map->nmaps : ~0ULL);
	for (struct rb_node *node = map ? rb_first_cached(&map->root) : NULL; node; node = rb_next(node)) {
		struct vhost_iotlb_map *entry = rb_entry(node, struct vhost_iotlb_map, rb);
		put(entry->start);
		put(entry->last);
		put(entry->addr);
		put(entry->perm);
	}
}

static void observe(void)
{
	struct vhost_iotlb *table = net->dev.umem, *iotlb = net->dev.iotlb;
	answer(MAPS, 2 + 4 * ((table ? table->nmaps : 0) + (iotlb ? iotlb->nmaps : 0)));
	put_map(table);
	put_map(iotlb);
}

/* Requests --------------------------------------------------------------------------------------------------------- */

/* Bytes that come as words: how many bytes, then as many words as hold them. Returns the number of bytes. */
static size_t bytes_from(const u64 *from)
{
	size_t size = from[0];
	BUG_ON(size > sizeof(buffer));
	memcpy(buffer, from + 1, size);
	return size;
}

/* Words: whether the owner calls, how many bytes can be read, the call, the bytes. */
static void call(void)
{
	size_t size = bytes_from(words + 3), readable = words[1];
	char *argument = buffer;
	if (readable < size) { /* the bytes end where the caller's memory ends */
		argument = buffer + sizeof(buffer) - readable;
		memmove(argument, buffer, readable);
	}
	call_as_stranger(!words[0]);
	long result = vhost_net_fops.unlocked_ioctl(&file, words[2], (unsigned long)argument);
	call_as_stranger(false);
	if (words[2] == VHOST_SET_LOG_BASE && !result)
		memcpy(&log_base, argument, sizeof(log_base));
	if (words[2] == VHOST_RESET_OWNER && !result)
		driver_begin();
	run_workers();
	answer_call(result);
}

static void write_message(void)
{
	struct kiocb through = { &file };
	struct iov_iter from = { .at = buffer, .count = bytes_from(words) };
	long result = vhost_net_fops.write_iter(&through, &from);
	run_workers();
	answer_call(result);
}

static void read_message(void)
{
	struct kiocb through = { &file };
	size_t size = words[0];
	BUG_ON(size > sizeof(buffer));
	struct iov_iter to = { .at = buffer, .count = size };
	memset(buffer, 0, sizeof(struct vhost_msg));
	size_t waiting = messages_waiting();
	reading = true;
	long result = vhost_net_fops.read_iter(&through, &to);
	reading = false;
	BUG_ON(messages_waiting() + (result > 0) != waiting);
	run_workers();
	if (result < 0) {
		answer_call(result);
		return;
	}
	if (event_words) {
		answer(RAN, 2 + event_words);
		put(result);
		put(event_words);
		for (size_t i = 0; i < event_words; i++)
			put(events[i]);
		return;
	}
	answer(DONE, 1 + (result + 7) / 8);
	put(result);
	if (fwrite(buffer, 8, (result + 7) / 8, stdout) != (size_t)(result + 7) / 8)
		exit(3);
}

/* Words: queue, whether to kick, then the chain as driver_offer has it. */
static void offer(void)
{
	struct vhost_virtqueue *queue = queue_of(words[0]);
	if (!driver_offer(words[0] % QUEUES, queue->num, queue->last_avail_idx, words + 2)) {
		answer(NO_ROOM, 0);
		return;
	}
	if (words[1])
		vhost_poll_queue(&queue->poll);
	run_workers();
	answer_call(0);
}

static void obey(u64 operation)
{
	event_words = 0;
	if (net)
		for (int i = 0; i < QUEUES; i++)
			queue_of(i)->error_ctx = &errors[i];
	switch (operation) {
	case OP_BEGIN:
		begin();
		return;
	case OP_END:
		answer(DONE, 1);
		put(driver_finds_stray());
		if (fflush(stdout))
			exit(3);
		return;
	case OP_IOCTL:
		call();
		return;
	case OP_WRITE:
		write_message();
		return;
	case OP_READ:
		read_message();
		return;
	case OP_TRANSLATE:
		translate();
		return;
	case OP_OBSERVE:
		observe();
		return;
	case OP_OFFER:
		offer();
		return;
	case OP_PACKET:
		tap_packet(words[0]);
		run_workers();
		answer_call(0);
		return;
	case OP_KICK:
		if (words[0] >= QUEUES) { /* there is no such file to write to */
			answer_call(-ENOBUFS);
			return;
		}
		vhost_poll_queue(&queue_of(words[0])->poll);
		run_workers();
		answer_call(0);
		return;
	}
	exit(4);
}

int main(void)
{
	static char in[1 << 16], out[1 << 20];
	setvbuf(stdin, in, _IOFBF, sizeof(in));
	setvbuf(stdout, out, _IOFBF, sizeof(out));
	user_memory(buffer, sizeof(buffer));
	make_backings();
	for (;;) {
		u64 head[2];
		if (fread(head, sizeof(u64), 2, stdin) != 2)
			return 0;
		if (head[1] > MOST_WORDS || fread(words, sizeof(u64), head[1], stdin) != head[1])
			return 2;
		obey(head[0]);
	}
}
