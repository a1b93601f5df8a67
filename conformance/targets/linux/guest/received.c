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
#define HEADER 12 /* bytes: also where a device has not said yet that its headers are so long */
#define LONGEST_PACKET (LONGEST_FRAME + 12)
#define MOST_UNEXPLAINED 64
#define LOOK_AHEAD 16 /* bytes that may have been there already, at the start of a piece */

static uint32_t frames[MOST_PACKETS], sent, next; /* lengths of packets without headers; next: the first that may still be waiting */
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

/* A byte of a packet's frame: neither 0, as a header's, nor PAINT. */
static uint8_t content(uint32_t packet, uint32_t at)
{
	uint32_t mixed = (packet + 1) * 0x9e3779b1u ^ at * 0x85ebca6bu;

	mixed = (mixed ^ mixed >> 15) * 0x2c1b3c6du;
	mixed = (mixed ^ mixed >> 12) * 0x297a2d39u;
	uint8_t byte = (uint8_t)(1 + (mixed >> 8) % 254);
	return byte == PAINT ? 0xff : byte;
}

void packet_comes(uint64_t length)
{
	static uint8_t frame[LONGEST_FRAME];

	if (length < HEADER + SHORTEST_FRAME || length > HEADER + LONGEST_FRAME)
		leave(SKIPPED, "a packet of %llu bytes cannot be sent to a tap", (unsigned long long)length);
	if (sent == MOST_PACKETS)
		leave(SKIPPED, "more than %d packets", MOST_PACKETS);
	frames[sent] = (uint32_t)length - HEADER;
	for (uint32_t at = 0; at < frames[sent]; at++)
		frame[at] = content(sent, at);
	int error = tap_send(frame, frames[sent]);
	if (error != 0)
		leave(ERRORED, "a frame cannot be sent to the tap: %s", strerror(error));
	sent++;
}

void receive_begin(bool something_may_be_sent)
{
	painted = true;
	paint_data(something_may_be_sent);
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
	return value_at(host) != (is_painted(host) ? PAINT : backings_byte(host));
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

	return page >= 0 && !is_taken(page, host) && value_at(host) == value && (!is_painted(host) || is_changed(host));
}

/*
 * The header is 0, but for two bytes at its end, how many chains the packet is in: 1, or as it was, for not all kernels
 * write them.
 */
