use super::*;
use crate::links::Link;
use proptest::prelude::*;

/// A message as the kernel would write it.
pub(crate) fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap();
    let mut out = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &2_u16.to_ne_bytes()].concat();
    out.extend([&sequence.to_ne_bytes()[..], &77_u32.to_ne_bytes(), body].concat());
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut out = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// `struct rtnl_link_stats64`: packets in and out, octets in and out, and twenty numbers more.
fn statistics_of(numbers: [u64; 4]) -> Vec<u8> {
    numbers.into_iter().chain([9; 20]).flat_map(u64::to_ne_bytes).collect()
}

fn link_body(family: u8, index: i32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![family, 0];
    out.extend([&512_u16.to_ne_bytes()[..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]].concat());
    out.extend(attributes.concat());
    out
}

fn stats_body(index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut out = [&[0; 4][..], &index.to_ne_bytes(), &[0; 4]].concat();
    out.extend(attributes.concat());
    out
}

const TOTALS: Totals = Totals { in_octets: 300, in_packets: 1, out_octets: 400, out_packets: 2 };

fn check(datagram: &[u8], expected: &[Result<Body<'_>, Malformed>]) {
    let found: Vec<_> = messages(datagram).map(|message| message.map(|message| message.body)).collect();
    assert_eq!(found, expected);
}

#[test]
fn an_interface_is_told_with_its_final_statistics() {
    let attributes =
        [attribute(3, b"ppp0\0"), attribute(1, &[2, 0, 0, 0, 0, 1]), attribute(23, &statistics_of([1, 2, 300, 400]))];
    let body = link_body(0, 7, IFF_UP_RUNNING, &attributes);
    let datagram = [message(RTM_NEWLINK, 0, &body), message(RTM_DELLINK, 0, &body)].concat();
    let link = LinkMessage {
        index: 7,
        hardware: 512,
        name: b"ppp0",
        address: &[2, 0, 0, 0, 0, 1],
        up: true,
        running: true,
        totals: Some(TOTALS),
    };
    check(&datagram, &[Ok(Body::NewLink(link)), Ok(Body::DelLink(link))]);
    let kept = Link {
        index: 7,
        name: "ppp0".to_owned(),
        hardware: 512,
        address: vec![2, 0, 0, 0, 0, 1],
        up: true,
        running: true,
    };
    assert_eq!(link.link(), kept);
}

const IFF_UP_RUNNING: u32 = 0x41;

#[test]
fn a_port_that_leaves_a_bridge_stays_an_interface() {
    let body = link_body(7, 7, 0, &[attribute(3, b"ppp0\0")]);
    check(&message(RTM_DELLINK, 0, &body), &[Ok(Body::Other)]);
}

#[test]
fn statistics_are_read_and_a_dump_ends() {
    let of = |index, numbers| {
        let attributes = [attribute(2, &[0; 8]), attribute(1, &statistics_of(numbers))];
        message(RTM_NEWSTATS, 5, &stats_body(index, &attributes))
    };
    let mut datagram = [of(3, [1, 2, 300, 400]), of(4, [0; 4]), message(NLMSG_DONE, 5, &[0; 4])].concat();
    let statistics = |index, totals| Ok(Body::Statistics { index, totals });
    check(&datagram, &[statistics(3, TOTALS), statistics(4, Totals::default()), Ok(Body::Done(0))]);
    assert!(
        messages(&datagram).all(|message| message.is_ok_and(|message| message.sequence == 5 && !message.interrupted))
    );
    datagram[6] |= 0x10;
    let interrupted: Vec<bool> = messages(&datagram).map(|message| message.unwrap().interrupted).collect();
    assert!(interrupted[0] && !interrupted[1..].contains(&true), "{interrupted:?}");
    check(&message(RTM_NEWSTATS, 5, &stats_body(3, &[])), &[Ok(Body::Other)]);
}

#[test]
fn answers_carry_a_number_of_errno() {
    let refused = message(NLMSG_ERROR, 1, &[&(-95_i32).to_ne_bytes()[..], &[0; 16]].concat());
    check(&refused, &[Ok(Body::Answer(95))]);
    check(&message(NLMSG_ERROR, 1, &[0; 20]), &[Ok(Body::Answer(0))]);
    check(&message(NLMSG_DONE, 1, &(-4_i32).to_ne_bytes()), &[Ok(Body::Done(4))]);
    check(&message(NLMSG_DONE, 1, &[]), &[Ok(Body::Done(0))]);
    check(&message(NLMSG_OVERRUN, 0, &[]), &[Ok(Body::Overrun)]);
    check(&message(NLMSG_ERROR, 1, &i32::MIN.to_ne_bytes()), &[Ok(Body::Answer(i32::MIN))]);
}

#[test]
fn what_makes_no_sense_is_named() {
    let named = attribute(3, b"ppp0\0");
    let link = |index, attributes: &[Vec<u8>]| message(RTM_NEWLINK, 0, &link_body(0, index, 0, attributes));
    let mut long = message(NLMSG_DONE, 0, &[0; 4]);
    long[0] = 99;
    let mut short = message(NLMSG_DONE, 0, &[]);
    short[0] = 15;
    let mut overrun = link(7, std::slice::from_ref(&named));
    overrun[HEADER_BYTES + 16] = 99;
    let mut empty = link(7, std::slice::from_ref(&named));
    empty[HEADER_BYTES + 16] = 3;
    for (datagram, why) in [
        (vec![0; 3], Malformed::Length),
        (vec![0; 16], Malformed::Length),
        (long, Malformed::Length),
        (short, Malformed::Length),
        (message(RTM_NEWLINK, 0, &[0; 15]), Malformed::Body),
        (message(RTM_NEWLINK, 0, &[]), Malformed::Body),
        (message(RTM_NEWSTATS, 0, &[1; 11]), Malformed::Body),
        (message(NLMSG_ERROR, 0, &[0; 3]), Malformed::Body),
        (overrun, Malformed::Attribute),
        (empty, Malformed::Attribute),
        (link(0, std::slice::from_ref(&named)), Malformed::Value),
        (link(-1, std::slice::from_ref(&named)), Malformed::Value),
        (link(7, &[]), Malformed::Value),
        (link(7, &[attribute(3, b"\0ppp")]), Malformed::Value),
        (link(7, &[named.clone(), attribute(23, &[0; 31])]), Malformed::Value),
        (message(RTM_NEWSTATS, 0, &stats_body(1, &[attribute(1, &[0; 24])])), Malformed::Value),
        (message(RTM_NEWSTATS, 0, &stats_body(0, &[])), Malformed::Value),
    ] {
        check(&[datagram, message(NLMSG_DONE, 0, &[0; 4])].concat(), &[Err(why)]);
    }
}

#[test]
fn requests_stand_as_the_kernel_reads_them() {
    let flags = |request: &[u8]| u16_at(request, 6).unwrap();
    let statistics = dump_statistics(9);
    assert_eq!((u32_at(&statistics, 0), u16_at(&statistics, 4)), (Some(28), Some(94)));
    assert_eq!((flags(&statistics), u32_at(&statistics, 8), u32_at(&statistics, 24)), (0x301, Some(9), Some(1)));
    let links = dump_links(9);
    assert_eq!((u32_at(&links, 0), u16_at(&links, 4), flags(&links)), (Some(40), Some(18), 0x301));
    assert_eq!((u16_at(&links, 32), u16_at(&links, 34), u32_at(&links, 36)), (Some(8), Some(29), Some(8)));
    let one = get_link(9, 7);
    assert_eq!((u32_at(&one, 0), u16_at(&one, 4), flags(&one), u32_at(&one, 20)), (Some(32), Some(18), 1, Some(7)));
}

proptest! {
    /// Whatever comes, there is an end, and an error is the last item.
    #[test]
    fn any_octets_are_borne(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let found: Vec<_> = messages(&octets).collect();
        prop_assert!(found.len() <= octets.len() / HEADER_BYTES + 1);
        prop_assert!(found.iter().rev().skip(1).all(Result::is_ok));
    }

    /// Octets behind a sound header reach the bodies.
    #[test]
    fn any_body_is_borne(kind in prop_oneof![Just(RTM_NEWLINK), Just(RTM_DELLINK), Just(RTM_NEWSTATS), 0_u16..5],
                         body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(messages(&message(kind, 1, &body)).count(), 1);
    }
}
