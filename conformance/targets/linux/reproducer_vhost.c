/* The fixed part of every program about vhost that reproduce_vhost.py writes: the steps follow in main(). */
#define UNUSED __attribute__((unused))
#define DATA 4 /* backings; behind them one for rings and one for the dirty log */
#define RINGS 4
#define LOG 5
#define QUEUE_ROOM 0x40000 /* of the backing for rings, for each queue */
#define AVAILABLE 0x10000
#define USED 0x18000
#define PAINT 0xee

static int device, tap, listener, errors[2], kicks[2];
static void *nowhere; /* memory that nobody may touch */
static uint64_t features, log_base;
static int has_log;
static unsigned sizes[2] = { 1, 1 }, slots[2];
static uint16_t offered[2];

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static uint8_t *at(int backing, uint64_t offset)
{
	return (uint8_t *)(uintptr_t)(base[backing] + offset);
}

/* Every word of the data names itself: page, counted from the first backing's, and offset. */
static void name_words(void)
{
	for (uint32_t word = 0; word < DATA * BACKING_BYTES / 4; word++)
		*(uint32_t *)(void *)at((int)(word / (BACKING_BYTES / 4)), word % (BACKING_BYTES / 4) * 4) =
			0x5a000000 + 4 * word;
}

static int packet_socket(unsigned interface, int protocol)
{
	struct sockaddr_ll address = { AF_PACKET, htons((uint16_t)protocol), (int)interface, 0, 0, 0, { 0 } };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, room = 1 << 24;

	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("packet socket");
	return fd;
}

static int sender;

static void make_tap(void)
{
	struct ifreq request;
	int plain = socket(AF_INET, SOCK_DGRAM, 0), header = 12, quiet;

	quiet = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	if (quiet >= 0 && write(quiet, "1", 1) == 1)
		close(quiet);
	memset(&request, 0, sizeof(request));
	strcpy(request.ifr_name, "repro0");
	request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0 || ioctl(tap, TUNSETVNETHDRSZ, &header) != 0)
		fail("tap");
	request.ifr_mtu = 65521;
	ioctl(plain, SIOCSIFMTU, &request);
	request.ifr_flags = IFF_UP | IFF_NOARP;
	if (ioctl(plain, SIOCSIFFLAGS, &request) != 0)
		fail("tap up");
	close(plain);
	listener = packet_socket(if_nametoindex("repro0"), ETH_P_ALL);
	sender = packet_socket(if_nametoindex("repro0"), 0);
}

static void set_up(void)
{
	static const uint8_t start[26] = { [12] = 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

	for (int b = 0; b < BACKINGS; b++) {
		if (mmap(at(b, 0), BACKING_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at(b, 0))
			fail("mmap of host memory");
		madvise(at(b, 0), BACKING_BYTES, MADV_DONTFORK);
	}
	name_words();
	memcpy(at(RINGS, 0xf0000), start, sizeof(start));
	nowhere = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	make_tap();
	device = open("/dev/vhost-net", O_RDWR | O_NONBLOCK);
	if (device < 0)
		fail("/dev/vhost-net");
	for (int queue = 0; queue < 2; queue++) {
		errors[queue] = eventfd(0, EFD_NONBLOCK);
		kicks[queue] = eventfd(0, EFD_NONBLOCK);
	}
}

static void expect(int step, const char *operation, const char *expected)
{
	printf("%2d %-20s expected %-50s got ", step, operation, expected);
	fflush(stdout);
}

static void print_host(uint64_t host)
{
	for (int b = 0; b < BACKINGS; b++)
		if (host >= base[b] && host < base[b] + BACKING_BYTES) {
			printf("%c+0x%llx", "ABCDRL"[b], (unsigned long long)(host - base[b]));
			return;
		}
	printf("0x%llx", (unsigned long long)host);
}

static void print_error(int error)
{
	printf("%s\n", error == 0 ? "ok" : error == EOPNOTSUPP ? "EOPNOTSUPP" : strerrorname_np(error));
}

/* Ask the kernel, from a forked child if `stranger`, with a pointer that leads nowhere if `unreadable`. */
static int ask(int stranger, int unreadable, unsigned long request, void *argument)
{
	int status;

	if (unreadable)
		argument = nowhere;
	if (!stranger)
		return ioctl(device, request, argument) < 0 ? errno : 0;
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0)
		_exit(ioctl(device, request, argument) < 0 ? errno : 0);
	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		fail("child");
	return WEXITSTATUS(status);
}

UNUSED static void set_owner(void)
{
	print_error(ask(0, 0, VHOST_SET_OWNER, NULL));
}

UNUSED static void reset_owner(int stranger)
{
	int error = ask(stranger, 0, VHOST_RESET_OWNER, NULL);

	for (unsigned queue = 0; error == 0 && queue < 2; queue++) {
		memset(at(RINGS, queue * QUEUE_ROOM), 0, USED + 0x8000);
		sizes[queue] = 1;
		slots[queue] = offered[queue] = 0;
	}
	print_error(error);
}

UNUSED static void set_features(int unreadable, uint64_t wanted)
{
	int error = ask(0, unreadable, VHOST_SET_FEATURES, &wanted);

	if (error == 0)
		features = wanted;
	print_error(error);
}

UNUSED static void set_message_features(int unreadable, uint64_t wanted)
{
	print_error(ask(0, unreadable, VHOST_SET_BACKEND_FEATURES, &wanted));
}

UNUSED static void set_mem_table(int stranger, int unreadable, uint32_t padding, int regions_unreadable, unsigned count,
				 const uint64_t (*regions)[3])
{
	/* The table ends where nothing is mapped any more. */
	size_t length = 8 + (regions_unreadable ? 0 : count * 32ul), room = (length + 4095) / 4096 * 4096;
	uint8_t *pages = mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || mprotect(pages + room, 4096, PROT_NONE) != 0)
		fail("memory for a table");
	struct vhost_memory *table = (struct vhost_memory *)(void *)(pages + room - length);
	table->nregions = count;
	table->padding = padding;
	for (unsigned i = 0; !regions_unreadable && i < count; i++)
		table->regions[i] = (struct vhost_memory_region){ regions[i][0], regions[i][1], regions[i][2], 0 };
	print_error(ask(stranger, unreadable, VHOST_SET_MEM_TABLE, table));
	munmap(pages, room + 4096);
}

