/*
 * tollgate_plane.h - the packet plane's half of the link to Tollgate, as one C11 header without dependencies.
 *
 * Include it before any system header, or compile with -D_GNU_SOURCE. Linux, little-endian, 64 bit, gcc or clang; C++ too.
 *
 *     struct tollgate_options options = {"plane-0", 1, 4096, 65536, 4096, 0};
 *     tollgate_create(&plane, &options);
 *     tollgate_connect(&plane, "/run/tollgate/plane.sock");
 *     for (;;) {
 *         fresh |= tollgate_poll(&plane) == TOLLGATE_FRESH;
 *         if (fresh && tollgate_announce(&plane, 0, next_live_session, obey, NULL, 1000) == 0)
 *             fresh = 0;
 *         while (tollgate_poll_verdict(&plane, &verdict))
 *             obey(NULL, &verdict);
 *         tollgate_wait(&plane, 100);
 *     }
 *
 * That is all there is to linking and to linking again. crates/plane/examples/small_plane.c is the whole of it.
 *
 * A session: tollgate_slot_alloc, tollgate_up, tollgate_store as often as you like, tollgate_down with the final totals,
 * tollgate_slot_free. Every event is answered with 0, with -EAGAIN (the ring is full: keep the event and say it again), or
 * with -EINVAL (it cannot be said). Nothing that was answered with 0 is lost while the memory lives, whether there is a link
 * or not; once tollgate_taken_over, it is on the engine's disk.
 *
 * Threads: each ring has one thread that says events in it; each slot has one thread at a time that stores into it. All
 * else belongs to one thread. Nothing blocks but tollgate_wait, and tollgate_announce while a ring is full.
 *
 * Versions. TOLLGATE_VERSION is what the link speaks: the memory, the records and the handshake. An engine of another one
 * says so: tollgate_poll answers TOLLGATE_REFUSED, tollgate_answer "version", and `welcome` holds both numbers. Nothing is
 * lost meanwhile, and it is tried again, so either side may be replaced first. TOLLGATE_HEADER_MAJOR and _MINOR count this
 * header: functions and names may come with a minor, and nothing that is here changes its meaning, its size or its place
 * within a major.
 *
 * The functions stand here, and are compiled into whoever includes this. With TOLLGATE_LIBRARY defined they are declared
 * only, and come from libtollgate_plane: see scripts/plane-library.
 *
 * The memory is drawn in crates/plane/src/layout.rs, the records in record.rs and verdict_ring.rs.
 */
#ifndef TOLLGATE_PLANE_H
#define TOLLGATE_PLANE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || __SIZEOF_POINTER__ != 8
#error "the link is for little-endian machines of 64 bit"
#endif

#define TOLLGATE_HEADER_MAJOR 1u
#define TOLLGATE_HEADER_MINOR 2u
#define TOLLGATE_HEADER_VERSION (TOLLGATE_HEADER_MAJOR << 16 | TOLLGATE_HEADER_MINOR)

#ifdef TOLLGATE_LIBRARY
#define TOLLGATE_API extern
#else
#define TOLLGATE_API static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Numbers, the same as in layout.rs, record.rs and hello.rs ---- */

#define TOLLGATE_VERSION 1u
#define TOLLGATE_MAGIC 0x455441474c4c4f54ull /* "TOLLGATE" */
#define TOLLGATE_HASH_FNV1A 1u
#define TOLLGATE_PAGE_BYTES 4096u
#define TOLLGATE_RECORD_BYTES 256u
#define TOLLGATE_VERDICT_BYTES 128u
#define TOLLGATE_RING_CONTROL_BYTES 256u
#define TOLLGATE_PRODUCED 0u
#define TOLLGATE_CONSUMED 128u
#define TOLLGATE_ENGINE_WAITING 1024u
#define TOLLGATE_ENGINE_WANTS_ROOM 1032u
#define TOLLGATE_PLANE_WAITING 1152u
#define TOLLGATE_RINGS_MAX 64u
#define TOLLGATE_RECORDS_MIN 16u
#define TOLLGATE_RECORDS_MAX (1u << 20)
#define TOLLGATE_SLOTS_MAX (1u << 24)
#define TOLLGATE_EVENT_RECORDS_MAX 16u
#define TOLLGATE_FIRST_BODY_BYTES 240u
#define TOLLGATE_NEXT_BODY_BYTES 248u
#define TOLLGATE_BODY_BYTES_MAX 3960u
#define TOLLGATE_SESSION_MAX 64u
#define TOLLGATE_NAME_MAX 32u
#define TOLLGATE_TEXT_MAX 253u
#define TOLLGATE_CLASS_MAX 8u
#define TOLLGATE_HELLO_BYTES 64u
#define TOLLGATE_WELCOME_BYTES 32u

/* The header of the memory. */
struct tollgate_header {
    uint64_t magic, version, epoch, bytes, rings, records, slots, slot_bytes, verdicts, hash;
    uint64_t rings_offset, ring_bytes, verdicts_offset, counters_offset;
};

/* The head word of an event record. */
struct tollgate_head {
    uint8_t version, kind, index, count;
    uint16_t body_bytes, lap;
};

/* A verdict record. */
struct tollgate_verdict_record {
    uint64_t position_plus_one;
    uint8_t sentence, reason, session_len, zero[5];
    uint32_t slot, generation;
    uint8_t session[TOLLGATE_SESSION_MAX];
    uint8_t unused[40];
};

/* A counter slot; the second family only in tables of 128 octets. */
struct tollgate_counter_record {
    uint32_t generation, last_generation;
    uint64_t v4[4], v6[4];
};

/* HELLO and WELCOME. */
struct tollgate_hello {
    char magic[8];
    uint32_t version, name_len;
    uint64_t epoch, memory_bytes;
    char name[TOLLGATE_NAME_MAX];
};
struct tollgate_welcome {
    char magic[8];
    uint32_t engine_version, plane_version, answer, zero[3];
};

enum tollgate_kind {
    TOLLGATE_KIND_UP = 1,
    TOLLGATE_KIND_UPDATE = 2,
    TOLLGATE_KIND_DOWN = 3,
    TOLLGATE_KIND_RESET = 4,
    TOLLGATE_KIND_RESYNC_BEGIN = 5,
    TOLLGATE_KIND_RESYNC_END = 6
};

