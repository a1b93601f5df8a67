/* What of the shim is not a macro: memory of the caller, iterators, workers. */
#include "shim.h"
#include "harness.h"

u64 user_limit = (1ULL << 47) - 4096;

/* Memory of the caller -------------------------------------------------------------------------------------------- */

struct place { uintptr_t first; size_t size; };
static struct place places[16];
static int places_known;

void user_memory(const void *at, size_t size)
{
	BUG_ON(places_known == ARRAY_SIZE(places));
	places[places_known++] = (struct place){ (uintptr_t)at, size };
}

bool user_range_is_there(const void *at, size_t size)
{
	uintptr_t first = (uintptr_t)at;
	if (size == 0)
		return true;
	for (int i = 0; i < places_known; i++)
		if (first >= places[i].first && first - places[i].first < places[i].size &&
		    size <= places[i].size - (first - places[i].first))
			return true;
	return false;
}

/* Iterators: over one buffer, or over vectors --------------------------------------------------------------------- */

void iov_iter_init(struct iov_iter *iter, unsigned int direction, const struct iovec *vectors, unsigned long segments,
		   size_t count)
{
	(void)direction;
	*iter = (struct iov_iter){ .vectors = vectors, .segments = segments, .count = count };
}

static size_t through(struct iov_iter *iter, char *other, size_t size, bool into)
{
	size = min(size, iter->count);
	BUG_ON(iter->vectors);
	if (other)
		memcpy(into ? iter->at : other, into ? other : iter->at, size);
	iter->at += size;
	iter->count -= size;
	return size;
}

size_t copy_from_iter(void *to, size_t size, struct iov_iter *from) { return through(from, to, size, false); }
size_t copy_to_iter(const void *from, size_t size, struct iov_iter *to) { return through(to, (char *)from, size, true); }
void iov_iter_advance(struct iov_iter *iter, size_t size) { through(iter, NULL, size, false); }

/* Workers --------------------------------------------------------------------------------------------------------- */

static struct mm_struct owners_memory, strangers_memory;
static struct task_struct owner = { &owners_memory, 1 }, stranger = { &strangers_memory, 2 };
struct task_struct *current = &owner;

void call_as_stranger(bool yes) { current = yes ? &stranger : &owner; }

static struct worker {
	bool used;
	int (*function)(void *);
	bool (*once)(void *);
	void *data;
	struct task_struct task;
	struct vhost_task vhost;
} workers[8];

static struct worker *free_worker(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
		if (!workers[i].used) {
			memset(&workers[i], 0, sizeof(workers[i]));
			workers[i].used = true;
			return &workers[i];
		}
	BUG();
}

struct task_struct *new_worker(int (*function)(void *), void *data)
{
	struct worker *one = free_worker();
	one->function = function;
	one->data = data;
	return &one->task;
}

struct vhost_task *new_vhost_task(bool (*function)(void *), void *data)
{
	struct worker *one = free_worker();
	one->once = function;
	one->data = data;
	return &one->vhost;
}

int kthread_stop(struct task_struct *task)
{
	container_of(task, struct worker, task)->used = false;
	return 0;
}

void vhost_task_stop(struct vhost_task *task) { container_of(task, struct worker, vhost)->used = false; }

/* A worker that looks for work without end asks now and then whether to stop: it stops when nothing is left. */
bool kthread_should_stop(void) { return !work_is_left(); }

void run_workers(void)
{
	static bool running;
	if (running)
		return;
	running = true;
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		if (!workers[i].used)
			continue;
		if (workers[i].function)
			workers[i].function(workers[i].data);
		else
			while (workers[i].once(workers[i].data))
				continue;
	}
	running = false;
}

/* What cannot happen here ------------------------------------------------------------------------------------------ */

void said(const char *text, ...) { (void)text; }
void eventfd_signalled(struct eventfd_ctx *to) { to->number++; }
__poll_t vfs_poll(struct file *file, poll_table *table)
{
	(void)file, (void)table;
	return 0;
}

/* The dirty log ---------------------------------------------------------------------------------------------------- */

int pin_user_pages_fast(unsigned long start, int count, unsigned int flags, struct page **pages)
{
	(void)count, (void)flags;
	start &= ~(PAGE_SIZE - 1);
	if (!user_range_is_there((void *)start, PAGE_SIZE))
		return -EFAULT;
	*pages = (struct page *)start;
	return 1;
}

void *kmap_local_page(struct page *page) { return page; }