UNUSED static void set_log_base(int stranger, int unreadable, uint64_t wanted)
{
	int error = ask(stranger, unreadable, VHOST_SET_LOG_BASE, &wanted);

	if (error == 0) {
		has_log = 1;
		log_base = wanted;
	}
	print_error(error);
}

UNUSED static void set_ring_size(int stranger, int unreadable, unsigned queue, unsigned size)
{
	struct vhost_vring_state state = { queue, size };
	int error = ask(stranger, unreadable, VHOST_SET_VRING_NUM, &state);

	if (error == 0 && queue < 2)
		sizes[queue] = size;
	print_error(error);
}

UNUSED static void set_ring_addresses(int stranger, int unreadable, unsigned queue, unsigned flags, uint64_t desc,
				      uint64_t used, uint64_t avail, uint64_t log)
{
	struct vhost_vring_addr addresses = { queue, flags, desc, used, avail, log };

	print_error(ask(stranger, unreadable, VHOST_SET_VRING_ADDR, &addresses));
}

/* A call that fails, and that waits for the device's worker as each of its kind does. */
static void settle(void)
{
	int none = -2;

	ioctl(device, VHOST_SET_LOG_FD, &none);
	ioctl(device, VHOST_SET_LOG_FD, &none);
}

static int watcher = -1;

static void run_begin(int painted)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	uint64_t count;

	if (watcher < 0) {
		watcher = epoll_create1(0);
		epoll_ctl(watcher, EPOLL_CTL_ADD, device, &event);
	}
	epoll_wait(watcher, &event, 1, 0);
	for (int queue = 0; queue < 2; queue++)
		if (read(errors[queue], &count, sizeof(count)) < 0 && errno != EAGAIN)
			fail("eventfd");
	for (int b = 0; painted && b < DATA; b++)
		memset(at(b, 0), PAINT, BACKING_BYTES);
}