enum tollgate_tag {
    TOLLGATE_TAG_SESSION = 1,
    TOLLGATE_TAG_AT = 2,
    TOLLGATE_TAG_COUNTER_SLOT = 3,
    TOLLGATE_TAG_CAUSE = 4,
    TOLLGATE_TAG_TOTALS_V4 = 5,
    TOLLGATE_TAG_TOTALS_V6 = 6,
    TOLLGATE_TAG_USER = 16,
    TOLLGATE_TAG_DOMAIN = 17,
    TOLLGATE_TAG_FRAMED_IP = 18,
    TOLLGATE_TAG_FRAMED_IPV6_PREFIX = 19,
    TOLLGATE_TAG_DELEGATED_PREFIX = 20,
    TOLLGATE_TAG_FRAMED_IPV6_ADDRESS = 21,
    TOLLGATE_TAG_INTERFACE_ID = 22,
    TOLLGATE_TAG_MAC = 23,
    TOLLGATE_TAG_CALLING = 24,
    TOLLGATE_TAG_NAS_PORT = 25,
    TOLLGATE_TAG_NAS_PORT_ID = 26,
    TOLLGATE_TAG_ACCESS = 27,
    TOLLGATE_TAG_AUTHENTIC = 28,
    TOLLGATE_TAG_CLASS = 29,
    TOLLGATE_TAG_INTERIM_INTERVAL = 30,
    TOLLGATE_TAG_SESSION_TIMEOUT = 31,
    TOLLGATE_TAG_TIME_QUOTA = 32,
    TOLLGATE_TAG_VOLUME_QUOTA = 33,
    TOLLGATE_TAG_MULTI_SESSION_ID = 34,
    TOLLGATE_TAG_AUTH_SERVER = 35
};

/* ---- What a plane says ---- */

/* Octets of the caller's; no octets: not said. */
struct tollgate_octets {
    const void *at;
    size_t len;
};

/* A text that ends with a zero. */
static inline struct tollgate_octets tollgate_text(const char *text)
{
    struct tollgate_octets octets;
    octets.at = text;
    octets.len = text ? strlen(text) : 0;
    return octets;
}

struct tollgate_prefix {
    uint8_t address[16];
    uint8_t length; /* 1-128; 0: not said */
};

enum tollgate_access {
    TOLLGATE_PPPOE = 1,
    TOLLGATE_IPOE = 2,
    TOLLGATE_L2TP = 3,
    TOLLGATE_STATIC = 4
};

enum tollgate_authentic {
    TOLLGATE_RADIUS = 1,
    TOLLGATE_LOCAL = 2,
    TOLLGATE_REMOTE = 3
};

/* Numbers for which 0 is a value: they are said when their bit is set in `has`. */
#define TOLLGATE_HAS_NAS_PORT 1u
#define TOLLGATE_HAS_TIME_QUOTA 2u
#define TOLLGATE_HAS_VOLUME_QUOTA 4u

/* Who a subscriber is. Zero everything first; what stays zero is not said. Texts have up to 253 octets. */
struct tollgate_subscriber {
    struct tollgate_octets user; /* always there with an up */
    struct tollgate_octets domain;
    struct tollgate_octets calling;          /* Calling-Station-Id */
    struct tollgate_octets nas_port_id;      /* NAS-Port-Id */
    struct tollgate_octets multi_session_id; /* Acct-Multi-Session-Id */
    struct tollgate_octets class_attributes[TOLLGATE_CLASS_MAX];
    uint8_t framed_ip[4]; /* in the order of the network, as all addresses */
    struct tollgate_prefix framed_ipv6_prefix;
    struct tollgate_prefix delegated_prefix;
    uint8_t framed_ipv6_address[16];
    uint64_t interface_id;
    uint8_t mac[6];
    uint8_t access;    /* enum tollgate_access */
    uint8_t authentic; /* enum tollgate_authentic */
    uint32_t has;
    uint32_t nas_port;
    uint32_t acct_interim_interval; /* seconds */
    uint32_t session_timeout;       /* seconds */
    uint64_t time_quota;            /* seconds */
    uint64_t volume_quota;          /* octets */
    uint8_t auth_server[16]; /* who authenticated it; an IPv4 address stands in the first four octets */
    uint8_t auth_server_len; /* 4 or 16; 0: not said */
};

/* Totals since up or reset; "in" is what the subscriber sent. */
struct tollgate_totals {
    uint64_t in_octets, in_packets, out_octets, out_packets;
};

/* Both families; v4 holds everything where the plane does not tell them apart. */
struct tollgate_counters {
    struct tollgate_totals v4, v6;
};

/* A place for a session's counters. */
struct tollgate_slot {
    uint32_t slot, generation;
};

/* ---- What it is told ---- */

enum tollgate_sentence {
    TOLLGATE_ADMIT = 1,  /* let it go online */
    TOLLGATE_REFUSE = 2, /* do not; no down is expected */
    TOLLGATE_CUT = 3,    /* log it out, and say down */
    TOLLGATE_REDIRECT = 4 /* let it go online or stay, but lead it to the address of its domain; with the reason
                             accounting-stopped, say down as well, and then nothing of it any more */
};

enum tollgate_reason {
    TOLLGATE_OPENED = 1,
    TOLLGATE_START_ACCEPTED = 2,
    TOLLGATE_NOT_ACCOUNTED = 3,
    TOLLGATE_KNOWN = 4,
    TOLLGATE_START_FAILED = 5,
    TOLLGATE_INTERIM_FAILED = 6,
    TOLLGATE_NO_DOMAIN = 7,
    TOLLGATE_FULL = 8,
    TOLLGATE_MALFORMED = 9,
    TOLLGATE_SHUTTING_DOWN = 10,
    TOLLGATE_CUT_BY_OPERATOR = 11,
    TOLLGATE_REPLACED = 12,
    TOLLGATE_SESSION_TIMEOUT = 13,
    TOLLGATE_QUOTA_OUT = 14,
    TOLLGATE_START_DELAY = 15,
    TOLLGATE_ACCOUNTING_STOPPED = 16,
    TOLLGATE_DISCONNECTED = 20
};

struct tollgate_verdict {
    uint8_t sentence; /* enum tollgate_sentence */
    uint8_t reason;   /* enum tollgate_reason, or a later one */
    uint8_t session_len;
    uint8_t session[TOLLGATE_SESSION_MAX];
    struct tollgate_slot slot; /* as far as the engine has heard of it; generation 0: it has not */
};

enum tollgate_link {
    TOLLGATE_DOWN = 0,     /* no link; tried again after a pause of 10 ms to 1 s */
    TOLLGATE_GREETING = 1, /* the engine has not answered yet */
    TOLLGATE_FRESH = 2,    /* just accepted, said once: announce all live sessions */
    TOLLGATE_UP = 3,       /* the link stands */
    TOLLGATE_REFUSED = 4   /* the engine refused: see tollgate_answer; tried again after a pause */
};

/* ---- The plane ---- */

struct tollgate_options {
    const char *name;  /* 1-32 printable characters; with the session's name its key for life */
    uint32_t rings;    /* 1-64, one for each thread that says events */
    uint32_t records;  /* of each ring, a power of two, 16-1048576 */
    uint32_t slots;    /* for counters, 1-16777216 */
    uint32_t verdicts; /* a power of two, 16-1048576 */
    int dual_stack;    /* whether slots tell IPv4 and IPv6 apart */
};

