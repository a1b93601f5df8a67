/* What the kernel's files need of the rest of the kernel, for a process of one thread in user space.
 *
 * Included before each of them, in place of every kernel header that is not taken from the kernel. Names and what they
 * promise are the kernel's; how they keep it is ours. Where nothing can happen at once, locks are nothing. The device's
 * worker does not run beside its callers: `run_workers` lets it work until nothing is left.
 */
#ifndef GPASPEC_SHIM_H
#define GPASPEC_SHIM_H

#define _GNU_SOURCE
#include <asm-generic/ioctl.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* Types and the compiler */
typedef unsigned char u8, __u8;
typedef unsigned short u16, __u16;
typedef unsigned int u32, __u32;
typedef unsigned long long u64, __u64;
typedef signed char s8, __s8;
typedef short s16, __s16;
typedef int s32, __s32;
typedef long long s64, __s64;
typedef __u16 __le16, __be16, __virtio16;
typedef __u32 __le32, __be32, __virtio32;
typedef __u64 __le64, __be64, __virtio64;
typedef unsigned int gfp_t, __poll_t, __wsum;
typedef unsigned int umode_t;
#define __user
#define __rcu
#define __init
#define __exit
#define __iomem
#define __force
#define __bitwise
#define __maybe_unused __attribute__((unused))
#define __must_check
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define __packed __attribute__((packed))
#define __attribute_const__ __attribute__((const))
#define __counted_by(member)
#define __acquires(x)
#define __releases(x)
#define fallthrough __attribute__((fallthrough))
#define unrolled
#define unrolled_count(n)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" ::: "memory")
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define smp_mb() barrier()
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
#define __struct_group(TAG, NAME, ATTRIBUTES, MEMBERS...) \
	union { \
		struct { MEMBERS } ATTRIBUTES; \
		struct TAG { MEMBERS } ATTRIBUTES NAME; \
	}
#define __DECLARE_FLEX_ARRAY(type, name) struct { struct { } empty_##name; type name[]; }
#define DECLARE_FLEX_ARRAY(type, name) __DECLARE_FLEX_ARRAY(type, name)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)
#define BUG() do { fprintf(stderr, "BUG at %s:%d\n", __FILE__, __LINE__); abort(); } while (0)
#define BUG_ON(condition) do { if (unlikely(condition)) BUG(); } while (0)
#define WARN_ON(condition) ({ bool wrong_ = !!(condition); \
	if (wrong_) { fprintf(stderr, "WARN at %s:%d\n", __FILE__, __LINE__); abort(); } wrong_; })
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define WARN(condition, ...) WARN_ON(condition)
#define min_t(type, a, b) ({ type a_ = (a); type b_ = (b); a_ < b_ ? a_ : b_; })
#define max_t(type, a, b) ({ type a_ = (a); type b_ = (b); a_ > b_ ? a_ : b_; })
#define min(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ __typeof__(a) a_ = (a); __typeof__(b) b_ = (b); a_ > b_ ? a_ : b_; })
#define swap(a, b) do { __typeof__(a) a_ = (a); (a) = (b); (b) = a_; } while (0)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define BIT_ULL(n) (1ULL << (n))
#define BIT(n) (1UL << (n))
#define struct_size(p, member, count) (sizeof(*(p)) + sizeof((p)->member[0]) * (count))
#define flex_array_size(p, member, count) (sizeof((p)->member[0]) * (count))
#define size_add(a, b) ((size_t)(a) + (size_t)(b))
#define size_mul(a, b) ((size_t)(a) * (size_t)(b))
#define array_index_nospec(index, size) (index)
#define lower_32_bits(n) ((u32)(n))
#define PAGE_SIZE 4096UL
#define PAGE_SHIFT 12
#define BITS_PER_LONG 64
#define U64_MAX 0xffffffffffffffffULL
#ifndef INT_MAX
#define INT_MAX 0x7fffffff
#endif
#define U32_MAX 0xffffffffU

/* Modules and messages */
#define THIS_MODULE NULL
#define EXPORT_SYMBOL(name)
#define EXPORT_SYMBOL_GPL(name)
#define MODULE_VERSION(x)
#define MODULE_LICENSE(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_ALIAS(x)
#define MODULE_ALIAS_MISCDEV(x)
#define MODULE_PARM_DESC(name, text)
#define module_param(name, type, permissions)
#define module_init(function)
#define module_exit(function)
#ifndef pr_fmt
#define pr_fmt(text) text
#endif
void said(const char *text, ...) __attribute__((format(printf, 1, 2)));
#define pr_debug(...) said(__VA_ARGS__)
#define pr_err(...) said(__VA_ARGS__)
#define pr_warn(...) said(__VA_ARGS__)
#define pr_info(...) said(__VA_ARGS__)

