/* A packet plane in C: it says one of every event, counts, and obeys. Run as: plane SOCKET. */
#include "tollgate_plane.h"

#include <stdio.h>

static struct tollgate_plane plane;

static void must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void until(int state)
{
    while (tollgate_poll(&plane) != state)
        tollgate_wait(&plane, 1000);
}

static void announce(struct tollgate_slot slot)
{
    struct tollgate_subscriber alice;
    char long_name[253];
    memset(&alice, 0, sizeof alice);
    memset(long_name, 'x', sizeof long_name);
    alice.user = tollgate_text("alice@isp");
    alice.domain = tollgate_text("isp");
    memcpy(alice.framed_ip, "\x64\x40\x00\x01", 4);
    memcpy(alice.framed_ipv6_prefix.address, "\x20\x01\x0d\xb8\x00\x01", 6);
    alice.framed_ipv6_prefix.length = 64;
    memcpy(alice.delegated_prefix.address, "\x20\x01\x0d\xb8\x80", 5);
    alice.delegated_prefix.length = 56;
    memcpy(alice.framed_ipv6_address, "\x20\x01\x0d\xb8\x00\x02\0\0\0\0\0\0\0\0\0\x07", 16);
    alice.interface_id = 0x0102030405060708ull;
    memcpy(alice.mac, "\x02\0\0\0\0\x01", 6);
    alice.calling = tollgate_text("02-00-00-00-00-01");
    alice.has = TOLLGATE_HAS_NAS_PORT | TOLLGATE_HAS_TIME_QUOTA | TOLLGATE_HAS_VOLUME_QUOTA;
    alice.nas_port = 16781313;
    alice.nas_port_id.at = long_name;
    alice.nas_port_id.len = sizeof long_name;
    alice.access = TOLLGATE_PPPOE;
    alice.authentic = TOLLGATE_RADIUS;
    alice.class_attributes[0] = tollgate_text("gold");
    alice.class_attributes[1].at = long_name;
    alice.class_attributes[1].len = sizeof long_name;
    alice.acct_interim_interval = 60;
    alice.session_timeout = 86400;
    alice.time_quota = 0;
    alice.volume_quota = 1ull << 40;
    alice.multi_session_id = tollgate_text("multi");
    memcpy(alice.auth_server, "\xc0\x00\x02\x07", 4);
    alice.auth_server_len = 4;
    must(tollgate_resync_begin(&plane, 0) == 0, "resync_begin");
    must(tollgate_up(&plane, 0, tollgate_text("s1"), &alice, slot, 1795000000250ull) == 0, "up");
    must(tollgate_resync_end(&plane, 0) == 0, "resync_end");
}

static void refuse_what_cannot_be_said(struct tollgate_slot slot)
{
    struct tollgate_subscriber bob;
    struct tollgate_slot none = {0, 0};
    memset(&bob, 0, sizeof bob);
    must(tollgate_up(&plane, 0, tollgate_text("s1"), &bob, slot, 0) == -EINVAL, "no user");
    bob.user = tollgate_text("bob");
    must(tollgate_up(&plane, 0, tollgate_text("s1"), &bob, none, 0) == -EINVAL, "no slot");
    must(tollgate_up(&plane, 0, tollgate_text(""), &bob, slot, 0) == -EINVAL, "no session");
    must(tollgate_up(&plane, 9, tollgate_text("s1"), &bob, slot, 0) == -EINVAL, "no ring");
    bob.delegated_prefix.length = 129;
    must(tollgate_update(&plane, 0, tollgate_text("s1"), &bob, 0) == -EINVAL, "a long prefix");
    bob.delegated_prefix.length = 0;
    bob.auth_server_len = 5;
    must(tollgate_update(&plane, 0, tollgate_text("s1"), &bob, 0) == -EINVAL, "no address");
}

static void live_and_leave(struct tollgate_slot slot)
{
    struct tollgate_subscriber changed;
    struct tollgate_counters totals = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    memset(&changed, 0, sizeof changed);
    changed.acct_interim_interval = 120;
    must(tollgate_update(&plane, 0, tollgate_text("s1"), &changed, 0) == 0, "update");
    slot = tollgate_slot_renew(&plane, slot.slot);
    must(tollgate_reset(&plane, 0, tollgate_text("s1"), slot) == 0, "reset");
    tollgate_store(&plane, slot, &totals);
    must(tollgate_down(&plane, 0, tollgate_text("s1"), 1, &totals, 1795000009250ull) == 0, "down");
    must(tollgate_down(&plane, 0, tollgate_text("s2"), 0, NULL, 0) == 0, "down without totals");
}

static void fill_the_ring(void)
{
    int said = 0;
    while (tollgate_down(&plane, 1, tollgate_text("s3"), 0, NULL, 0) == 0)
        said++;
    must(said == 16, "a ring of 16 records");
}

static void say_more_when_there_is_room(void)
{
    while (tollgate_down(&plane, 1, tollgate_text("s4"), 0, NULL, 0) == -EAGAIN)
        tollgate_wait(&plane, 1000);
}

int main(int argc, char **argv)
{
    struct tollgate_options options = {"c-plane", 2, 16, 10, 16, 1};
    struct tollgate_verdict verdict;
    struct tollgate_slot slot, other;
    alarm(20); /* a lost wake-up ends the test, it does not hang it */
    must(argc == 2 && tollgate_create(&plane, &options) == 0, "create");
    must(tollgate_slot_alloc(&plane, &slot) == 0 && tollgate_slot_alloc(&plane, &other) == 0, "two slots");
    tollgate_slot_free(&plane, other);
    tollgate_slot_free(&plane, other);
    must(plane.free_count == 9, "freed once");
    fill_the_ring();
    must(tollgate_connect(&plane, argv[1]) == 0, "connect");
    until(TOLLGATE_FRESH);
    announce(slot);
    while (!tollgate_poll_verdict(&plane, &verdict))
        tollgate_wait(&plane, 1000);
    must(verdict.sentence == TOLLGATE_ADMIT && verdict.reason == TOLLGATE_KNOWN, "admitted");
    must(verdict.session_len == 2 && memcmp(verdict.session, "s1", 2) == 0, "s1");
    must(verdict.slot.slot == slot.slot && verdict.slot.generation == slot.generation, "its slot");
    must(tollgate_is_on(&verdict, slot) && !tollgate_is_on(&verdict, other), "on this session alone");
    verdict.slot.generation = 0;
    must(tollgate_is_on(&verdict, other), "of a slot that nobody has said");
    refuse_what_cannot_be_said(slot);
    live_and_leave(slot);
    say_more_when_there_is_room();
    until(TOLLGATE_DOWN);
    until(TOLLGATE_FRESH);
    while (!tollgate_taken_over(&plane))
        tollgate_wait(&plane, 1000);
    tollgate_destroy(&plane);
    puts("done");
    return 0;
}
