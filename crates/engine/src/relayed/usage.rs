//! What a NAS says that a session has counted, beside what it said before.
//!
//! Octets of 32 bits turn over; gigawords say how often. A NAS that says none turns them over in silence, and one that lost its
//! counters begins again: the two look alike, but for the packets. These turn over too, long after the octets; so where both fall,
//! they have begun again.

use model::counters::Totals;
use wire::radius::accounting::Usage;

/// What a report tells of octets and packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing at all: some NAS leave it out of the Stop of a session that they have lost.
    Nothing,
    /// These are the totals now.
    More(Totals),
    /// They began at zero again, and come to this since.
    Anew(Totals),
}

/// Reads what is said behind `last`. `is_wide`: the NAS has said gigawords of this session before.
pub(crate) fn read_usage(last: &Totals, usage: &Usage, is_wide: bool) -> Told {
    let octets = |said: Option<u32>, gigawords: Option<u32>| {
        said.map(|said| u64::from(gigawords.unwrap_or_default()) << 32 | u64::from(said))
    };
    let in_octets = octets(usage.in_octets, usage.in_gigawords);
    let out_octets = octets(usage.out_octets, usage.out_gigawords);
    let packets = [usage.in_packets, usage.out_packets];
    if [in_octets, out_octets].into_iter().flatten().all(|octets| octets == 0)
        && packets.into_iter().flatten().all(|packets| packets == 0)
    {
        return Told::Nothing;
    }
    let is_wide = is_wide || usage.in_gigawords.is_some() || usage.out_gigawords.is_some();
    let fell = |last: u64, said: Option<u32>| said.is_some_and(|said| said < low_of(last));
    // Octets as they are, or turned over; `None`: they began again.
    let go_on = |last: u64, said: Option<u64>, packets_fell: bool| match said {
        None => Some(last),
        Some(said) if said >= last => Some(said),
        Some(said) if is_wide || packets_fell && said < u64::from(low_of(last)) => None,
        Some(said) => Some(widened(last, low_of(said))),
    };
    let turned = |last: u64, said: Option<u32>| said.map_or(last, |said| widened(last, said));
    let goes_in = go_on(last.in_octets, in_octets, fell(last.in_packets, usage.in_packets));
    let goes_out = go_on(last.out_octets, out_octets, fell(last.out_packets, usage.out_packets));
    match goes_in.zip(goes_out) {
        Some((in_octets, out_octets)) => Told::More(Totals {
            in_octets,
            in_packets: turned(last.in_packets, usage.in_packets),
            out_octets,
            out_packets: turned(last.out_packets, usage.out_packets),
        }),
        None => Told::Anew(Totals {
            in_octets: in_octets.unwrap_or_default(),
            in_packets: usage.in_packets.unwrap_or_default().into(),
            out_octets: out_octets.unwrap_or_default(),
            out_packets: usage.out_packets.unwrap_or_default().into(),
        }),
    }
}

/// What 32 bits of a counter say, when it stood at `last` and has turned over once since at most.
fn widened(last: u64, low: u32) -> u64 {
    last.wrapping_add(low.wrapping_sub(low_of(last)).into())
}

/// As a counter of 32 bits says it.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
pub(super) fn low_of(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: u64 = 1 << 32;

    fn totals(in_octets: u64, in_packets: u64) -> Totals {
        Totals { in_octets, in_packets, ..Totals::default() }
    }

    fn usage(in_octets: u32, in_gigawords: Option<u32>, in_packets: u32) -> Usage {
        Usage { in_octets: Some(in_octets), in_gigawords, in_packets: Some(in_packets), ..Usage::default() }
    }

    #[test]
    fn octets_go_on_turn_over_or_begin_again() {
        let more = |octets, packets| Told::More(totals(octets, packets));
        let anew = |octets, packets| Told::Anew(totals(octets, packets));
        for (last, said, is_wide, expected) in [
            (totals(0, 0), usage(7, None, 1), false, more(7, 1)),
            (totals(7, 1), usage(9, None, 2), false, more(9, 2)),
            // Without gigawords: over, and over again.
            (totals(4_000_000_000, 100), usage(5, None, 200), false, more(TURN + 5, 200)),
            (totals(TURN + 5, 200), usage(3, None, 300), false, more(2 * TURN + 3, 300)),
            (totals(TURN + 5, 200), usage(9, None, 300), false, more(TURN + 9, 300)),
            // The NAS never counts packets.
            (totals(4_000_000_000, 0), usage(5, None, 0), false, more(TURN + 5, 0)),
            (totals(4_000_000_000, 9), Usage { in_packets: None, ..usage(5, None, 0) }, false, more(TURN + 5, 9)),
            // It counts no octets for once.
            (totals(TURN + 5, 9), Usage { in_octets: None, ..usage(0, None, 10) }, true, more(TURN + 5, 10)),
            // Packets fall as well.
            (totals(4_000_000_000, 100), usage(5, None, 1), false, anew(5, 1)),
            (totals(TURN + 90, 100), usage(5, None, 1), false, anew(5, 1)),
            // With gigawords.
            (totals(TURN + 5, 9), usage(1, Some(2), 10), true, more(2 * TURN + 1, 10)),
            (totals(TURN + 5, 9), usage(1, Some(0), 1), true, anew(1, 1)),
            (totals(TURN + 5, 9), usage(1, None, 10), true, anew(1, 10)),
            (totals(5, 9), usage(1, Some(1), 10), false, more(TURN + 1, 10)),
            // Packets turn over by themselves.
            (totals(TURN, TURN - 1), usage(5, Some(1), 4), true, more(TURN + 5, TURN + 4)),
            // Nothing is said.
            (totals(5, 9), usage(0, None, 0), false, Told::Nothing),
            (totals(5, 9), Usage::default(), false, Told::Nothing),
            (totals(TURN + 5, 9), usage(0, Some(0), 0), true, Told::Nothing),
        ] {
            assert_eq!(read_usage(&last, &said, is_wide), expected, "{said:?} behind {last:?}");
        }
    }
}
