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

/* Iterators: over one buffer of ours, or over vectors of the caller's memory. In the latter, `at` counts the bytes of
 * the first vector that are behind it.
 */

void iov_iter_init(struct iov_iter *iter, unsigned int direction, const struct iovec *vectors, unsigned long segments,
		   size_t count)
{
	(void)direction;
	*iter = (struct iov_iter){ .vectors = vectors, .segments = segments, .count = count };
}

static size_t step_on(struct iov_iter *iter, char *other, size_t size, bool into)
{
	char *here = iter->at;
	if (iter->vectors) {
		while (iter->segments && (size_t)iter->at == iter->vectors->iov_len) {
			iter->vectors++;
			iter->segments--;
			iter->at = NULL;
		}
		size = min(size, iter->segments ? iter->vectors->iov_len - (size_t)iter->at : 0);
		here = (char *)iter->vectors->iov_base + (size_t)iter->at;
		if (other && size && !user_range_is_there(here, size))
			return 0;
	}
	if (other)
		memcpy(into ? here : other, into ? other : here, size);
	iter->at += size;
	iter->count -= size;
	return size;
}

static size_t through(struct iov_iter *iter, char *other, size_t size, bool into)
{
	size_t done = 0;
	for (size_t left = min(size, iter->count), step; left; left -= step, done += step) {
		step = step_on(iter, other ? other + done : NULL, left, into);
		if (!step)
			break;
	}
	return done;
}

size_t copy_from_iter(void *to, size_t size, struct iov_iter *from) { return through(from, to, size, false); }
size_t copy_to_iter(const void *from, size_t size, struct iov_iter *to) { return through(to, (char *)from, size, true); }
void iov_iter_advance(struct iov_iter *iter, size_t size) { through(iter, NULL, size, false); }

/* Who waits -------------------------------------------------------------------------------------------------------- */

void add_wait_queue(wait_queue_head_t *head, wait_queue_entry_t *entry)
{
	entry->next = head->first;
	head->first = entry;
}

void remove_wait_queue(wait_queue_head_t *head, wait_queue_entry_t *entry)
{
	for (wait_queue_entry_t **at = &head->first; *at; at = &(*at)->next)
		if (*at == entry) {
			*at = entry->next;
			return;
		}
}

void tell_waiting(wait_queue_head_t *head, __poll_t events)
{
	wait_queue_entry_t *next;
	for (wait_queue_entry_t *one = head->first; one; one = next) {
		next = one->next;
		one->func(one, 0, 0, poll_to_key(events));
	}
}

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

/* The dirty log ---------------------------------------------------------------------------------------------------- */

#define MOST_LOGGED 4096
static unsigned long logged[MOST_LOGGED]; /* pages of the log that were written to */
static size_t pages_logged;

int pin_user_pages_fast(unsigned long start, int count, unsigned int flags, struct page **pages)
{
	(void)count, (void)flags;
	start &= ~(PAGE_SIZE - 1);
	if (!user_range_is_there((void *)start, PAGE_SIZE))
		return -EFAULT;
	*pages = (struct page *)start;
	for (size_t i = 0; i < pages_logged; i++)
		if (logged[i] == start)
			return 1;
	BUG_ON(pages_logged == MOST_LOGGED);
	logged[pages_logged++] = start;
	return 1;
}

void *kmap_local_page(struct page *page) { return page; }

static int by_address(const void *one, const void *other)
{
	unsigned long a = *(const unsigned long *)one, b = *(const unsigned long *)other;
	return a < b ? -1 : a > b;
}

size_t pages_marked(u64 base, u64 *marks, size_t room)
{
	size_t found = 0;
	qsort(logged, pages_logged, sizeof(logged[0]), by_address);
	for (size_t i = 0; i < pages_logged; i++) {
		u8 *bytes = (u8 *)logged[i];
		for (size_t at = 0; at < PAGE_SIZE; at++)
			for (int bit = 0; bytes[at] && bit < 8; bit++) {
				if (!(bytes[at] >> bit & 1))
					continue;
				u64 page = (logged[i] + at - base) * 8 + bit;
				if (found && marks[found - 1] + 1 == page) {
					marks[found - 1] = page;
				} else {
					BUG_ON(found + 2 > room);
					marks[found++] = page;
					marks[found++] = page;
				}
			}
		memset(bytes, 0, PAGE_SIZE);
	}
	pages_logged = 0;
	return found;
}