struct tollgate_ring {
    uint64_t produced, consumed_seen, waited_at, line[13];
};

struct tollgate_plane {
    uint8_t *memory;
    struct tollgate_header header; /* a private copy */
    int memory_fd, engine_bell, plane_bell, socket;
    int state;                       /* enum tollgate_link */
    struct tollgate_welcome welcome; /* the engine's last answer */
    struct tollgate_hello hello;
    struct sockaddr_un path;
    uint64_t retry_at_ms, backoff_ms; /* in Greeting: when patience ends */
    uint64_t verdicts_read;
    uint32_t *free_slots;
    uint32_t free_count;
    struct tollgate_ring rings[TOLLGATE_RINGS_MAX];
};

/* ---- The functions ---- */

/* Makes the memory, sealed against resizing, and both eventfds. 0 or -errno. */
TOLLGATE_API int tollgate_create(struct tollgate_plane *plane, const struct tollgate_options *options);

/*
 * Goes on with a memory that another process of this plane made and kept; the plane owns the descriptor from now on.
 * Each ring and slot still has one writer only. 0 or -errno.
 */
TOLLGATE_API int tollgate_adopt(struct tollgate_plane *plane, const char *name, int memory_fd);

/* Gives everything back but the memory that others hold. */
TOLLGATE_API void tollgate_destroy(struct tollgate_plane *plane);

/*
 * A plane on the heap, for languages that do not know the size of one: tollgate_create, or NULL with errno; and
 * tollgate_destroy. All else takes its address.
 */
TOLLGATE_API struct tollgate_plane *tollgate_new(const struct tollgate_options *options);
TOLLGATE_API void tollgate_free(struct tollgate_plane *plane);

/* Says in every HELLO from now on that each counter has 32 bits in truth and begins again at zero behind the last of
 * them; the totals of a down as well. To be said after tollgate_create or tollgate_adopt, before the first connection. */
TOLLGATE_API void tollgate_count_with_32_bits(struct tollgate_plane *plane);

/* Says where the engine is; tollgate_poll goes there. A link that stands is given up. -EINVAL: the path is too long. */
TOLLGATE_API int tollgate_connect(struct tollgate_plane *plane, const char *path);

/*
 * Brings the link up, or finds out that it is gone; an enum tollgate_link. Call it whenever tollgate_wait has returned.
 * After TOLLGATE_FRESH announce all live sessions: with tollgate_announce, or resync_begin in every ring, their ups in any,
 * resync_end in every ring. A live session that is not announced is ended by the engine, with the totals in its slot.
 */
TOLLGATE_API int tollgate_poll(struct tollgate_plane *plane);

/*
 * What the engine answered last, in a word: "accepted", "version", "malformed", "name-taken", "unsealed", "memory", "too-many",
 * "shutting-down", "descriptors", or "other"; "" before it has answered.
 */
TOLLGATE_API const char *tollgate_answer(const struct tollgate_plane *plane);

/* A subscriber came online, or, within a resync, is. `at_ms`: milliseconds since 1970, 0: now. */
TOLLGATE_API int tollgate_up(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                             const struct tollgate_subscriber *subscriber, struct tollgate_slot slot, uint64_t at_ms);

/* Something has changed; the rest of `changed` is zero. */
TOLLGATE_API int tollgate_update(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                                 const struct tollgate_subscriber *changed, uint64_t at_ms);

/*
 * A subscriber went offline. `cause`: Acct-Terminate-Cause, 0: not said. `totals`: the final totals, so that the slot may
 * be used again at once; NULL: the engine reads the slot, which has to stay until the event is taken over.
 */
TOLLGATE_API int tollgate_down(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session, uint8_t cause,
                               const struct tollgate_counters *totals, uint64_t at_ms);

/* The plane lost a session's counters; `slot` is what tollgate_slot_renew gave. */
TOLLGATE_API int tollgate_reset(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                                struct tollgate_slot slot);

/* All live sessions will now be announced; said in every ring. */
TOLLGATE_API int tollgate_resync_begin(struct tollgate_plane *plane, uint32_t ring);

/* All live sessions have been announced; said in every ring. The engine settles when it has met all of them. */
TOLLGATE_API int tollgate_resync_end(struct tollgate_plane *plane, uint32_t ring);

/* One live session, as tollgate_up takes it. */
struct tollgate_live {
    struct tollgate_octets session;
    const struct tollgate_subscriber *subscriber;
    struct tollgate_slot slot;
    uint64_t at_ms; /* when it came up; 0: not said */
};

/*
 * A whole resync in one call, by a thread that all rings belong to: the ups in `ring`. `next` fills in the next live session
 * and answers 1, or 0 behind the last. `obey` takes the verdicts that come meanwhile; NULL leaves them in their ring, which is
 * good for as many sessions as that has room for. Waits up to `patience_ms` each time a ring is full. 0; -EAGAIN when that
 * was too long, and -EINVAL when a session cannot be said: the engine then ends no session, and a later call begins anew.
 */
TOLLGATE_API int tollgate_announce(struct tollgate_plane *plane, uint32_t ring,
                                   int (*next)(void *context, struct tollgate_live *live),
                                   void (*obey)(void *context, const struct tollgate_verdict *verdict), void *context,
                                   int patience_ms);

/* Whether every event of every ring is durable. */
TOLLGATE_API int tollgate_taken_over(const struct tollgate_plane *plane);

/* A slot for a new session; 0, or -ENOSPC when all are taken. */
TOLLGATE_API int tollgate_slot_alloc(struct tollgate_plane *plane, struct tollgate_slot *slot);

/* A new generation with zero totals, for a new session or for one whose counters were lost. */
TOLLGATE_API struct tollgate_slot tollgate_slot_renew(struct tollgate_plane *plane, uint32_t slot);

/* Gives a slot back: at once after a down with totals, else when the down is taken over. */
TOLLGATE_API void tollgate_slot_free(struct tollgate_plane *plane, struct tollgate_slot slot);

/* Puts a session's totals into its slot; summed where the table does not tell the families apart. */
TOLLGATE_API void tollgate_store(struct tollgate_plane *plane, struct tollgate_slot slot,
                                 const struct tollgate_counters *totals);

/* The next verdict: 1, or 0 when there is none. It may be on an earlier session of that name: see tollgate_is_on. */
TOLLGATE_API int tollgate_poll_verdict(struct tollgate_plane *plane, struct tollgate_verdict *verdict);

/*
 * Whether a verdict is on the session in this slot, and not on an earlier one of that name which was gone when the engine
 * spoke, or is gone since. Ask as well for the slot that the session had before a reset, until that is taken over.
 */
