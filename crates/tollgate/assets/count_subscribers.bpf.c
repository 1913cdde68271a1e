/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Counts what each subscriber sends and receives, by its address, in maps that Tollgate reads.
 *
 *   clang -O2 -g -target bpf -I/usr/include/$(uname -m)-linux-gnu -c count_subscribers.bpf.c -o count_subscribers.o
 *   bpftool prog loadall count_subscribers.o /sys/fs/bpf/tollgate type classifier pinmaps /sys/fs/bpf/tollgate
 *   tc qdisc add dev ACCESS clsact
 *   tc filter add dev ACCESS ingress bpf direct-action object-pinned /sys/fs/bpf/tollgate/from_subscriber
 *   tc filter add dev ACCESS egress bpf direct-action object-pinned /sys/fs/bpf/tollgate/to_subscriber
 *
 * ACCESS is an interface that leads to subscribers, with or without an Ethernet header. Every packet passes. Counted are
 * the octets that the interface counts, its header included.
 *
 *   map              key                                        value
 *   subscribers_v4   4 octets, the address as on the wire       struct traffic, one for each CPU
 *   subscribers_v6   16 octets, of which V6_PREFIX bits count   the same
 *
 * An entry is made by the first packet of an address, and goes when somebody deletes it (bpftool map delete). Maps that
 * are full count no more addresses than they have: SUBSCRIBERS is the bound. A network whose subscribers can send from
 * foreign addresses filters them before this program, or they have entries as well.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef SUBSCRIBERS
#define SUBSCRIBERS 65536
#endif
#ifndef V6_PREFIX
#define V6_PREFIX 64
#endif

/* What Tollgate is told: in_octets at 0, in_packets at 8, out_octets at 16, out_packets at 24. */
struct traffic {
    __u64 in_octets;
    __u64 in_packets;
    __u64 out_octets;
    __u64 out_packets;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, SUBSCRIBERS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __be32);
    __type(value, struct traffic);
} subscribers_v4 SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, SUBSCRIBERS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct in6_addr);
    __type(value, struct traffic);
} subscribers_v6 SEC(".maps");

enum direction { FROM_SUBSCRIBER, TO_SUBSCRIBER };

static __always_inline void count(void *map, const void *key, __u32 octets, enum direction direction)
{
    struct traffic *traffic = bpf_map_lookup_elem(map, key);

    if (!traffic) {
        struct traffic nothing = {};

        /* Another CPU may have been faster, which is as good. */
        bpf_map_update_elem(map, key, &nothing, BPF_NOEXIST);
        traffic = bpf_map_lookup_elem(map, key);
        if (!traffic)
            return;
    }
    /* The value is this CPU's own, and nothing interrupts the program on it that counts as well. */
    if (direction == FROM_SUBSCRIBER) {
        traffic->in_octets += octets;
        traffic->in_packets++;
    } else {
        traffic->out_octets += octets;
        traffic->out_packets++;
    }
}

static __always_inline void keep_prefix(struct in6_addr *address)
{
#pragma unroll
    for (int word = 0; word < 4; word++) {
        int bits = V6_PREFIX - 32 * word;

        if (bits <= 0)
            address->s6_addr32[word] = 0;
        else if (bits < 32)
            address->s6_addr32[word] &= bpf_htonl(~0U << (32 - bits));
    }
}

static __always_inline int pass(struct __sk_buff *packet, enum direction direction)
{
    int is_from = direction == FROM_SUBSCRIBER;

    if (packet->protocol == bpf_htons(ETH_P_IP)) {
        __be32 address;
        __u32 at = is_from ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr);

        if (!bpf_skb_load_bytes_relative(packet, at, &address, sizeof(address), BPF_HDR_START_NET))
            count(&subscribers_v4, &address, packet->len, direction);
    } else if (packet->protocol == bpf_htons(ETH_P_IPV6)) {
        struct in6_addr address;
        __u32 at = is_from ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr);

        if (!bpf_skb_load_bytes_relative(packet, at, &address, sizeof(address), BPF_HDR_START_NET)) {
            keep_prefix(&address);
            count(&subscribers_v6, &address, packet->len, direction);
        }
    }
    return TC_ACT_UNSPEC;
}

SEC("classifier/from_subscriber")
int from_subscriber(struct __sk_buff *packet)
{
    return pass(packet, FROM_SUBSCRIBER);
}

SEC("classifier/to_subscriber")
int to_subscriber(struct __sk_buff *packet)
{
    return pass(packet, TO_SUBSCRIBER);
}

/* No helper is used that asks for more. */
char program_license[] SEC("license") = "MIT";