/* Errors that user space never sees */
#define ERESTARTSYS 512
#define ENOIOCTLCMD 515
#define MAX_ERRNO 4095
static inline void *ERR_PTR(long error) { return (void *)error; }
static inline long PTR_ERR(const void *pointer) { return (long)pointer; }
static inline bool IS_ERR(const void *pointer) { return (unsigned long)pointer >= (unsigned long)-MAX_ERRNO; }
static inline bool IS_ERR_OR_NULL(const void *pointer) { return !pointer || IS_ERR(pointer); }

/* Memory */
#define GFP_KERNEL 0
#define GFP_ATOMIC 0
#define GFP_KERNEL_ACCOUNT 0
#define __GFP_RETRY_MAYFAIL 0
#define __GFP_ZERO 0
#define __GFP_NOWARN 0
#define kmalloc(size, flags) malloc(size)
#define kzalloc(size, flags) calloc(1, size)
#define kvzalloc(size, flags) calloc(1, size)
#define kmalloc_array(n, size, flags) calloc(n, size)
#define kcalloc(n, size, flags) calloc(n, size)
#define kvmalloc(size, flags) malloc(size)
#define kvmalloc_array(n, size, flags) calloc(n, size)
#define kfree(pointer) free((void *)(pointer))
#define kvfree(pointer) free((void *)(pointer))
#define vmalloc(size) malloc(size)
#define vfree(pointer) free(pointer)
#define kmalloc_obj(object, ...) ((__typeof__(object) *)malloc(sizeof(object)))
#define kzalloc_obj(object, ...) ((__typeof__(object) *)calloc(1, sizeof(object)))
#define kmalloc_objs(object, n, ...) ((__typeof__(object) *)calloc(n, sizeof(object)))
#define kzalloc_objs(object, n, ...) ((__typeof__(object) *)calloc(n, sizeof(object)))
#define kvmalloc_flex(object, member, n, ...) ((__typeof__(object) *)malloc(struct_size(&(object), member, n)))
#define kvzalloc_flex(object, member, n, ...) ((__typeof__(object) *)calloc(1, struct_size(&(object), member, n)))
#define kmalloc_flex(object, member, n, ...) ((__typeof__(object) *)malloc(struct_size(&(object), member, n)))
#define kvmalloc_obj(object, ...) kmalloc_obj(object)
#define kvzalloc_obj(object, ...) kzalloc_obj(object)

/* Memory of the caller: what is given by `user_memory`, and nothing else */
extern u64 user_limit;
bool user_range_is_there(const void *at, size_t size);
#define access_ok(at, size) ((u64)(size) <= user_limit && (u64)(uintptr_t)(at) <= user_limit - (u64)(size))
static inline unsigned long copy_from_user(void *to, const void *from, unsigned long size)
{
	if (!access_ok(from, size) || !user_range_is_there(from, size))
		return size;
	memcpy(to, from, size);
	return 0;
}
static inline unsigned long copy_to_user(void *to, const void *from, unsigned long size)
{
	if (!access_ok(to, size) || !user_range_is_there(to, size))
		return size;
	memcpy(to, from, size);
	return 0;
}
#define __copy_from_user(to, from, size) copy_from_user(to, from, size)
#define __copy_to_user(to, from, size) copy_to_user(to, from, size)
#define clear_user(to, size) (user_range_is_there(to, size) ? (memset(to, 0, size), 0UL) : (unsigned long)(size))
#define get_user(value, from) ({ __typeof__(*(from)) got_; \
	int wrong_ = copy_from_user(&got_, from, sizeof(got_)) ? -EFAULT : 0; \
	if (!wrong_) (value) = got_; wrong_; })
#define put_user(value, to) ({ __typeof__(*(to)) put_ = (value); \
	copy_to_user(to, &put_, sizeof(put_)) ? -EFAULT : 0; })
#define __get_user(value, from) get_user(value, from)
#define __put_user(value, to) put_user(value, to)
#define u64_to_user_ptr(value) ((void *)(uintptr_t)(value))
#define UIO_MAXIOV 1024

