/* The fixed part of every program that reproduce.py writes: the steps follow in main(). */
#define UNUSED __attribute__((unused))

/* From Linux 6.8; older headers do not have these. */
struct region2 {
	uint32_t slot, flags;
	uint64_t gpa, size, hva, memfd_offset;
	uint32_t memfd, pad1;
	uint64_t pad2[14];
};
struct guest_memfd {
	uint64_t size, flags, reserved[6];
};

static int kvm, vm, vcpu = -1;
static struct kvm_run *run;
static int files[256];
static uint8_t *bitmap; /* 256 MiB, used as far as needed */
static void *nowhere;	/* memory that nobody may touch */
static uint8_t *code;	/* a page for guest code */

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* Every word of host memory names itself: backing in the upper bits, offset in the lower. */
static void name_words(void)
{
	for (int b = 0; b < BACKINGS; b++)
		for (uint64_t offset = 0; offset < BACKING_BYTES; offset += 4)
			*(uint32_t *)(uintptr_t)(base[b] + offset) = (uint32_t)((uint64_t)b << 28 | offset);
}

static void set_up(void)
{
	kvm = open("/dev/kvm", O_RDWR);
	if (kvm < 0)
		fail("/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		fail("KVM_CREATE_VM");
	for (int b = 0; b < BACKINGS; b++) {
		void *wanted = (void *)(uintptr_t)base[b];

		if (mmap(wanted, BACKING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0) != wanted)
			fail("mmap of host memory");
		madvise(wanted, BACKING_BYTES, MADV_DONTFORK);
	}
	name_words();
	bitmap = mmap(NULL, 1 << 28, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	nowhere = mmap(NULL, 1 << 28, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (bitmap == MAP_FAILED || nowhere == MAP_FAILED || posix_memalign((void **)&code, 4096, 4096) != 0)
		fail("memory");
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		files[i] = -1;
}

static void expect(int step, const char *operation, const char *expected)
{
	printf("%2d %-22s expected %-50s got ", step, operation, expected);
	fflush(stdout);
}

static void print_host(uint64_t host)
{
	for (int b = 0; b < BACKINGS; b++)
		if (host >= base[b] && host < base[b] + BACKING_BYTES) {
			printf("%c+0x%llx", 'A' + b, (unsigned long long)(host - base[b]));
			return;
		}
	printf("0x%llx", (unsigned long long)host);
}

/* Ask the kernel, from a forked child if `stranger`, with a pointer that leads nowhere if `unreadable`. */
static int ask(int stranger, int unreadable, unsigned long request, void *argument)
{
	int result, status;

	if (unreadable)
		argument = nowhere;
	if (!stranger)
		return (result = ioctl(vm, request, argument)) < 0 ? errno : 0;
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0)
		_exit(ioctl(vm, request, argument) < 0 ? errno : 0);
	if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		fail("child");
	return WEXITSTATUS(status);
}

static void print_error(int error)
{
	printf("%s\n", error == 0 ? "ok" : strerrorname_np(error));
}

UNUSED static void set_region(int stranger, int unreadable, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
			      uint64_t hva)
{
	struct kvm_userspace_memory_region region = { slot, flags, gpa, size, hva };

	print_error(ask(stranger, unreadable, KVM_SET_USER_MEMORY_REGION, &region));
}

/* The descriptor for file number `file`: -1 not open, -2 a file of another kind, -3 a file of another VM. */
static int descriptor(int file)
{
	struct guest_memfd create = { .size = 1 << 30 };

	if (file == -2)
		return open("/dev/null", O_RDWR);
	if (file == -3)
		return ioctl(ioctl(kvm, KVM_CREATE_VM, 0), _IOWR(KVMIO, 0xd4, struct guest_memfd), &create);
	return file >= 0 && file < 256 ? files[file] : -1;
}

UNUSED static void set_region2(int stranger, int unreadable, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
			       uint64_t hva, int file, uint64_t offset)
{
	struct region2 region = { slot, flags, gpa, size, hva, offset, 0, 0, { 0 } };

	region.memfd = (uint32_t)descriptor(file);
	print_error(ask(stranger, unreadable, _IOW(KVMIO, 0x49, struct region2), &region));
}

UNUSED static void create_memfd(int stranger, int unreadable, int file, uint64_t size, uint64_t flags)
{
	struct guest_memfd create = { .size = size, .flags = flags };

	if (stranger || unreadable) {
		print_error(ask(stranger, unreadable, _IOWR(KVMIO, 0xd4, struct guest_memfd), &create));
		return;
	}
	int fd = ioctl(vm, _IOWR(KVMIO, 0xd4, struct guest_memfd), &create);
	print_error(fd < 0 ? errno : 0);
	if (fd >= 0 && file < 256)
		files[file] = fd;
}

UNUSED static void enable(int stranger, int unreadable, uint32_t cap, uint32_t flags, uint64_t value)
{
	struct kvm_enable_cap what;

	memset(&what, 0, sizeof(what));
	what.cap = cap;
	what.flags = flags;
	what.args[0] = value;
	print_error(ask(stranger, unreadable, KVM_ENABLE_CAP, &what));
}

UNUSED static void get_dirty_log(int stranger, int unreadable, uint32_t slot, int buffer_ok, uint64_t bytes)
{
	struct kvm_dirty_log log = { .slot = slot };
	const char *word = "pages";
	uint64_t written = bytes + 64;

	memset(bitmap, 0xa6, bytes + 64);
	log.dirty_bitmap = buffer_ok ? (void *)bitmap : nowhere;
	int error = ask(stranger, unreadable, KVM_GET_DIRTY_LOG, &log);
	if (error != 0) {
		print_error(error);
		return;
	}
	while (written > 0 && bitmap[written - 1] == 0xa6)
		written--;
	/* The bytes behind may have been written as what they were: read again over other bytes. */
	if (written != bytes) {
		uint64_t more = bytes + 64;

		memset(bitmap + written, 0x59, more - written);
		if (ask(stranger, unreadable, KVM_GET_DIRTY_LOG, &log) != 0)
			fail("a second KVM_GET_DIRTY_LOG");
		while (more > written && bitmap[more - 1] == 0x59)
			more--;
		memset(bitmap + written, 0xa6, more - written);
		written = more;
	}
	for (uint64_t page = 0, first; page < written * 8; page++) {
		if (!(bitmap[page / 8] >> page % 8 & 1))
			continue;
		first = page;
		while (page + 1 < written * 8 && bitmap[(page + 1) / 8] >> (page + 1) % 8 & 1)
			page++;
		printf("%s %llu-%llu", word, (unsigned long long)first, (unsigned long long)page);
		word = "";
	}
	printf("%s, %llu bytes\n", *word != '\0' ? "no pages" : "", (unsigned long long)written);
	memset(bitmap, 0, bytes + 64);
}

/* Set bits first..last of the bitmap for the next clear_dirty_log. */
UNUSED static void mark(uint64_t first, uint64_t last)
{
	for (; first <= last && first < 1ull << 31; first++)
		bitmap[first / 8] |= (uint8_t)(1u << first % 8);
}

UNUSED static void clear_dirty_log(int stranger, int unreadable, uint32_t slot, int buffer_ok, uint64_t first, uint32_t count)
{
	struct kvm_clear_dirty_log log = { .slot = slot, .num_pages = count, .first_page = first };

	log.dirty_bitmap = buffer_ok ? (void *)bitmap : nowhere;
	print_error(ask(stranger, unreadable, KVM_CLEAR_DIRTY_LOG, &log));
	madvise(bitmap, 1 << 28, MADV_DONTNEED);
}

static void need_vcpu(void)
{
	if (vcpu >= 0)
		return;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		fail("KVM_CREATE_VCPU");
	run = mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		fail("mmap of the virtual CPU");
}

/* Writing MSR 0x11 makes the kernel write 12 bytes of wall clock at this guest address. */
UNUSED static void guest_write(uint64_t gpa)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1 };
	int nothing = 1;

	need_vcpu();
	msrs.entry.index = 0x11;
	msrs.entry.data = gpa;
	for (int b = 0; b < BACKINGS; b++)
		memset((void *)(uintptr_t)base[b], 0xff, BACKING_BYTES);
	if (ioctl(vcpu, KVM_SET_MSRS, &msrs) != 1)
		fail("KVM_SET_MSRS");
	printf("written");
	for (int b = 0; b < BACKINGS; b++)
		for (uint64_t page = base[b]; page < base[b] + BACKING_BYTES; page += 4096) {
			uint64_t first = 4096, last = 0;

			for (uint64_t i = 0; i < 4096; i++)
				if (*(uint8_t *)(uintptr_t)(page + i) != 0xff) {
					first = i < first ? i : first;
					last = i;
				}
			if (first == 4096)
				continue;
			printf(" ");
			print_host(page + first);
			printf("..");
			print_host(page + last);
			nothing = 0;
		}
	printf("%s\n", nothing ? " nothing" : "");
	name_words();
}