TOLLGATE_API int tollgate_is_on(const struct tollgate_verdict *verdict, struct tollgate_slot slot);

/*
 * Sleeps until a verdict came, the engine took something over, the link changed, a try to connect is due, or the time is
 * over. Look at everything again afterwards.
 */
TOLLGATE_API void tollgate_wait(struct tollgate_plane *plane, int timeout_ms);

/* TOLLGATE_HEADER_VERSION of whoever compiled the functions: of the library, where there is one. */
TOLLGATE_API uint32_t tollgate_version(void);

#if !defined TOLLGATE_LIBRARY || defined TOLLGATE_LIBRARY_ITSELF

/* ---- Words of the memory ---- */

static inline uint64_t *tollgate_word(const struct tollgate_plane *plane, uint64_t offset)
{
    return (uint64_t *)(void *)(plane->memory + offset);
}

static inline uint64_t tollgate_load(const struct tollgate_plane *plane, uint64_t offset)
{
    return __atomic_load_n(tollgate_word(plane, offset), __ATOMIC_ACQUIRE);
}

static inline uint64_t tollgate_ring_offset(const struct tollgate_plane *plane, uint32_t ring)
{
    return plane->header.rings_offset + ring * plane->header.ring_bytes;
}

static inline uint64_t tollgate_slot_offset(const struct tollgate_plane *plane, uint32_t slot)
{
    return plane->header.counters_offset + slot * plane->header.slot_bytes;
}

static inline uint64_t tollgate_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Wakes the engine if a word says that it waits. The fence is what keeps a wake-up from being missed. */
static inline void tollgate_kick(const struct tollgate_plane *plane, uint64_t waiting)
{
    uint64_t one = 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(tollgate_word(plane, waiting), __ATOMIC_RELAXED) != 0 &&
        __atomic_exchange_n(tollgate_word(plane, waiting), 0, __ATOMIC_ACQ_REL) != 0) {
        ssize_t written = write(plane->engine_bell, &one, sizeof one);
        (void)written; /* fails only when it is full of kicks */
    }
}

/* ---- Making the memory ---- */

static inline int tollgate_is_ring_size(uint64_t records)
{
    return records >= TOLLGATE_RECORDS_MIN && records <= TOLLGATE_RECORDS_MAX && (records & (records - 1)) == 0;
}

/* Computes the offsets from the numbers; 0 or -EINVAL. */
static inline int tollgate_arrange(struct tollgate_header *header)
{
    const uint64_t page = TOLLGATE_PAGE_BYTES;
    uint64_t end;
    if (header->rings < 1 || header->rings > TOLLGATE_RINGS_MAX || header->slots < 1 ||
        header->slots > TOLLGATE_SLOTS_MAX || (header->slot_bytes != 64 && header->slot_bytes != 128) ||
        !tollgate_is_ring_size(header->records) || !tollgate_is_ring_size(header->verdicts) || header->epoch == 0)
        return -EINVAL;
    header->magic = TOLLGATE_MAGIC;
    header->version = TOLLGATE_VERSION;
    header->hash = TOLLGATE_HASH_FNV1A;
    header->rings_offset = page;
    header->ring_bytes = TOLLGATE_RING_CONTROL_BYTES + header->records * TOLLGATE_RECORD_BYTES;
    header->verdicts_offset = header->rings_offset + header->rings * header->ring_bytes;
    end = header->verdicts_offset + TOLLGATE_RING_CONTROL_BYTES + header->verdicts * TOLLGATE_VERDICT_BYTES;
    header->counters_offset = (end + page - 1) / page * page;
    end = header->counters_offset + header->slots * header->slot_bytes;
    header->bytes = (end + page - 1) / page * page;
    return 0;
}

TOLLGATE_API void tollgate_destroy(struct tollgate_plane *plane)
{
    if (plane->memory)
        munmap(plane->memory, plane->header.bytes);
    if (plane->socket >= 0)
        close(plane->socket);
    if (plane->engine_bell >= 0)
        close(plane->engine_bell);
    if (plane->plane_bell >= 0)
        close(plane->plane_bell);
    if (plane->memory_fd >= 0)
        close(plane->memory_fd);
    free(plane->free_slots);
    memset(plane, 0, sizeof *plane);
    plane->socket = plane->engine_bell = plane->plane_bell = plane->memory_fd = -1;
}

/* Destroys a plane that was not finished; -error. */
static inline int tollgate_give_up(struct tollgate_plane *plane, int error)
{
    tollgate_destroy(plane);
    return -error;
}

static inline void tollgate_blank(struct tollgate_plane *plane)
{
    memset(plane, 0, sizeof *plane);
    plane->socket = plane->engine_bell = plane->plane_bell = plane->memory_fd = -1;
}

/* Maps the memory and makes everything beside it; the header is known. */
static inline int tollgate_finish(struct tollgate_plane *plane, const char *name)
{
    struct tollgate_hello *hello = &plane->hello;
    size_t len = name ? strlen(name) : 0, at;
    uint32_t ring, slot;
    void *memory;
    if (len < 1 || len > TOLLGATE_NAME_MAX)
        return tollgate_give_up(plane, EINVAL);
    for (at = 0; at < len; at++)
        if (name[at] < '!' || name[at] > '~')
            return tollgate_give_up(plane, EINVAL);
    memory = mmap(NULL, plane->header.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, plane->memory_fd, 0);
    if (memory == MAP_FAILED)
        return tollgate_give_up(plane, errno);
    plane->memory = (uint8_t *)memory;
    plane->engine_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    plane->plane_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    plane->free_slots = (uint32_t *)malloc(plane->header.slots * sizeof *plane->free_slots);
    if (plane->engine_bell < 0 || plane->plane_bell < 0 || !plane->free_slots)
        return tollgate_give_up(plane, errno);
    memcpy(hello->magic, "TLGHELLO", 8);
    hello->version = TOLLGATE_VERSION;
    hello->name_len = (uint32_t)len;
    hello->epoch = plane->header.epoch;
    hello->memory_bytes = plane->header.bytes;
    memcpy(hello->name, name, len);
    for (ring = 0; ring < plane->header.rings; ring++) {
        uint64_t control = tollgate_ring_offset(plane, ring);
        plane->rings[ring].produced = tollgate_load(plane, control + TOLLGATE_PRODUCED);
        plane->rings[ring].consumed_seen = tollgate_load(plane, control + TOLLGATE_CONSUMED);
        plane->rings[ring].waited_at = plane->rings[ring].consumed_seen;
    }
    plane->verdicts_read = tollgate_load(plane, plane->header.verdicts_offset + TOLLGATE_CONSUMED);
    for (slot = (uint32_t)plane->header.slots; slot-- > 0;)
        if ((uint32_t)*tollgate_word(plane, tollgate_slot_offset(plane, slot)) == 0)
            plane->free_slots[plane->free_count++] = slot;
    plane->backoff_ms = 10;
    return 0;
}