/* Lists */
struct list_head { struct list_head *next, *prev; };
struct hlist_head { struct hlist_node *first; };
struct hlist_node { struct hlist_node *next, **pprev; };
#define LIST_HEAD_INIT(name) { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)
static inline void INIT_LIST_HEAD(struct list_head *list) { list->next = list->prev = list; }
static inline void link_between(struct list_head *new, struct list_head *before, struct list_head *after)
{
	new->prev = before;
	new->next = after;
	before->next = new;
	after->prev = new;
}
static inline void list_add(struct list_head *new, struct list_head *head) { link_between(new, head, head->next); }
static inline void list_add_tail(struct list_head *new, struct list_head *head) { link_between(new, head->prev, head); }
static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = entry->prev = NULL;
}
static inline bool list_empty(const struct list_head *head) { return head->next == head; }
#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_next_entry(at, member) list_entry((at)->member.next, __typeof__(*(at)), member)
#define list_for_each_entry(at, head, member) \
	for (at = list_first_entry(head, __typeof__(*at), member); &at->member != (head); at = list_next_entry(at, member))
#define list_for_each_entry_safe(at, then, head, member) \
	for (at = list_first_entry(head, __typeof__(*at), member), then = list_next_entry(at, member); \
	     &at->member != (head); at = then, then = list_next_entry(then, member))

struct llist_node { struct llist_node *next; };
struct llist_head { struct llist_node *first; };
static inline void init_llist_head(struct llist_head *list) { list->first = NULL; }
static inline bool llist_empty(const struct llist_head *list) { return !list->first; }
static inline bool llist_add(struct llist_node *new, struct llist_head *list)
{
	bool was_empty = !list->first;
	new->next = list->first;
	list->first = new;
	return was_empty;
}
static inline struct llist_node *llist_del_all(struct llist_head *list)
{
	struct llist_node *first = list->first;
	list->first = NULL;
	return first;
}
static inline struct llist_node *llist_reverse_order(struct llist_node *from)
{
	struct llist_node *turned = NULL;
	while (from) {
		struct llist_node *next = from->next;
		from->next = turned;
		turned = from;
		from = next;
	}
	return turned;
}
#define llist_entry(pointer, type, member) container_of(pointer, type, member)
#define llist_entry_or_null(pointer, type, member) ({ struct llist_node *node_ = (pointer); \
	node_ ? llist_entry(node_, type, member) : (type *)NULL; })
#define llist_for_each_entry_safe(at, then, node, member) \
	for (at = llist_entry_or_null(node, __typeof__(*at), member); \
	     at && (then = llist_entry_or_null(at->member.next, __typeof__(*at), member), true); at = then)

/* One thread: locks are nothing */
struct mutex { int unused; };
typedef struct { int unused; } spinlock_t;
#define mutex_init(lock) ((void)(lock))
#define mutex_lock(lock) ((void)(lock))
#define mutex_lock_nested(lock, level) ((void)(lock))
#define mutex_trylock(lock) ((void)(lock), 1)
#define mutex_unlock(lock) ((void)(lock))
#define spin_lock_init(lock) ((void)(lock))
#define spin_lock(lock) ((void)(lock))
#define spin_unlock(lock) ((void)(lock))
#define spin_lock_irqsave(lock, flags) ((void)(lock), (flags) = 0)
#define spin_unlock_irqrestore(lock, flags) ((void)(lock), (void)(flags))
#define lockdep_is_held(lock) 1
#define preempt_disable() ((void)0)
#define preempt_enable() ((void)0)
#define rcu_read_lock() ((void)0)
#define rcu_read_unlock() ((void)0)
#define rcu_read_lock_bh() ((void)0)
#define rcu_read_unlock_bh() ((void)0)
#define synchronize_rcu() ((void)0)
#define rcu_assign_pointer(pointer, value) ((pointer) = (value))
#define rcu_dereference(pointer) (pointer)
#define rcu_dereference_raw(pointer) (pointer)
#define rcu_dereference_check(pointer, condition) (pointer)
#define rcu_dereference_protected(pointer, condition) (pointer)
struct callback_head { struct callback_head *next; };
#define rcu_head callback_head
typedef struct { int counter; } atomic_t;
#define atomic_read(a) ((a)->counter)
#define atomic_set(a, value) ((a)->counter = (value))
#define atomic_inc(a) ((void)(a)->counter++)
#define atomic_sub_return(n, a) ((a)->counter -= (n))
#define atomic_dec_and_test(a) (--(a)->counter == 0)
static inline void set_bit(int n, unsigned long *word) { word[n / 64] |= 1UL << n % 64; }
static inline void clear_bit(int n, unsigned long *word) { word[n / 64] &= ~(1UL << n % 64); }
static inline bool test_bit(int n, const unsigned long *word) { return word[n / 64] >> n % 64 & 1; }
static inline bool test_and_set_bit(int n, unsigned long *word)
{
	bool was = test_bit(n, word);
	set_bit(n, word);
	return was;
}