static void print_changed_byte(void)
{
	for (int b = 0; b < BACKINGS; b++)
		for (uint64_t offset = 0; offset < BACKING_BYTES; offset++) {
			uint32_t word = (uint32_t)((uint64_t)b << 28 | (offset & ~3ull));

			if (*(uint8_t *)(uintptr_t)(base[b] + offset) != (uint8_t)(word >> 8 * (offset & 3))) {
				print_host(base[b] + offset);
				return;
			}
		}
	printf("nothing");
}

/* Real-mode guest code reads or writes the byte at gpa. Its own page is in a slot that goes away again. */
UNUSED static void vcpu_access(uint64_t gpa, int write, uint64_t code_gpa)
{
	static const uint8_t reading[] = { 0x8a, 0x07, 0x66, 0x8b, 0x0c, 0xf4 }; /* mov al,[bx]; mov ecx,[si]; hlt */
	static const uint8_t writing[] = { 0x88, 0x07, 0xf4 };			 /* mov [bx],al; hlt */
	struct kvm_userspace_memory_region region = { CODE_SLOT, 0, code_gpa, 4096, (uintptr_t)code };
	struct kvm_sregs sregs;
	/* A value that no word has at this byte of its page. */
	uint8_t value = (uint8_t)(gpa % 4 == 3 ? 0xee : gpa % 4 == 2 ? 0xf0 : gpa % 4 == 1 ? 0x0f ^ (gpa >> 8 & 0xf) : 0x03);
	struct kvm_regs regs = { .rflags = 2, .rax = value, .rbx = gpa % 4096, .rsi = gpa % 4096 & ~3ull };

	need_vcpu();
	memcpy(code, write ? writing : reading, write ? sizeof(writing) : sizeof(reading));
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
		fail("slot for guest code");
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) != 0)
		fail("KVM_GET_SREGS");
	sregs.cs.base = code_gpa;
	sregs.cs.selector = (uint16_t)(code_gpa >> 4);
	sregs.ds.base = gpa & ~4095ull;
	sregs.ds.selector = (uint16_t)(gpa >> 4);
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) != 0 || ioctl(vcpu, KVM_SET_REGS, &regs) != 0)
		fail("registers");
	if (ioctl(vcpu, KVM_RUN, NULL) != 0) {
		print_error(errno);
	} else if (run->exit_reason == KVM_EXIT_MMIO) {
		printf("mmio at 0x%llx\n", (unsigned long long)run->mmio.phys_addr);
		run->immediate_exit = 1;
		ioctl(vcpu, KVM_RUN, NULL);
		run->immediate_exit = 0;
	} else if (run->exit_reason == KVM_EXIT_HLT && write) {
		printf("reached ");
		print_changed_byte();
		printf("\n");
	} else if (run->exit_reason == KVM_EXIT_HLT && ioctl(vcpu, KVM_GET_REGS, &regs) == 0) {
		uint32_t word = (uint32_t)regs.rcx;

		printf("reached ");
		print_host(base[word >> 28 & 3] + (word & 0xfffffff) + gpa % 4);
		printf("\n");
	} else {
		printf("exit reason %u\n", run->exit_reason);
	}
	name_words();
	region.memory_size = 0;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
		fail("slot for guest code");
}