TOLLGATE_API int tollgate_create(struct tollgate_plane *plane, const struct tollgate_options *options)
{
    struct tollgate_header *header = &plane->header;
    int error;
    tollgate_blank(plane);
    header->rings = options->rings;
    header->records = options->records;
    header->slots = options->slots;
    header->slot_bytes = options->dual_stack ? 128 : 64;
    header->verdicts = options->verdicts;
    while (header->epoch == 0)
        if (getrandom(&header->epoch, sizeof header->epoch, 0) < 0)
            return -errno;
    if (tollgate_arrange(header) != 0)
        return -EINVAL;
    plane->memory_fd = memfd_create("tollgate-plane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (plane->memory_fd < 0)
        return -errno;
    if (ftruncate(plane->memory_fd, (off_t)header->bytes) != 0 ||
        fcntl(plane->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return tollgate_give_up(plane, errno);
    error = tollgate_finish(plane, options->name);
    if (error == 0)
        memcpy(plane->memory, header, sizeof *header);
    return error;
}

TOLLGATE_API int tollgate_adopt(struct tollgate_plane *plane, const char *name, int memory_fd)
{
    struct tollgate_header header;
    struct stat status;
    int seals = fcntl(memory_fd, F_GET_SEALS);
    tollgate_blank(plane);
    plane->memory_fd = memory_fd;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(memory_fd, &status) != 0 ||
        pread(memory_fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return tollgate_give_up(plane, EINVAL);
    plane->header = header;
    if (tollgate_arrange(&plane->header) != 0 || memcmp(&plane->header, &header, sizeof header) != 0 ||
        (uint64_t)status.st_size < header.bytes) {
        plane->header = header;
        return tollgate_give_up(plane, EINVAL);
    }
    return tollgate_finish(plane, name);
}

TOLLGATE_API struct tollgate_plane *tollgate_new(const struct tollgate_options *options)
{
    struct tollgate_plane *plane = (struct tollgate_plane *)malloc(sizeof *plane);
    int error = plane ? tollgate_create(plane, options) : -ENOMEM;
    if (error == 0)
        return plane;
    free(plane);
    errno = -error;
    return NULL;
}

TOLLGATE_API void tollgate_free(struct tollgate_plane *plane)
{
    if (plane)
        tollgate_destroy(plane);
    free(plane);
}

/* ---- The connection ---- */

static inline int tollgate_lost(struct tollgate_plane *plane, int state)
{
    if (plane->socket >= 0)
        close(plane->socket);
    plane->socket = -1;
    plane->state = TOLLGATE_DOWN;
    plane->retry_at_ms = tollgate_now_ms() + plane->backoff_ms;
    plane->backoff_ms = plane->backoff_ms < 500 ? plane->backoff_ms * 2 : 1000;
    return state;
}

TOLLGATE_API void tollgate_count_with_32_bits(struct tollgate_plane *plane)
{
    plane->hello.name_len |= 2u << 16; /* the flags stand behind the length of the name */
}

/* Connects and says HELLO with the three descriptors; 0 or -1. */
static inline int tollgate_greet(struct tollgate_plane *plane)
{
    int descriptors[3];
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof descriptors)];
    } control;
    struct iovec part;
    struct msghdr message;
    struct cmsghdr *rights;
    plane->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (plane->socket < 0 || connect(plane->socket, (struct sockaddr *)&plane->path, sizeof plane->path) != 0)
        return -1;
    descriptors[0] = plane->memory_fd;
    descriptors[1] = plane->engine_bell;
    descriptors[2] = plane->plane_bell;
    part.iov_base = &plane->hello;
    part.iov_len = sizeof plane->hello;
    memset(&message, 0, sizeof message);
    memset(&control, 0, sizeof control);
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.octets;
    message.msg_controllen = sizeof control.octets;
    rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(rights), descriptors, sizeof descriptors);
    return sendmsg(plane->socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof plane->hello ? 0 : -1;
}

TOLLGATE_API int tollgate_poll(struct tollgate_plane *plane)
{
    struct tollgate_welcome welcome;
    ssize_t heard;
    if (plane->state == TOLLGATE_DOWN) {
        if (plane->path.sun_path[0] == 0 || tollgate_now_ms() < plane->retry_at_ms)
            return TOLLGATE_DOWN;
        if (tollgate_greet(plane) != 0)
            return tollgate_lost(plane, TOLLGATE_DOWN);
        plane->state = TOLLGATE_GREETING;
        plane->retry_at_ms = tollgate_now_ms() + 5000;
    }
    memset(&welcome, 0, sizeof welcome);
    heard = recv(plane->socket, &welcome, sizeof welcome, MSG_DONTWAIT);
    if (heard < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (plane->state == TOLLGATE_GREETING && tollgate_now_ms() >= plane->retry_at_ms)
            return tollgate_lost(plane, TOLLGATE_DOWN);
        return plane->state;
    }
    if (heard < 12 || memcmp(welcome.magic, "TLGWELCM", 8) != 0)
        return tollgate_lost(plane, TOLLGATE_DOWN);
    if (plane->state == TOLLGATE_UP)
        return TOLLGATE_UP;
    plane->welcome = welcome;
    if (welcome.engine_version != TOLLGATE_VERSION || welcome.answer != 0)
        return tollgate_lost(plane, TOLLGATE_REFUSED);
    plane->state = TOLLGATE_UP;
    plane->backoff_ms = 10;
    return TOLLGATE_FRESH;
}

TOLLGATE_API int tollgate_connect(struct tollgate_plane *plane, const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof plane->path.sun_path)
        return -EINVAL;
    if (plane->state != TOLLGATE_DOWN)
        tollgate_lost(plane, TOLLGATE_DOWN);
    memset(&plane->path, 0, sizeof plane->path);
    plane->path.sun_family = AF_UNIX;
    memcpy(plane->path.sun_path, path, len);
    plane->retry_at_ms = 0;
    return 0;
}

TOLLGATE_API const char *tollgate_answer(const struct tollgate_plane *plane)
{
    static const char *const words[] = {"accepted", "version",  "malformed",     "name-taken", "unsealed",
                                        "memory",   "too-many", "shutting-down", "descriptors"};
    if (plane->welcome.magic[0] == 0)
        return "";
    if (plane->welcome.engine_version != TOLLGATE_VERSION)
        return "version";
    return plane->welcome.answer < sizeof words / sizeof *words ? words[plane->welcome.answer] : "other";
}

/* ---- Events ---- */

/* A body being written; all fields at their longest fit. */
struct tollgate_body {
    uint8_t octets[TOLLGATE_BODY_BYTES_MAX];
    size_t len;
    int error;
};

