#include "received.h"

#include "backings.h"
#include "device_memory.h"
#include "driver.h"
#include "step.h"
#include "tap.h"
#include "watch.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define MOST_PACKETS 1000 /* as many as a tap holds */
#define SHORTEST_FRAME 14
#define LONGEST_PACKET (LONGEST_FRAME + 12)
#define LOOK_AHEAD 16 /* bytes that may have been there already, at the start of a piece */

static uint32_t lengths[MOST_PACKETS], sent, next; /* of packets; next: the first that may still be waiting */
static bool painted;

void packets_forget(void)
{
	sent = next = 0;
	painted = false;
}

bool packets_came(void)
{
	return sent > 0;
}

/* A byte of a packet behind its header: neither 0, as a header's, nor PAINT. */
static uint8_t content(uint32_t packet, uint32_t at)
{
	uint32_t mixed = (packet + 1) * 0x9e3779b1u ^ at * 0x85ebca6bu;

	mixed = (mixed ^ mixed >> 15) * 0x2c1b3c6du;
	mixed = (mixed ^ mixed >> 12) * 0x297a2d39u;
	uint8_t byte = (uint8_t)(1 + (mixed >> 8) % 254);
	return byte == PAINT ? 0xff : byte;
}

void packet_comes(struct device *device, uint64_t length)
{
	static uint8_t frame[LONGEST_FRAME];
	uint32_t header = header_bytes(device);

	if (length < header + SHORTEST_FRAME || length > header + LONGEST_FRAME)
		leave(SKIPPED, "a packet of %llu bytes cannot be sent to a tap", (unsigned long long)length);
	if (sent == MOST_PACKETS)
		leave(SKIPPED, "more than %d packets", MOST_PACKETS);
	for (uint32_t at = header; at < length; at++)
		frame[at - header] = content(sent, at);
	int error = tap_send(frame, length - header);
	if (error != 0)
		leave(ERRORED, "a frame cannot be sent to the tap: %s", strerror(error));
	lengths[sent++] = (uint32_t)length;
}

void receive_begin(struct device *device, bool something_may_be_sent)
{
	(void)newly_used(device, RECEIVE_QUEUE);
	painted = !something_may_be_sent;
	if (painted)
		paint_data();
}

/* LOOKING FOR A PACKET'S BYTES ------------------------------------------------------------------------------------------ */

static const uint64_t *pages; /* that were written, in order */
static size_t page_count;
static uint8_t *taken; /* a bit for each of their bytes: known to be of a packet */

/* The number of a written page that has this byte, or -1. */
static long page_number(uint64_t host)
{
	long low = 0, high = (long)page_count - 1;

	while (low <= high) {
		long middle = (low + high) / 2;

		if (host < pages[middle])
			high = middle - 1;
		else if (host >= pages[middle] + PAGE)
			low = middle + 1;
		else
			return middle;
	}
	return -1;
}

static uint8_t value_at(uint64_t host)
{
	return *(const uint8_t *)(uintptr_t)host;
}

static bool is_changed(uint64_t host)
{
	return value_at(host) != (painted ? PAINT : backings_byte(host));
}

static bool is_taken(long page, uint64_t host)
{
	uint64_t bit = (uint64_t)page * PAGE + host % PAGE;

	return taken[bit / 8] >> bit % 8 & 1;
}

/* Whether a byte may be one that was written with this value. */
static bool may_be(uint64_t host, uint8_t value)
{
	long page = page_number(host);

	return page >= 0 && !is_taken(page, host) && value_at(host) == value && (!painted || is_changed(host));
}

/*
 * The header is 0, but for two bytes at its end, how many chains the packet is in: 1, or as it was, for not all kernels
 * write them.
 */
static bool fits(uint32_t packet, uint32_t header, uint32_t at, uint64_t host)
{
	if (at >= header)
		return may_be(host, content(packet, at));
	if (at < 10)
		return may_be(host, 0);
	long page = page_number(host);
	return page < 0 ? backings_hold(host, 1) : !is_taken(page, host);
}

static uint64_t where[LONGEST_PACKET]; /* the host address of each byte of the packet that is looked for */

