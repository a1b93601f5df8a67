/* A vhost-net device made of the kernel's own drivers/vhost/vhost.c, and a loop that asks it what it is told.
 *
 * The kernel's file is included as it is, so that what is static in it can be called. What drivers/vhost/net.c would do
 * is written here: see docs/linux_source.md for each part of it.
 *
 * A request on standard input is words of 64 bits: operation, number of words, words. So is an answer on standard
 * output: kind, number of words, words. Answers are written out when the trial ends.
 */
#include "vhost.c"
#include "harness.h"

enum operation { OP_BEGIN = 1, OP_END, OP_IOCTL, OP_WRITE, OP_READ, OP_TRANSLATE, OP_OBSERVE };
enum answer { DONE, REFUSED, SEGMENTS, FAULT, MAPS };

#define MOST_WORDS (1 << 17)
#define CALLERS_BUFFER (1 << 20)
static u64 words[MOST_WORDS];
static u64 count_of_words;
static char buffer[CALLERS_BUFFER]; /* the memory that the caller's requests are in */

/* The device ------------------------------------------------------------------------------------------------------- */

#define QUEUES 2
static struct vhost_dev device;
static struct vhost_virtqueue queues[QUEUES];
static struct vhost_virtqueue *queue_list[QUEUES] = { &queues[0], &queues[1] };
static u64 offered_features;

bool work_is_left(void)
{
#ifdef HAS_WORKERS
	for (int i = 0; i < QUEUES; i++)
		if (queues[i].worker && !llist_empty(&queues[i].worker->work_list))
			return true;
	return false;
#else
	return !llist_empty(&device.work_list);
#endif
}

static void no_work(struct vhost_work *work) { (void)work; }

static void begin(void)
{
	static bool used;
	if (used) {
		vhost_dev_stop(&device);
		vhost_dev_cleanup(&device);
	}
	used = true;
	memset(&device, 0, sizeof(device));
	memset(queues, 0, sizeof(queues));
	max_mem_regions = words[0];
	max_iotlb_entries = words[1];
	offered_features = words[2];
	user_limit = words[3];
	for (int i = 0; i < QUEUES; i++)
		queues[i].handle_kick = no_work;
	vhost_dev_init(&device, queue_list, QUEUES, UIO_MAXIOV + 64, 256, 0x80000, true, NULL);
}

/* What drivers/vhost/net.c does ------------------------------------------------------------------------------------ */

static long net_set_owner(void)
{
	return vhost_dev_has_owner(&device) ? -EBUSY : vhost_dev_set_owner(&device);
}

static long net_reset_owner(void)
{
	long error = vhost_dev_check_owner(&device);
	if (error)
		return error;
	struct vhost_iotlb *table = vhost_dev_reset_owner_prepare();
	if (!table)
		return -ENOMEM;
	vhost_dev_stop(&device);
	vhost_dev_reset_owner(&device, table);
	return 0;
}

static void acknowledge(u64 features)
{
	for (int i = 0; i < QUEUES; i++)
		queues[i].acked_features = features;
}

static long net_set_features(u64 features)
{
	if (features & ~offered_features)
		return -EOPNOTSUPP;
	if (features & (1ULL << VHOST_F_LOG_ALL) && !vhost_log_access_ok(&device))
		return -EFAULT;
	if (features & (1ULL << VIRTIO_F_ACCESS_PLATFORM)) {
#ifdef INIT_IOTLB_TAKES_ENABLED
		if (vhost_init_device_iotlb(&device, true))
#else
		if (vhost_init_device_iotlb(&device))
#endif
			return -EFAULT;
	}
#ifdef HAS_CLEAR_IOTLB
	else
		vhost_clear_device_iotlb(&device);
#endif
	acknowledge(features);
	return 0;
}

static long net_set_backend_features(u64 features)
{
	if (features & ~(1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2))
		return -EOPNOTSUPP;
	vhost_set_backend_features(&device, features);
	return 0;
}