static inline void tollgate_put(struct tollgate_body *body, enum tollgate_tag tag, const void *value, size_t len)
{
    body->octets[body->len++] = (uint8_t)tag;
    body->octets[body->len++] = (uint8_t)len;
    memcpy(body->octets + body->len, value, len);
    body->len += len;
}

static inline void tollgate_put_text(struct tollgate_body *body, enum tollgate_tag tag, struct tollgate_octets text)
{
    if (text.len > TOLLGATE_TEXT_MAX)
        body->error = -EINVAL;
    else if (text.len > 0)
        tollgate_put(body, tag, text.at, text.len);
}

/* A value of which all zero means that it is not said. */
static inline void tollgate_put_said(struct tollgate_body *body, enum tollgate_tag tag, const void *value, size_t len)
{
    static const uint8_t zero[16] = {0};
    if (memcmp(value, zero, len) != 0)
        tollgate_put(body, tag, value, len);
}

static inline void tollgate_put_prefix(struct tollgate_body *body, enum tollgate_tag tag,
                                       const struct tollgate_prefix *prefix)
{
    uint8_t value[17];
    if (prefix->length > 128)
        body->error = -EINVAL;
    if (prefix->length == 0 || prefix->length > 128)
        return;
    memcpy(value, prefix->address, 16);
    value[16] = prefix->length;
    tollgate_put(body, tag, value, sizeof value);
}

static inline void tollgate_put_slot(struct tollgate_body *body, struct tollgate_slot slot)
{
    if (slot.generation == 0)
        body->error = -EINVAL;
    tollgate_put(body, TOLLGATE_TAG_COUNTER_SLOT, &slot, sizeof slot);
}

static inline void tollgate_put_subscriber(struct tollgate_body *body, const struct tollgate_subscriber *said)
{
    size_t index;
    tollgate_put_text(body, TOLLGATE_TAG_USER, said->user);
    tollgate_put_text(body, TOLLGATE_TAG_DOMAIN, said->domain);
    tollgate_put_said(body, TOLLGATE_TAG_FRAMED_IP, said->framed_ip, 4);
    tollgate_put_prefix(body, TOLLGATE_TAG_FRAMED_IPV6_PREFIX, &said->framed_ipv6_prefix);
    tollgate_put_prefix(body, TOLLGATE_TAG_DELEGATED_PREFIX, &said->delegated_prefix);
    tollgate_put_said(body, TOLLGATE_TAG_FRAMED_IPV6_ADDRESS, said->framed_ipv6_address, 16);
    tollgate_put_said(body, TOLLGATE_TAG_INTERFACE_ID, &said->interface_id, 8);
    tollgate_put_said(body, TOLLGATE_TAG_MAC, said->mac, 6);
    tollgate_put_text(body, TOLLGATE_TAG_CALLING, said->calling);
    if (said->has & TOLLGATE_HAS_NAS_PORT)
        tollgate_put(body, TOLLGATE_TAG_NAS_PORT, &said->nas_port, 4);
    tollgate_put_text(body, TOLLGATE_TAG_NAS_PORT_ID, said->nas_port_id);
    tollgate_put_said(body, TOLLGATE_TAG_ACCESS, &said->access, 1);
    tollgate_put_said(body, TOLLGATE_TAG_AUTHENTIC, &said->authentic, 1);
    for (index = 0; index < TOLLGATE_CLASS_MAX; index++)
        tollgate_put_text(body, TOLLGATE_TAG_CLASS, said->class_attributes[index]);
    tollgate_put_said(body, TOLLGATE_TAG_INTERIM_INTERVAL, &said->acct_interim_interval, 4);
    tollgate_put_said(body, TOLLGATE_TAG_SESSION_TIMEOUT, &said->session_timeout, 4);
    if (said->has & TOLLGATE_HAS_TIME_QUOTA)
        tollgate_put(body, TOLLGATE_TAG_TIME_QUOTA, &said->time_quota, 8);
    if (said->has & TOLLGATE_HAS_VOLUME_QUOTA)
        tollgate_put(body, TOLLGATE_TAG_VOLUME_QUOTA, &said->volume_quota, 8);
    tollgate_put_text(body, TOLLGATE_TAG_MULTI_SESSION_ID, said->multi_session_id);
    if (said->auth_server_len == 4 || said->auth_server_len == 16)
        tollgate_put(body, TOLLGATE_TAG_AUTH_SERVER, said->auth_server, said->auth_server_len);
    else if (said->auth_server_len != 0)
        body->error = -EINVAL;
}

static inline void tollgate_begin(struct tollgate_body *body, struct tollgate_octets session)
{
    body->len = 0;
    body->error = session.len < 1 || session.len > TOLLGATE_SESSION_MAX ? -EINVAL : 0;
    if (body->error == 0)
        tollgate_put(body, TOLLGATE_TAG_SESSION, session.at, session.len);
}

/* 64-bit FNV-1a; 0 is replaced by 1. */
static inline uint64_t tollgate_hash(struct tollgate_octets name)
{
    const uint8_t *octets = (const uint8_t *)name.at;
    uint64_t hash = 0xcbf29ce484222325ull;
    size_t index;
    for (index = 0; index < name.len; index++)
        hash = (hash ^ octets[index]) * 0x100000001b3ull;
    return hash ? hash : 1;
}

/* Writes a body into its records and publishes them. 0, -EAGAIN or -EINVAL. */
static inline int tollgate_say(struct tollgate_plane *plane, uint32_t ring, enum tollgate_kind kind, uint64_t hash,
                               const uint8_t *body, size_t len)
{
    uint64_t records = plane->header.records, count = 1, control, index;
    struct tollgate_ring *mine = &plane->rings[ring];
    struct tollgate_head head;
    if (ring >= plane->header.rings)
        return -EINVAL;
    control = tollgate_ring_offset(plane, ring);
    if (len > TOLLGATE_FIRST_BODY_BYTES)
        count += (len - TOLLGATE_FIRST_BODY_BYTES + TOLLGATE_NEXT_BODY_BYTES - 1) / TOLLGATE_NEXT_BODY_BYTES;
    if (mine->produced - mine->consumed_seen > records - count) {
        mine->consumed_seen = tollgate_load(plane, control + TOLLGATE_CONSUMED);
        if (mine->produced - mine->consumed_seen > records - count)
            return -EAGAIN;
    }
    head.version = TOLLGATE_VERSION;
    head.kind = (uint8_t)kind;
    head.count = (uint8_t)count;
    head.body_bytes = (uint16_t)len;
    head.lap = (uint16_t)(mine->produced / records);
    for (index = 0; index < count; index++) {
        uint64_t place = (mine->produced + index) % records;
        uint8_t *record = plane->memory + control + TOLLGATE_RING_CONTROL_BYTES + place * TOLLGATE_RECORD_BYTES;
        size_t room = index == 0 ? TOLLGATE_FIRST_BODY_BYTES : TOLLGATE_NEXT_BODY_BYTES;
        size_t part = len < room ? len : room;
        head.index = (uint8_t)index;
        memcpy(record, &head, sizeof head);
        if (index == 0)
            memcpy(record + 8, &hash, 8);
        if (part > 0)
            memcpy(record + TOLLGATE_RECORD_BYTES - room, body, part);
        body += part;
        len -= part;
    }
    mine->produced += count;
    __atomic_store_n(tollgate_word(plane, control + TOLLGATE_PRODUCED), mine->produced, __ATOMIC_RELEASE);
    tollgate_kick(plane, TOLLGATE_ENGINE_WAITING);
    return 0;
}