static void take(uint32_t at, uint64_t host)
{
	long page = page_number(host);

	where[at] = host;
	if (page >= 0) {
		uint64_t bit = (uint64_t)page * PAGE + host % PAGE;

		taken[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

/* The longest run of changed bytes that can be bytes at.. of the packet; its length, 0 if there is none. */
static uint32_t longest(uint32_t packet, uint32_t header, uint32_t at, uint32_t end, uint64_t *host)
{
	uint32_t best = 0;

	for (size_t page = 0; page < page_count; page++)
		for (uint64_t here = pages[page]; here < pages[page] + PAGE; here++) {
			uint32_t length = 0;

			if (!is_changed(here))
				continue;
			while (at + length < end && fits(packet, header, at + length, here + length))
				length++;
			if (length > best) {
				best = length;
				*host = here;
			}
		}
	return best;
}

/* Find bytes from..end-1. False where one is nowhere. */
static bool find(uint32_t packet, uint32_t header, uint32_t from, uint32_t end)
{
	for (uint32_t at = from; at < end;) {
		uint32_t skipped = 0, length = 0;
		uint64_t host = 0;

		while (length == 0 && at + skipped < end && skipped < LOOK_AHEAD) {
			length = longest(packet, header, at + skipped, end, &host);
			skipped += length == 0;
		}
		/* The bytes that were there already lie before it. */
		for (uint32_t back = 1; length > 0 && back <= skipped; back++)
			if (!fits(packet, header, at + skipped - back, host - back))
				return false;
		if (length == 0)
			return false;
		for (uint32_t i = 0; i < skipped + length; i++)
			take(at + i, host - skipped + i);
		at += skipped + length;
	}
	return true;
}

/* The bytes of the header that lie before the frame's first byte; how many of the header's bytes are still to be found. */
static uint32_t find_header_before_frame(uint32_t packet, uint32_t header)
{
	uint64_t host = where[header];
	uint32_t at = header;

	while (at > 10 && fits(packet, header, at - 1, host - 1)) {
		at--;
		host--;
	}
	/* Bytes that say nothing belong to whatever does. */
	if (at == 10 && header > 10 && !fits(packet, header, 9, host - 1) && !is_changed(host) && !is_changed(host + 1))
		return header;
	while (at > 0 && fits(packet, header, at - 1, host - 1)) {
		at--;
		host--;
	}
	for (uint32_t i = at; i < header; i++)
		take(i, host + i - at);
	return at;
}

static bool find_packet(uint32_t packet, uint32_t header)
{
	if (!find(packet, header, header, lengths[packet]))
		return false;
	uint32_t left = find_header_before_frame(packet, header);
	if (left == header && header > 10) {
		if (!find(packet, header, 0, 10))
			return false;
		take(10, where[9] + 1);
		take(11, where[9] + 2);
	} else if (!find(packet, header, 0, left)) {
		return false;
	}
	for (uint32_t at = 1; at < left; at++)
		if (where[at] != where[at - 1] + 1)
			leave(SKIPPED, "a packet's header in so many pieces: which of its zeros is where cannot be told");
	return true;
}

static void say_pieces(uint32_t length)
{
	uint32_t pieces = 1;

	for (uint32_t at = 1; at < length; at++)
		pieces += where[at] != where[at - 1] + 1;
	say(RECEIVED_AT);
	say(pieces);
	for (uint32_t at = 0; at < length;) {
		uint32_t from = at++;

		while (at < length && where[at] == where[at - 1] + 1)
			at++;
		say(where[from]);
		say(at - from);
	}
}

static bool anything_left(void)
{
	for (size_t page = 0; page < page_count; page++)
		for (uint64_t host = pages[page]; host < pages[page] + PAGE; host++)
			if (is_changed(host) && !is_taken((long)page, host))
				return true;
	return false;
}

uint32_t say_received(struct device *device)
{
	uint32_t used = newly_used(device, RECEIVE_QUEUE), events = 0;

	page_count = written_pages(&pages);
	if (page_count > 0 || used > 0) {
		taken = calloc(page_count + 1, PAGE / 8);
		if (taken == NULL)
			leave(ERRORED, "no memory");
		for (; next < sent && anything_left(); next++)
			if (find_packet(next, header_bytes(device))) {
				say_pieces(lengths[next]);
				events++;
			}
		bool left = anything_left();
		free(taken);
		if (left)
			leave(ERRORED, "host memory changed where no packet explains it");
		if (events < used)
			leave(SKIPPED, "what %u packets wrote cannot be told apart: later bytes lie over earlier ones", used);
	}
	if (painted || page_count > 0)
		unpaint_data();
	painted = false;
	return events;
}