/* Tasks: the caller, and a worker that works when it is let */
struct mm_struct { int unused; };
struct task_struct { struct mm_struct *mm; int pid; };
extern struct task_struct *current;
#define TASK_COMM_LEN 16
#define TASK_INTERRUPTIBLE 1
#define TASK_RUNNING 0
#define set_current_state(state) ((void)(state))
#define __set_current_state(state) ((void)(state))
#define get_task_mm(task) ((task)->mm)
#define mmget(mm) ((void)(mm))
#define mmput(mm) ((void)(mm))
#define mmgrab(mm) ((void)(mm))
#define mmdrop(mm) ((void)(mm))
#define kthread_use_mm(mm) ((void)(mm))
#define kthread_unuse_mm(mm) ((void)(mm))
#define signal_pending(task) 0
#define need_resched() 0
#define cond_resched() ((void)0)
#define schedule() ((void)0)
struct completion { int done; };
void run_workers(void);
#define init_completion(completion) ((completion)->done = 0)
#define complete(completion) ((void)((completion)->done++))
#define wait_for_completion(completion) do { run_workers(); BUG_ON(!(completion)->done); } while (0)
struct task_struct *new_worker(int (*function)(void *), void *data);
#define kthread_create(function, data, ...) new_worker(function, data)
bool kthread_should_stop(void);
int kthread_stop(struct task_struct *task);
#define wake_up_process(task) ((void)(task))
#define cgroup_attach_task_all(from, task) 0
struct kcov_common_handle_id { u64 number; };
#ifdef KCOV_HANDLE_IS_A_STRUCT
#define kcov_common_handle() ((struct kcov_common_handle_id){ 0 })
#else
#define kcov_common_handle() 0
#endif
#define kcov_remote_start_common(handle) ((void)(handle))
#define kcov_remote_stop() ((void)0)
struct vhost_task { bool (*function)(void *); void *data; };
struct vhost_task *new_vhost_task(bool (*function)(void *), void *data);
#define vhost_task_create(function, killed, data, name) new_vhost_task(function, data)
#define vhost_task_start(task) ((void)(task))
#define vhost_task_wake(task) ((void)(task))
void vhost_task_stop(struct vhost_task *task);

/* Waiting and polling: who waits is told when something comes */
struct wait_queue_entry;
typedef int (*wait_queue_func_t)(struct wait_queue_entry *, unsigned int, int, void *);
typedef struct wait_queue_entry { wait_queue_func_t func; struct wait_queue_entry *next; } wait_queue_entry_t;
typedef struct { struct wait_queue_entry *first; } wait_queue_head_t;
struct file;
struct poll_table_struct;
typedef void (*poll_queue_proc)(struct file *, wait_queue_head_t *, struct poll_table_struct *);
typedef struct poll_table_struct { poll_queue_proc proc; } poll_table;
#define init_waitqueue_head(head) ((head)->first = NULL)
#define init_waitqueue_func_entry(entry, function) ((entry)->func = (function))
#define init_poll_funcptr(table, function) ((table)->proc = (function))
void add_wait_queue(wait_queue_head_t *head, wait_queue_entry_t *entry);
void remove_wait_queue(wait_queue_head_t *head, wait_queue_entry_t *entry);
void tell_waiting(wait_queue_head_t *head, __poll_t events);
#define DEFINE_WAIT(name) wait_queue_entry_t name = { 0 }
#define prepare_to_wait(head, entry, state) ((void)(entry))
#define finish_wait(head, entry) ((void)(entry))
#define wake_up_interruptible_poll(head, events) message_was_queued()
void message_was_queued(void);
#define wake_up(head) ((void)(head))
#define wait_event(head, condition) BUG_ON(!(condition))
#define poll_wait(file, head, table) ((void)(file))
#define key_to_poll(key) ((__poll_t)(uintptr_t)(key))
#define poll_to_key(poll) ((void *)(uintptr_t)(poll))
#define EPOLLIN 1
#define EPOLLOUT 4
#define EPOLLERR 8
#define EPOLLRDNORM 64
__poll_t vfs_poll(struct file *file, poll_table *table);

/* Files and signals to userspace */
struct eventfd_ctx { int number; };
void eventfd_signalled(struct eventfd_ctx *to);
#define eventfd_signal(to, ...) eventfd_signalled(to)
#define eventfd_ctx_fdget(fd) ((struct eventfd_ctx *)ERR_PTR(-EBADF))
#define eventfd_ctx_put(context) ((void)(context))
#define eventfd_fget(fd) ((struct file *)ERR_PTR(-EBADF))
#define VHOST_FILE_UNBIND -1
struct irq_bypass_producer { void *token; int irq; };

