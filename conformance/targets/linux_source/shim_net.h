/* What drivers/vhost/net.c needs of the network: a tap, as far as the kernel's code looks at one.
 *
 * Names and what they promise are the kernel's. What is only there to be compiled, and never runs with this tap
 * (zero copy, batches of packets, packets of XDP), ends the process if it does.
 */
#ifndef GPASPEC_SHIM_NET_H
#define GPASPEC_SHIM_NET_H

#define ETH_ALEN 6
#include <linux/virtio_net.h>

#define never() ({ BUG(); 0; })

/* Sockets */
#define MSG_DONTWAIT 0x40
#define MSG_MORE 0x8000
#define MSG_TRUNC 0x20
#define SOCK_RAW 3
#define AF_PACKET 17
#define SOCK_ZEROCOPY 1
#define SOCK_XDP 2
#ifndef ESOCKTNOSUPPORT
#define ESOCKTNOSUPPORT 94
#endif
struct sk_buff { unsigned int len; struct sk_buff *next; };
struct sk_buff_head { struct sk_buff *first; spinlock_t lock; };
struct sock { int sk_type, sk_family, sk_sndbuf; struct sk_buff_head sk_receive_queue; };
struct msghdr {
	void *msg_name;
	int msg_namelen;
	struct iov_iter msg_iter;
	void *msg_control;
	size_t msg_controllen;
	unsigned int msg_flags;
};
struct socket;
struct proto_ops {
	int (*sendmsg)(struct socket *, struct msghdr *, size_t);
	int (*recvmsg)(struct socket *, struct msghdr *, size_t, int);
	int (*peek_len)(struct socket *);
};
struct socket { struct file *file; struct sock *sk; const struct proto_ops *ops; };
#define sock_flag(sk, flag) 0
#define skb_peek(list) ((list)->first)
#define skb_queue_empty(list) (!(list)->first)
#define skb_vlan_tag_present(skb) 0
#define VLAN_HLEN 4

/* Files: the device's, the tap's, and one that is neither */
struct file { void *private_data; unsigned int f_flags; wait_queue_head_t waiting; struct socket *socket; };
struct inode { int unused; };
struct kiocb { struct file *ki_filp; };
#ifndef O_NONBLOCK
#define O_NONBLOCK 04000
#endif
struct file *file_of(int fd);
#define fget(fd) file_of(fd)
#define fput(file) ((void)(file))
#define sockfd_lookup(fd, error) ((void)(fd), *(error) = -ENOTSOCK, (struct socket *)NULL)
#define sockfd_put(socket) ((void)(socket))
#define tun_get_socket(file) ((file)->socket ? (file)->socket : (struct socket *)ERR_PTR(-EINVAL))
#define tap_get_socket(file) ((struct socket *)ERR_PTR(-EINVAL))
#define tun_get_tx_ring(file) ((struct ptr_ring *)ERR_PTR(-EINVAL))
#define tap_get_ptr_ring(file) ((struct ptr_ring *)ERR_PTR(-EINVAL))
struct file_operations {
	void *owner;
	int (*release)(struct inode *, struct file *);
	ssize_t (*read_iter)(struct kiocb *, struct iov_iter *);
	ssize_t (*write_iter)(struct kiocb *, struct iov_iter *);
	__poll_t (*poll)(struct file *, poll_table *);
	long (*unlocked_ioctl)(struct file *, unsigned int, unsigned long);
	long (*compat_ioctl)(struct file *, unsigned int, unsigned long);
	int (*open)(struct inode *, struct file *);
	void *llseek;
};
#define compat_ptr_ioctl NULL
#define noop_llseek NULL
struct miscdevice { int minor; const char *name; const struct file_operations *fops; };
#define VHOST_NET_MINOR 238
#define misc_register(device) 0
#define misc_deregister(device) ((void)(device))

#define UNROLL(n, macro, args...) macro(0, args) macro(1, args) /* n is 2 wherever it is used */

/* Time: a device that does not poll busily looks at no clock */
#define local_clock() 0ULL
#define time_after(a, b) ((long)((b) - (a)) < 0)
#define migrate_disable() ((void)0)
#define migrate_enable() ((void)0)
#define cpu_relax() ((void)0)

/* Rings of packets, XDP, zero copy: compiled, never run */
struct ptr_ring { int unused; };
#define ptr_ring_consume_batched(ring, array, n) never()
#define ptr_ring_unconsume(ring, batch, n, destroy) ((void)never())
#define tun_is_xdp_frame(pointer) never()
struct xdp_frame { u16 len; };
#define tun_ptr_to_xdp(pointer) ((struct xdp_frame *)(pointer))
#define __skb_array_len_with_tag(skb) never()
struct xdp_buff { void *data, *data_end, *data_meta, *data_hard_start; u32 frame_sz; };
struct skb_shared_info { int unused; };
#define xdp_init_buff(xdp, size, queue) ((void)(xdp))
#define xdp_prepare_buff(xdp, hard_start, headroom, length, meta) ((void)(xdp))
#define XDP_PACKET_HEADROOM 256
#define SKB_DATA_ALIGN(x) (((x) + 63) & ~63UL)
#define SMP_CACHE_BYTES 64
#define ALIGN(x, a) (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define NET_IP_ALIGN 0
#define NET_SKB_PAD 64
#ifndef HAS_SKB_FRAG_PAGE_ORDER
#define SKB_FRAG_PAGE_ORDER 3
#endif
#define get_order(size) 3
#define __GFP_DIRECT_RECLAIM 0
#define __GFP_COMP 0
#define __GFP_NORETRY 0
struct page_frag { struct page *page; u32 offset, size; };
struct page_frag_cache { void *va; };
#define page_frag_alloc_align(cache, size, flags, align) ((void *)(uintptr_t)never())
#define page_frag_free(at) ((void)never())
#define page_frag_cache_init(cache) ((void)(cache))
#define page_frag_cache_drain(cache) ((void)(cache))
#define __page_frag_cache_drain(page, count) ((void)never())
#define alloc_pages(flags, order) ((struct page *)(uintptr_t)never())
#define alloc_page(flags) ((struct page *)(uintptr_t)never())
#define page_ref_add(page, n) ((void)never())
#define page_address(page) ((void *)(page))
#define virt_to_head_page(at) ((struct page *)(at))
#define put_page(page) ((void)never())
#define copy_page_from_iter(page, offset, size, iter) never()
struct tun_xdp_hdr { int buflen; struct virtio_net_hdr gso; };
struct tun_msg_ctl { unsigned short type, num; void *ptr; };
#define TUN_MSG_UBUF 1
#define TUN_MSG_PTR 2
#define tun_ptr_free NULL
typedef struct { int count; } refcount_t;
#define refcount_set(r, n) ((r)->count = (n))
#define refcount_dec_and_test(r) (--(r)->count == 0)
struct ubuf_info;
struct ubuf_info_ops { void (*complete)(struct sk_buff *, struct ubuf_info *, bool); };
struct ubuf_info {
	void *callback;
	const struct ubuf_info_ops *ops;
	refcount_t refcnt;
	u8 flags;
	unsigned long desc;
	void *ctx;
};
struct ubuf_info_msgzc { struct ubuf_info ubuf; unsigned long desc; void *ctx; };
#define uarg_to_msgzc(info) container_of(info, struct ubuf_info_msgzc, ubuf)
#define SKBFL_ZEROCOPY_FRAG 0
#define kfree_rcu(pointer, member) free(pointer)
#define __read_mostly

#endif