static inline int tollgate_end(struct tollgate_plane *plane, uint32_t ring, enum tollgate_kind kind,
                               struct tollgate_octets session, const struct tollgate_body *body)
{
    return body->error ? body->error : tollgate_say(plane, ring, kind, tollgate_hash(session), body->octets, body->len);
}

TOLLGATE_API int tollgate_up(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                              const struct tollgate_subscriber *subscriber, struct tollgate_slot slot, uint64_t at_ms)
{
    struct tollgate_body body;
    tollgate_begin(&body, session);
    tollgate_put_slot(&body, slot);
    tollgate_put_said(&body, TOLLGATE_TAG_AT, &at_ms, 8);
    if (subscriber->user.len == 0)
        body.error = -EINVAL;
    tollgate_put_subscriber(&body, subscriber);
    return tollgate_end(plane, ring, TOLLGATE_KIND_UP, session, &body);
}

TOLLGATE_API int tollgate_update(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                                  const struct tollgate_subscriber *changed, uint64_t at_ms)
{
    struct tollgate_body body;
    tollgate_begin(&body, session);
    tollgate_put_said(&body, TOLLGATE_TAG_AT, &at_ms, 8);
    tollgate_put_subscriber(&body, changed);
    return tollgate_end(plane, ring, TOLLGATE_KIND_UPDATE, session, &body);
}

TOLLGATE_API int tollgate_down(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                                uint8_t cause, const struct tollgate_counters *totals, uint64_t at_ms)
{
    struct tollgate_body body;
    tollgate_begin(&body, session);
    tollgate_put_said(&body, TOLLGATE_TAG_AT, &at_ms, 8);
    tollgate_put(&body, TOLLGATE_TAG_CAUSE, &cause, 1);
    if (totals) {
        tollgate_put(&body, TOLLGATE_TAG_TOTALS_V4, &totals->v4, sizeof totals->v4);
        tollgate_put(&body, TOLLGATE_TAG_TOTALS_V6, &totals->v6, sizeof totals->v6);
    }
    return tollgate_end(plane, ring, TOLLGATE_KIND_DOWN, session, &body);
}

TOLLGATE_API int tollgate_reset(struct tollgate_plane *plane, uint32_t ring, struct tollgate_octets session,
                                 struct tollgate_slot slot)
{
    struct tollgate_body body;
    tollgate_begin(&body, session);
    tollgate_put_slot(&body, slot);
    return tollgate_end(plane, ring, TOLLGATE_KIND_RESET, session, &body);
}

TOLLGATE_API int tollgate_resync_begin(struct tollgate_plane *plane, uint32_t ring)
{
    return tollgate_say(plane, ring, TOLLGATE_KIND_RESYNC_BEGIN, 0, NULL, 0);
}

TOLLGATE_API int tollgate_resync_end(struct tollgate_plane *plane, uint32_t ring)
{
    return tollgate_say(plane, ring, TOLLGATE_KIND_RESYNC_END, 0, NULL, 0);
}

TOLLGATE_API int tollgate_taken_over(const struct tollgate_plane *plane)
{
    uint32_t ring;
    for (ring = 0; ring < plane->header.rings; ring++) {
        uint64_t control = tollgate_ring_offset(plane, ring);
        if (tollgate_load(plane, control + TOLLGATE_PRODUCED) != tollgate_load(plane, control + TOLLGATE_CONSUMED))
            return 0;
    }
    return 1;
}

/* ---- Counters ---- */