static void print_packets(void)
{
	static uint8_t frame[70000];
	ssize_t length;

	while ((length = recv(listener, frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
		uint64_t digest = 0xcbf29ce484222325;
		unsigned header = features & (1ull << 32 | 1 << 15) ? 12 : 10;

		for (ssize_t i = -(ssize_t)header; i < length; i++)
			digest = (digest ^ (i < 0 ? 0 : frame[i])) * 0x100000001b3;
		printf(" packet of %zd bytes %llx;", length + (ssize_t)header, (unsigned long long)digest);
	}
}

/* Where memory changed. Bytes 10 and 11 of a packet are not written by every kernel. */
static void print_written(int painted)
{
	for (int b = 0; painted && b < DATA; b++)
		for (uint64_t i = 0, from; i < BACKING_BYTES; i++) {
			if (*at(b, i) == PAINT)
				continue;
			for (from = i; i < BACKING_BYTES; i++)
				if (*at(b, i) == PAINT && !(i == from + 10 && i + 2 < BACKING_BYTES && *at(b, i + 2) != PAINT) &&
				    i != from + 11)
					break;
			printf(" written ");
			print_host(base[b] + from);
			printf(" %llu bytes;", (unsigned long long)(i - from));
		}
	if (painted)
		name_words();
}

static void print_marked(void)
{
	uint64_t offset = log_base - base[LOG];

	for (uint64_t bit = 0; has_log && offset < BACKING_BYTES && bit < (BACKING_BYTES - offset) * 8; bit++) {
		uint8_t *byte = at(LOG, offset + bit / 8);

		if (bit % 8 == 0 && *byte == 0) {
			bit += 7;
		} else if (*byte >> bit % 8 & 1) {
			printf(" page %llu;", (unsigned long long)bit);
			*byte &= (uint8_t)~(1u << bit % 8);
		}
	}
}

static void run_end(int painted)
{
	struct epoll_event event;
	uint64_t count;

	settle();
	printf("ran:");
	print_packets();
	print_written(painted);
	for (int queue = 0; queue < 2; queue++)
		if (read(errors[queue], &count, sizeof(count)) > 0)
			printf(" error;");
	if (epoll_wait(watcher, &event, 1, 0) > 0)
		printf(" miss;");
	print_marked();
	printf("\n");
}

UNUSED static void set_backend(int stranger, int unreadable, unsigned queue, int kind)
{
	static int other = -1;

	if (other < 0)
		other = open("/dev/null", O_RDWR);
	struct vhost_vring_file backend = { queue, kind == 0 ? tap : kind == 1 ? -1 : other };
	if (kind == 0 && queue < 2) {
		struct vhost_vring_file kick = { queue, kicks[queue] }, error = { queue, errors[queue] };
		uint64_t count;

		if (read(kicks[queue], &count, sizeof(count)) < 0 && errno != EAGAIN)
			fail("eventfd");
		ioctl(device, VHOST_SET_VRING_KICK, &kick);
		ioctl(device, VHOST_SET_VRING_ERR, &error);
	}
	run_begin(0);
	int error = ask(stranger, unreadable, VHOST_NET_SET_BACKEND, &backend);
	settle();
	if (error == 0)
		run_end(0);
	else
		print_error(error);
}

UNUSED static void write_message(uint32_t framing, unsigned length, uint8_t kind, uint64_t iova, uint64_t size,
				 uint64_t uaddr, uint8_t perm, uint32_t asid)
{
	static union {
		struct vhost_msg_v2 message;
		uint8_t bytes[4096];
	} buffer;

	memset(&buffer, 0, sizeof(buffer));
	buffer.message.type = framing;
	buffer.message.asid = asid;
	buffer.message.iotlb = (struct vhost_iotlb_msg){ iova, size, uaddr, perm, kind };
	run_begin(0);
	ssize_t taken = write(device, &buffer, length < sizeof(buffer) ? length : sizeof(buffer));
	if (taken < 0) {
		print_error(errno);
		return;
	}
	printf("%zd bytes taken, ", taken);
	run_end(0);
}

UNUSED static void read_message(unsigned length)
{
	struct vhost_msg_v2 message;
	ssize_t got = read(device, &message, length < sizeof(message) ? length : sizeof(message));

	if (got < 0)
		print_error(errno);
	else if (got == 0)
		printf("nothing\n");
	else
		printf("miss of 0x%llx, access %u, framing %u\n", (unsigned long long)message.iotlb.iova,
		       message.iotlb.perm, message.type);
}

/* A descriptor as {address, length, bits, place of its table}; bits as in the flat form of vectors. */
typedef const uint64_t (*descriptors)[4];

static descriptors behind(descriptors one)
{
	descriptors next = one + 1;

	for (uint64_t i = 0; i < (*one)[2] >> 16; i++)
		next = behind(next);
	return next;
}

static void write_descriptor(struct vring_desc *where, descriptors one, int has_next, unsigned next)
{
	uint64_t bits = (*one)[2];
	descriptors inner = one + 1;

	*where = (struct vring_desc){ (*one)[0], (uint32_t)(*one)[1],
				      (uint16_t)((bits & 1 ? 2 : 0) | (bits & 2 ? 4 : 0) | has_next), (uint16_t)next };
	for (uint64_t i = 0, count = bits >> 16; i < count; i++, inner = behind(inner))
		write_descriptor((struct vring_desc *)(uintptr_t)(*one)[3] + i, inner, i + 1 < count, (unsigned)i + 1);
}

UNUSED static void offer(unsigned queue, unsigned numbers, descriptors chain)
{
	struct vring_desc *table = (struct vring_desc *)(void *)at(RINGS, queue * QUEUE_ROOM);
	struct vring_avail *available = (struct vring_avail *)(void *)at(RINGS, queue * QUEUE_ROOM + AVAILABLE);

	available->ring[offered[queue] % sizes[queue]] = (uint16_t)slots[queue];
	for (descriptors one = chain; one < chain + numbers; one = behind(one)) {
		unsigned next = (slots[queue] + 1) % sizes[queue];

		write_descriptor(&table[slots[queue]], one, behind(one) < chain + numbers, next);
		slots[queue] = next;
	}
	__atomic_store_n(&available->idx, ++offered[queue], __ATOMIC_SEQ_CST);
}

UNUSED static void kick(unsigned queue, int painted)
{
	uint64_t one = 1;

	run_begin(painted);
	if (queue < 2 && write(kicks[queue], &one, sizeof(one)) != sizeof(one))
		fail("kick");
	run_end(painted);
}

UNUSED static void packet(unsigned length)
{
	static uint8_t frame[70000];

	memset(frame, 0x77, sizeof(frame));
	run_begin(1);
	if (send(sender, frame, length - (features & (1ull << 32 | 1 << 15) ? 12 : 10), 0) < 0)
		fail("send");
	run_end(1);
}
