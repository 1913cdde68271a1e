/*
 * The smallest packet plane: one subscriber, who comes online, moves something, and goes. Run as: small_plane SOCKET USER.
 *
 *     cc -std=c11 -I crates/plane/include -o small_plane crates/plane/examples/small_plane.c
 *
 * Or by the library, after scripts/plane-library DIR, with PKG_CONFIG_PATH=DIR/lib/pkgconfig:
 *
 *     cc -std=c11 -o small_plane crates/plane/examples/small_plane.c $(pkg-config --cflags --libs tollgate_plane)
 *
 * The loop in main is all that a plane needs: it links, links again however often the engine goes, and leaves when what it
 * said is on the engine's disk.
 */
#include "tollgate_plane.h"

#include <stdio.h>

enum { USER_REQUEST = 1, ROUNDS = 20 }; /* Acct-Terminate-Cause, RFC 2866 section 5.10; how often it counts */

static struct tollgate_plane plane;

static struct {
    struct tollgate_subscriber who;
    struct tollgate_slot slot;
    struct tollgate_counters totals;
    int is_online, has_gone, is_announced;
} alice;

/* The live sessions, one after the other. A plane with many has an index where this has a flag. */
static int next_live_session(void *context, struct tollgate_live *live)
{
    (void)context;
    if (alice.has_gone || alice.is_announced)
        return 0;
    live->session = tollgate_text("session-1");
    live->subscriber = &alice.who;
    live->slot = alice.slot;
    return alice.is_announced = 1;
}

/* The engine knows a session by the plane's name for it; here there is one. */
static void obey(void *context, const struct tollgate_verdict *verdict)
{
    (void)context;
    printf("verdict %u, reason %u\n", verdict->sentence, verdict->reason);
    alice.is_online = verdict->sentence == TOLLGATE_ADMIT || verdict->sentence == TOLLGATE_REDIRECT;
    alice.has_gone |= verdict->sentence == TOLLGATE_REFUSE;
}

/* What a packet plane does all day. Its last totals are in its down, so its slot is free at once. */
static void forward_packets(void)
{
    static int rounds, was_online;
    struct tollgate_totals *moved = &alice.totals.v4;
    if (alice.has_gone || (!alice.is_online && !was_online))
        return;
    was_online = 1;
    moved->in_octets += 1500, moved->in_packets += 1, moved->out_octets += 64, moved->out_packets += 1;
    tollgate_store(&plane, alice.slot, &alice.totals);
    if (++rounds < ROUNDS && alice.is_online) /* no more: it was cut */
        return;
    if (tollgate_down(&plane, 0, tollgate_text("session-1"), USER_REQUEST, &alice.totals, 0) != 0)
        return; /* the ring is full: said again in the next round */
    tollgate_slot_free(&plane, alice.slot);
    alice.has_gone = 1;
}

int main(int argc, char **argv)
{
    struct tollgate_options options = {"small-plane", 1, 256, 16, 64, 0};
    struct tollgate_verdict verdict;
    int link, is_fresh = 0;
    if (argc != 3 || tollgate_create(&plane, &options) != 0 || tollgate_connect(&plane, argv[1]) != 0 ||
        tollgate_slot_alloc(&plane, &alice.slot) != 0)
        return fprintf(stderr, "usage: small_plane SOCKET USER\n"), 2;
    alice.who.user = tollgate_text(argv[2]);

    while (!alice.has_gone || !tollgate_taken_over(&plane)) {
        link = tollgate_poll(&plane);
        if (link == TOLLGATE_REFUSED)
            fprintf(stderr, "the engine refuses: %s\n", tollgate_answer(&plane));
        is_fresh |= link == TOLLGATE_FRESH;
        alice.is_announced = 0;
        if (is_fresh && tollgate_announce(&plane, 0, next_live_session, obey, NULL, 1000) == 0)
            is_fresh = 0; /* else the ring was full for a second: once more in the next round */
        while (tollgate_poll_verdict(&plane, &verdict))
            obey(NULL, &verdict);
        forward_packets();
        tollgate_wait(&plane, 100);
    }
    printf("gone with %llu octets in\n", (unsigned long long)alice.totals.v4.in_octets);
    tollgate_destroy(&plane);
    return 0;
}