/* Takes a slot from its session; afterwards no total of the next one can be taken for its. */
static inline void tollgate_slot_clear(struct tollgate_plane *plane, uint32_t slot)
{
    uint64_t *words = tollgate_word(plane, tollgate_slot_offset(plane, slot));
    __atomic_store_n(words, words[0] & ~0xffffffffull, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

TOLLGATE_API struct tollgate_slot tollgate_slot_renew(struct tollgate_plane *plane, uint32_t slot)
{
    uint64_t *words = tollgate_word(plane, tollgate_slot_offset(plane, slot));
    uint32_t last = (uint32_t)(words[0] >> 32);
    size_t index, count = plane->header.slot_bytes == 128 ? 8 : 4;
    struct tollgate_slot renewed;
    if (last == 0)
        last = (uint32_t)(plane->header.epoch >> 32);
    renewed.slot = slot;
    renewed.generation = last + 1 ? last + 1 : 1;
    tollgate_slot_clear(plane, slot);
    for (index = 1; index <= count; index++)
        __atomic_store_n(&words[index], 0, __ATOMIC_RELAXED);
    __atomic_store_n(words, (uint64_t)renewed.generation << 32 | renewed.generation, __ATOMIC_RELEASE);
    return renewed;
}

TOLLGATE_API int tollgate_slot_alloc(struct tollgate_plane *plane, struct tollgate_slot *slot)
{
    if (plane->free_count == 0)
        return -ENOSPC;
    *slot = tollgate_slot_renew(plane, plane->free_slots[--plane->free_count]);
    return 0;
}

TOLLGATE_API void tollgate_slot_free(struct tollgate_plane *plane, struct tollgate_slot slot)
{
    if (slot.slot >= plane->header.slots ||
        (uint32_t)*tollgate_word(plane, tollgate_slot_offset(plane, slot.slot)) != slot.generation ||
        slot.generation == 0)
        return;
    tollgate_slot_clear(plane, slot.slot);
    plane->free_slots[plane->free_count++] = slot.slot;
}

TOLLGATE_API void tollgate_store(struct tollgate_plane *plane, struct tollgate_slot slot,
                                  const struct tollgate_counters *totals)
{
    uint64_t *words = tollgate_word(plane, tollgate_slot_offset(plane, slot.slot));
    const struct tollgate_totals *v4 = &totals->v4, *v6 = &totals->v6;
    int dual_stack = plane->header.slot_bytes == 128;
    __atomic_store_n(&words[1], v4->in_octets + (dual_stack ? 0 : v6->in_octets), __ATOMIC_RELAXED);
    __atomic_store_n(&words[2], v4->in_packets + (dual_stack ? 0 : v6->in_packets), __ATOMIC_RELAXED);
    __atomic_store_n(&words[3], v4->out_octets + (dual_stack ? 0 : v6->out_octets), __ATOMIC_RELAXED);
    __atomic_store_n(&words[4], v4->out_packets + (dual_stack ? 0 : v6->out_packets), __ATOMIC_RELAXED);
    if (dual_stack) {
        __atomic_store_n(&words[5], v6->in_octets, __ATOMIC_RELAXED);
        __atomic_store_n(&words[6], v6->in_packets, __ATOMIC_RELAXED);
        __atomic_store_n(&words[7], v6->out_octets, __ATOMIC_RELAXED);
        __atomic_store_n(&words[8], v6->out_packets, __ATOMIC_RELAXED);
    }
}

/* ---- Verdicts and waiting ---- */

static inline uint64_t tollgate_verdict_offset(const struct tollgate_plane *plane)
{
    return plane->header.verdicts_offset + TOLLGATE_RING_CONTROL_BYTES +
           plane->verdicts_read % plane->header.verdicts * TOLLGATE_VERDICT_BYTES;
}

TOLLGATE_API int tollgate_poll_verdict(struct tollgate_plane *plane, struct tollgate_verdict *verdict)
{
    struct tollgate_verdict_record record;
    uint64_t offset = tollgate_verdict_offset(plane);
    uint64_t consumed = plane->header.verdicts_offset + TOLLGATE_CONSUMED;
    if (tollgate_load(plane, offset) != plane->verdicts_read + 1)
        return 0;
    memcpy(&record, plane->memory + offset, sizeof record);
    plane->verdicts_read++;
    __atomic_store_n(tollgate_word(plane, consumed), plane->verdicts_read, __ATOMIC_RELEASE);
    tollgate_kick(plane, TOLLGATE_ENGINE_WANTS_ROOM);
    verdict->sentence = record.sentence;
    verdict->reason = record.reason;
    verdict->session_len = record.session_len < TOLLGATE_SESSION_MAX ? record.session_len : TOLLGATE_SESSION_MAX;
    memcpy(verdict->session, record.session, sizeof record.session);
    verdict->slot.slot = record.slot;
    verdict->slot.generation = record.generation;
    return 1;
}

TOLLGATE_API int tollgate_is_on(const struct tollgate_verdict *verdict, struct tollgate_slot slot)
{
    struct tollgate_slot said = verdict->slot;
    return said.generation == 0 || (said.slot == slot.slot && said.generation == slot.generation);
}

/* Whether the engine came further in a ring since this was last asked. */
static inline int tollgate_progressed(struct tollgate_plane *plane)
{
    int any = 0;
    uint32_t ring;
    for (ring = 0; ring < plane->header.rings; ring++) {
        uint64_t consumed = tollgate_load(plane, tollgate_ring_offset(plane, ring) + TOLLGATE_CONSUMED);
        any |= consumed != plane->rings[ring].waited_at;
        plane->rings[ring].waited_at = consumed;
    }
    return any;
}

TOLLGATE_API void tollgate_wait(struct tollgate_plane *plane, int timeout_ms)
{
    uint64_t *waiting = tollgate_word(plane, TOLLGATE_PLANE_WAITING), now = tollgate_now_ms(), kicks;
    struct pollfd polled[2];
    ssize_t drained;
    if (plane->state != TOLLGATE_UP && plane->path.sun_path[0] != 0) {
        uint64_t left = plane->retry_at_ms > now ? plane->retry_at_ms - now : 0;
        if (timeout_ms < 0 || left < (uint64_t)timeout_ms)
            timeout_ms = (int)left;
    }
    __atomic_store_n(waiting, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!tollgate_progressed(plane) &&
        tollgate_load(plane, tollgate_verdict_offset(plane)) != plane->verdicts_read + 1) {
        polled[0].fd = plane->plane_bell;
        polled[1].fd = plane->socket; /* negative: passed over */
        polled[0].events = polled[1].events = POLLIN;
        poll(polled, 2, timeout_ms);
        tollgate_progressed(plane);
    }
    __atomic_store_n(waiting, 0, __ATOMIC_RELAXED);
    drained = read(plane->plane_bell, &kicks, sizeof kicks);
    (void)drained; /* nothing to read is fine */
}

/* ---- A whole resync ---- */

/* Whether to say it again: the ring was full, and the time is not over. */
static inline int tollgate_insists(struct tollgate_plane *plane, int said, uint64_t until_ms, void *context,
                                   void (*obey)(void *context, const struct tollgate_verdict *verdict))
{
    struct tollgate_verdict verdict;
    uint64_t now = tollgate_now_ms();
    if (said != -EAGAIN || now >= until_ms)
        return 0;
    while (obey && tollgate_poll_verdict(plane, &verdict))
        obey(context, &verdict);
    tollgate_wait(plane, (int)(until_ms - now));
    return 1;
}

/* A resync event in every ring. */
static inline int tollgate_everywhere(struct tollgate_plane *plane, int (*say)(struct tollgate_plane *, uint32_t),
                                      int patience_ms, void *context,
                                      void (*obey)(void *context, const struct tollgate_verdict *verdict))
{
    uint64_t until = tollgate_now_ms() + (uint64_t)patience_ms;
    uint32_t ring;
    int said = 0;
    for (ring = 0; ring < plane->header.rings && said == 0; ring++)
        do
            said = say(plane, ring);
        while (tollgate_insists(plane, said, until, context, obey));
    return said;
}

TOLLGATE_API int tollgate_announce(struct tollgate_plane *plane, uint32_t ring,
                                   int (*next)(void *context, struct tollgate_live *live),
                                   void (*obey)(void *context, const struct tollgate_verdict *verdict), void *context,
                                   int patience_ms)
{
    struct tollgate_live live;
    int said = patience_ms < 0 ? -EINVAL : tollgate_everywhere(plane, tollgate_resync_begin, patience_ms, context, obey);
    memset(&live, 0, sizeof live);
    while (said == 0 && next(context, &live)) {
        uint64_t until = tollgate_now_ms() + (uint64_t)patience_ms;
        do
            said = tollgate_up(plane, ring, live.session, live.subscriber, live.slot, live.at_ms);
        while (tollgate_insists(plane, said, until, context, obey));
        memset(&live, 0, sizeof live);
    }
    return said != 0 ? said : tollgate_everywhere(plane, tollgate_resync_end, patience_ms, context, obey);
}

TOLLGATE_API uint32_t tollgate_version(void)
{
    return TOLLGATE_HEADER_VERSION;
}

#endif

#ifdef __cplusplus
}
#endif

#endif