static bool fits(uint32_t packet, uint32_t header, uint32_t at, uint64_t host)
{
	if (at >= header)
		return may_be(host, content(packet, at - header));
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

/*
 * Find a packet's bytes but for those of its header that do not lie before the frame: `left` of them, which are all alike.
 * False where one is nowhere.
 */
static bool find_packet(uint32_t packet, uint32_t header, uint32_t *left)
{
	if (!find(packet, header, header, header + frames[packet]))
		return false;
	*left = find_header_before_frame(packet, header);
	return true;
}

static uint32_t scattered; /* headers of this run that are in several pieces */

/* Find what is left of the header. Where it is in several pieces nothing tells which is which. */
static bool find_header(uint32_t packet, uint32_t header, uint32_t left)
{
	bool all = left == header && header > 10;

	if (!find(packet, header, 0, all ? 10 : left))
		return false;
	for (uint32_t at = 1; at < (all ? 10 : left); at++)
		if (where[at] != where[at - 1] + 1) {
			scattered++;
			break;
		}
	for (uint32_t at = 10; all && at < header; at++)
		take(at, where[at - 1] + 1);
	return true;
}

/* How many pieces bytes from.. of a packet are in. */
static uint32_t pieces_found(uint32_t from, uint32_t length)
{
	uint32_t pieces = 1;

	for (uint32_t at = from + 1; at < length; at++)
		pieces += where[at] != where[at - 1] + 1;
	return pieces;
}

/* Whether packets after this one have the lengths that were reported last, so many of them, in this order. */
static bool others_follow(const struct device *device, uint32_t packet, uint32_t header, uint32_t count)
{
	for (; count > 0; count--) {
		uint32_t length = used_length(device, RECEIVE_QUEUE, count);

		do
			packet++;
		while (packet < sent && header + frames[packet] != length);
		if (packet >= sent)
			return false;
	}
	return true;
}

/*
 * The packet of this length, of those that may be waiting, whose frame is found in the fewest pieces: that of another is
 * found scattered, if at all. After it there must be those for the `after` chains that were used later. Its bytes are
 * taken. Its number, or `sent`.
 */
static uint32_t find_best(const struct device *device, uint32_t header, uint32_t length, uint32_t after, uint32_t *left)
{
	size_t room = (page_count + 1) * PAGE / 8;
	uint8_t *before = malloc(room);
	uint32_t best = sent, fewest = UINT32_MAX;

	if (before == NULL)
		leave(ERRORED, "no memory");
	memcpy(before, taken, room);
	for (uint32_t packet = next; packet < sent; packet++) {
		if (header + frames[packet] == length && others_follow(device, packet, header, after) &&
		    find_packet(packet, header, left) && pieces_found(header, length) < fewest) {
			fewest = pieces_found(header, length);
			best = packet;
		}
		memcpy(taken, before, room);
	}
	free(before);
	if (best != sent) {
		next = best + 1;
		find_packet(best, header, left);
	}
	return best;
}

static void say_pieces(uint32_t length)
{
	say(RECEIVED_AT);
	say(pieces_found(0, length));
	for (uint32_t at = 0; at < length;) {
		uint32_t from = at++;

		while (at < length && where[at] == where[at - 1] + 1)
			at++;
		say(where[from]);
		say(at - from);
	}
}

/* The first byte that changed and is of no packet that was found, 0 if there is none. */
static uint64_t first_left(void)
{
	for (size_t page = 0; page < page_count; page++)
		for (uint64_t host = pages[page]; host < pages[page] + PAGE; host++)
			if (is_changed(host) && !is_taken((long)page, host))
				return host;
	return 0;
}

/* How many bytes changed and are of no packet that was found. */
static size_t bytes_left(void)
{
	size_t count = 0;

	for (size_t page = 0; page < page_count; page++)
		for (uint64_t host = pages[page]; host < pages[page] + PAGE; host++)
			count += is_changed(host) && !is_taken((long)page, host);
	return count;
}

/* What changed and is of no packet that was found: one more event, its pieces in order of their addresses. */
static uint32_t say_unexplained(void)
{
	uint64_t host, pieces[2 * MOST_UNEXPLAINED];
	uint32_t count = 0;

	while (count < MOST_UNEXPLAINED && (host = first_left()) != 0) {
		pieces[2 * count] = host;
		while (page_number(host) >= 0 && is_changed(host) && !is_taken(page_number(host), host))
			take(0, host++);
		pieces[2 * count + 1] = host - pieces[2 * count];
		count++;
	}
	if (count == 0)
		return 0;
	say(RECEIVED_AT);
	say(count);
	for (uint32_t i = 0; i < 2 * count; i++)
		say(pieces[i]);
	return 1;
}

/* The packets of one run, while their headers are not whole. */
static struct found {
	uint32_t packet, left;
	uint64_t *where;
} founds[MOST_PACKETS];

/* Find so many packets, those that were reported last: each one's frame first, then what is left of headers. */
static uint32_t say_packets(const struct device *device, uint32_t count)
{
	uint32_t header = header_bytes(device), found = 0, events = 0;

	for (uint32_t back = count; back > 0 && found < MOST_PACKETS; back--) {
		struct found *one = &founds[found];
		uint32_t length = used_length(device, RECEIVE_QUEUE, back);

		one->packet = find_best(device, header, length, back - 1, &one->left);
		if (one->packet == sent)
			continue;
		one->where = malloc(length * sizeof(*where));
		if (one->where == NULL)
			leave(ERRORED, "no memory");
		memcpy(one->where, where, length * sizeof(*where));
		found++;
	}
	for (struct found *one = founds; one < founds + found; one++) {
		uint32_t length = header + frames[one->packet];

		memcpy(where, one->where, length * sizeof(*where));
		free(one->where);
		if (find_header(one->packet, header, one->left)) {
			say_pieces(length);
			events++;
		}
	}
	return events;
}

uint32_t say_received(const struct device *device, uint32_t used)
{
	uint32_t events = 0;

	page_count = written_pages(&pages);
	if (page_count > 0 || used > 0) {
		free(taken);
		taken = calloc(page_count + 1, PAGE / 8);
		if (taken == NULL)
			leave(ERRORED, "no memory");
		scattered = 0;
		events = say_packets(device, used);
		if (events < used)
			leave(ERRORED,
			      "what %u packets wrote (%u bytes, in %zu pages) is not what was sent to it: %u were found", used,
			      used > 0 ? used_length(device, RECEIVE_QUEUE, 1) : 0, page_count, events);
		/* The last two bytes of a header are anywhere then. */
		if (scattered > 0 && bytes_left() <= 2 * scattered)
			leave(SKIPPED, "a packet's header in so many pieces: which of its zeros is where cannot be told");
		events += say_unexplained();
	}
	if (painted || page_count > 0)
		unpaint_data();
	painted = false;
	return events;
}