/* Indexed workers */
#define XA_FLAGS_ALLOC 0
#define XA_PRESENT 0
#define xa_limit_32b 0
struct xarray { void *entries[8]; };
#define xa_init_flags(array, flags) memset(array, 0, sizeof(*(array)))
#define xa_destroy(array) memset(array, 0, sizeof(*(array)))
#define xa_erase(array, index) ((array)->entries[index] = NULL)
#define xa_find(array, index, most, filter) ((array)->entries[*(index) % 8])
static inline int xa_alloc(struct xarray *array, u32 *id, void *entry, int limit, gfp_t flags)
{
	for (u32 i = 0; i < 8; i++)
		if (!array->entries[i]) {
			array->entries[i] = entry;
			*id = i;
			return 0;
		}
	return -EBUSY;
}
#define xa_for_each(array, index, entry) \
	for (index = 0; index < 8; index++) \
		if (((entry) = (array)->entries[index]))

/* Iterators over a caller's buffer */
struct iov_iter { char *at; size_t count; const struct iovec *vectors; unsigned long segments; };
#define ITER_SOURCE 1
#define ITER_DEST 0
#ifndef WRITE
#define READ 0
#define WRITE 1
#endif
void iov_iter_init(struct iov_iter *iter, unsigned int direction, const struct iovec *vectors, unsigned long segments,
		   size_t count);
size_t copy_from_iter(void *to, size_t size, struct iov_iter *from);
size_t copy_to_iter(const void *from, size_t size, struct iov_iter *to);
void iov_iter_advance(struct iov_iter *iter, size_t size);
static inline size_t iov_iter_count(const struct iov_iter *iter) { return iter->count; }
static inline bool copy_from_iter_full(void *to, size_t size, struct iov_iter *from)
{
	return copy_from_iter(to, size, from) == size;
}
static inline size_t iov_length(const struct iovec *vectors, unsigned long segments)
{
	size_t sum = 0;
	for (unsigned long i = 0; i < segments; i++)
		sum += vectors[i].iov_len;
	return sum;
}

/* Little endian everywhere */
#define virtio_legacy_is_little_endian() 1
#define __virtio16_to_cpu(little, value) (value)
#define __cpu_to_virtio16(little, value) (value)
#define __virtio32_to_cpu(little, value) (value)
#define __cpu_to_virtio32(little, value) (value)
#define __virtio64_to_cpu(little, value) (value)
#define __cpu_to_virtio64(little, value) (value)
#define cpu_to_le16(value) (value)
#define virtio_rmb(weak) barrier()

/* Feature words of more than 64 bits (later kernels) */
#define VIRTIO_FEATURES_U64S 2
#define VIRTIO_FEATURES_BITS 128
#define VIRTIO_U64(bit) ((bit) >> 6)
#define VIRTIO_BIT(bit) (1ULL << ((bit) & 63))
#define VIRTIO_DECLARE_FEATURES(name) union { u64 name; u64 name##_array[VIRTIO_FEATURES_U64S]; }
static inline bool virtio_features_chk_bit(unsigned int bit) { return bit < VIRTIO_FEATURES_BITS; }
static inline bool virtio_features_test_bit(const u64 *features, unsigned int bit)
{
	return features[VIRTIO_U64(bit)] & VIRTIO_BIT(bit);
}
static inline void virtio_features_zero(u64 *features) { memset(features, 0, VIRTIO_FEATURES_U64S * sizeof(u64)); }
static inline void virtio_features_from_u64(u64 *features, u64 word)
{
	virtio_features_zero(features);
	features[0] = word;
}
static inline void virtio_features_copy(u64 *to, const u64 *from) { memcpy(to, from, VIRTIO_FEATURES_U64S * sizeof(u64)); }

/* Pages: only the dirty log writes to the caller's pages through them */
struct page { int unused; };
int pin_user_pages_fast(unsigned long start, int count, unsigned int flags, struct page **pages);
#define FOLL_WRITE 1
#define unpin_user_pages_dirty_lock(pages, count, dirty) ((void)(pages))
#define set_page_dirty_lock(page) ((void)(page))
void *kmap_local_page(struct page *page);
#define kmap_atomic(page) kmap_local_page(page)
#define kunmap_local(at) ((void)(at))
#define kunmap_atomic(at) ((void)(at))
#define sort(base, count, size, compare, swap) qsort(base, count, size, compare)

#endif