static long net_ioctl(unsigned int call, void *argument)
{
	u64 features;
	switch (call) {
	case VHOST_SET_OWNER:
		return net_set_owner();
	case VHOST_RESET_OWNER:
		return net_reset_owner();
	case VHOST_SET_FEATURES:
		return copy_from_user(&features, argument, sizeof(features)) ? -EFAULT : net_set_features(features);
	case VHOST_SET_BACKEND_FEATURES:
		return copy_from_user(&features, argument, sizeof(features)) ? -EFAULT :
									       net_set_backend_features(features);
	}
	long result = vhost_dev_ioctl(&device, call, argument);
	return result == -ENOIOCTLCMD ? vhost_vring_ioctl(&device, call, argument) : result;
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

static void answer_number(long result)
{
	answer(result < 0 ? REFUSED : DONE, 1);
	put(result < 0 ? -result : result);
}

static void translate(void)
{
	static struct iovec found[UIO_MAXIOV];
	u64 address = words[0], at = address;
	struct vhost_virtqueue *queue = &queues[words[4] % QUEUES];
	int result = -EFAULT, pieces = 0;
	memset(found, 0, sizeof(found[0]) * (words[3] + 1 < UIO_MAXIOV ? words[3] + 1 : UIO_MAXIOV));
	if (device.iotlb || device.umem)
		result = translate_desc(queue, address, words[1], found, words[3], words[2]);
	else if (words[1] == 0)
		result = 0;
	while (pieces < (int)words[3] && pieces < UIO_MAXIOV && found[pieces].iov_len)
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
	answer(MAPS, 2 + 4 * ((device.umem ? device.umem->nmaps : 0) + (device.iotlb ? device.iotlb->nmaps : 0)));
	put_map(device.umem);
	put_map(device.iotlb);
}

/* Bytes that come as words: how many bytes, then as many words as hold them. Returns the number of bytes. */
static size_t bytes_from(const u64 *from)
{
	size_t size = from[0];
	BUG_ON(size > sizeof(buffer));
	memcpy(buffer, from + 1, size);
	return size;
}

static void read_message(void)
{
	size_t size = words[0];
	BUG_ON(size > sizeof(buffer));
	struct iov_iter to = { .at = buffer, .count = size };
	memset(buffer, 0, sizeof(struct vhost_msg));
	long result = vhost_chr_read_iter(&device, &to, 1);
	if (result < 0) {
		answer_number(result);
		return;
	}
	answer(DONE, 1 + (result + 7) / 8);
	put(result);
	if (fwrite(buffer, 8, (result + 7) / 8, stdout) != (size_t)(result + 7) / 8)
		exit(3);
}

static void obey(u64 operation)
{
	struct iov_iter from;
	switch (operation) {
	case OP_BEGIN:
		begin();
		return;
	case OP_END:
		if (fflush(stdout))
			exit(3);
		return;
	case OP_IOCTL: { /* from the owner?, how many bytes can be read, call, bytes */
		size_t size = bytes_from(words + 3);
		size_t readable = words[1];
		char *argument = buffer;
		if (readable < size) { /* the bytes end where the caller's memory ends */
			argument = buffer + sizeof(buffer) - readable;
			memmove(argument, buffer, readable);
		}
		call_as_stranger(!words[0]);
		answer_number(net_ioctl(words[2], argument));
		break;
	}
	case OP_WRITE:
		from = (struct iov_iter){ .at = buffer, .count = bytes_from(words) };
		answer_number(vhost_chr_write_iter(&device, &from));
		break;
	case OP_READ:
		read_message();
		break;
	case OP_TRANSLATE:
		translate();
		break;
	case OP_OBSERVE:
		observe();
		break;
	default:
		exit(4);
	}
	call_as_stranger(false);
	run_workers();
}

int main(void)
{
	static char in[1 << 16], out[1 << 20];
	setvbuf(stdin, in, _IOFBF, sizeof(in));
	setvbuf(stdout, out, _IOFBF, sizeof(out));
	user_memory(buffer, sizeof(buffer));
	for (;;) {
		u64 head[2];
		if (fread(head, sizeof(u64), 2, stdin) != 2)
			return 0;
		count_of_words = head[1];
		if (count_of_words > MOST_WORDS || fread(words, sizeof(u64), count_of_words, stdin) != count_of_words)
			return 2;
		obey(head[0]);
	}
}
