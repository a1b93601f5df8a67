#include "tap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#define HEADER 12

int tap_fd = -1, tap_listener = -1;
static int sender = -1;
static uint8_t buffer[LONGEST_FRAME + HEADER + 1];

static int packet_socket(unsigned interface, uint16_t protocol)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(protocol),
		.sll_ifindex = (int)interface,
	};
	int one = 1, room = 64 << 20;

	if (fd < 0)
		return -1;
	/* Our own frames are no news, they go straight to the tap, and none gets lost. */
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

const char *tap_open(void)
{
	struct ifreq request;
	int plain = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	tap_fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap_fd < 0)
		return "/dev/net/tun cannot be opened";
	memset(&request, 0, sizeof(request));
	strcpy(request.ifr_name, "gpa0");
	request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(tap_fd, TUNSETIFF, &request) != 0)
		return "no tap can be made";
	tap_header(HEADER);
	request.ifr_mtu = LONGEST_FRAME - ETH_HLEN;
	if (plain < 0 || ioctl(plain, SIOCSIFMTU, &request) != 0)
		return "the tap's MTU cannot be set";
	request.ifr_flags = IFF_UP | IFF_NOARP;
	if (ioctl(plain, SIOCSIFFLAGS, &request) != 0)
		return "the tap cannot be brought up";
	close(plain);
	unsigned interface = if_nametoindex(request.ifr_name);
	tap_listener = packet_socket(interface, ETH_P_ALL);
	sender = packet_socket(interface, 0);
	if (interface == 0 || tap_listener < 0 || sender < 0)
		return "there is no packet socket for the tap";
	tap_drain();
	return NULL;
}

void tap_header(int bytes)
{
	ioctl(tap_fd, TUNSETVNETHDRSZ, &bytes);
}

size_t tap_take(const uint8_t **frame)
{
	ssize_t length = recv(tap_listener, buffer, sizeof(buffer), MSG_DONTWAIT);

	*frame = buffer;
	return length < 0 ? 0 : (size_t)length;
}

int tap_send(const uint8_t *frame, size_t length)
{
	return send(sender, frame, length, 0) == (ssize_t)length ? 0 : errno;
}

void tap_drain(void)
{
	while (read(tap_fd, buffer, sizeof(buffer)) > 0)
		;
	while (recv(tap_listener, buffer, sizeof(buffer), MSG_DONTWAIT) >= 0)
		;
}
