use super::*;
use crate::verdict::CutBy;
use proptest::prelude::*;

/// Numbers of every length.
fn numbers() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..=64u32).prop_map(|(number, bits)| number.checked_shr(bits).unwrap_or(0))
}

fn totals() -> impl Strategy<Value = Totals> {
    [numbers(), numbers(), numbers(), numbers()].prop_map(|[in_octets, in_packets, out_octets, out_packets]| Totals {
        in_octets,
        in_packets,
        out_octets,
        out_packets,
    })
}

fn sampled() -> impl Strategy<Value = Sampled> {
    let epochs = prop_oneof![4 => Just(7u32), 1 => any::<u32>()];
    let moments = prop_oneof![1 => Just(123_456_789_012_345u64), 1 => numbers()];
    let v6 = prop_oneof![1 => Just(Totals::default()), 1 => totals()];
    let failures = prop_oneof![3 => Just(0u16), 1 => any::<u16>()];
    (epochs, numbers(), moments, totals(), v6, failures).prop_map(|(epoch, sequence, at, v4, v6, interim_failures)| {
        let (serial, at) = (SessionSerial { epoch, sequence }, Mono::from_nanos(at));
        Sampled { serial, at, counters: Counters { v4, v6 }, interim_failures, cut: None }
    })
}

/// All of them, which fit.
fn written(samples: &[Sampled]) -> Vec<u8> {
    let mut room = [0; Samples::LEN_MAX];
    let mut writer = SamplesWriter::new(&mut room);
    samples.iter().for_each(|sampled| writer.push(sampled).unwrap());
    writer.finish().map_or(Vec::new(), |samples| samples.octets().to_vec())
}

fn read(octets: &[u8]) -> Option<Vec<Sampled>> {
    Samples::from_octets(octets).map(|samples| samples.iter().collect())
}

fn plain(sequence: u64) -> Sampled {
    let v4 = Totals { in_octets: 1 << 33, in_packets: 1 << 24, out_octets: 1 << 36, out_packets: 1 << 27 };
    Sampled {
        serial: SessionSerial { epoch: 3, sequence },
        at: Mono::from_nanos(86_400_000_000_000),
        counters: Counters { v4, v6: Totals::default() },
        interim_failures: 0,
        cut: None,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(samples in prop::collection::vec(sampled(), 1..40)) {
        let octets = written(&samples);
        let judged = Samples::from_octets(&octets).unwrap();
        prop_assert_eq!(judged.iter().collect::<Vec<_>>(), &samples[..]);
        prop_assert_eq!(judged.count(), samples.len());
        prop_assert_eq!(Some(judged.epoch()), samples.iter().map(|sampled| sampled.serial.epoch).max());
    }

    #[test]
    fn any_octets_are_borne_and_what_they_say_has_one_form(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let before_the_first_bad = Samples::read(&octets).collect::<Vec<_>>();
        if let Some(samples) = read(&octets) {
            prop_assert_eq!(&written(&samples), &octets);
            prop_assert_eq!(samples, before_the_first_bad);
        }
    }

    #[test]
    fn what_was_changed_says_something_else_or_nothing(
        samples in prop::collection::vec(sampled(), 1..10), at: prop::sample::Index, bits in 1u8..,
    ) {
        let mut octets = written(&samples);
        let at = at.index(octets.len());
        octets[at] ^= bits;
        if let Some(other) = read(&octets) {
            prop_assert_eq!(&written(&other), &octets);
            prop_assert_ne!(other, samples);
        }
    }

    #[test]
    fn what_was_cut_off_says_less_or_nothing(samples in prop::collection::vec(sampled(), 1..10), at: prop::sample::Index) {
        let octets = written(&samples);
        let rest = read(&octets[..at.index(octets.len())]).unwrap_or_default();
        prop_assert!(rest.len() < samples.len() && samples.starts_with(&rest));
    }
}

#[test]
fn numbers_are_as_short_as_they_can_be() {
    for bits in 0..64 {
        for number in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
            let mut entry = Entry { octets: [0; ENTRY_LEN_MAX], len: 0 };
            entry.number(number);
            for octets in [&entry.octets[..entry.len], &entry.octets[..]] {
                let mut entries = Entries { rest: octets, before: BEFORE };
                assert_eq!(entries.number(), Some(number));
                assert_eq!(entries.rest.len(), octets.len() - entry.len);
            }
            assert!(entry.len == 9 || number < 1 << (7 * entry.len));
            assert!(entry.len == 1 || number >= 1 << (7 * (entry.len - 1)));
        }
    }
}

#[test]
fn nothing_is_said_that_goes_without_saying() {
    let good = [OTHER_EPOCH | OTHER_MOMENT | HAS_V6 | HAS_FAILURES, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 3, 3];
    assert_eq!(read(&good).map(|samples| samples.len()), Some(1));
    for (what, at) in [("epoch", 1), ("moment", 3), ("v6", 11), ("failures", 12)] {
        let mut octets = good;
        octets[at] = 1;
        assert_eq!(read(&octets), None, "{what} that is zero");
    }
    let long = [0, 0b110, 0, 1, 1, 1, 1];
    assert_eq!(read(&long), None, "a number that could be shorter");
    assert_eq!(read(&[16, 3, 1, 1, 1, 1]), None, "an unknown switch");
    assert_eq!(read(&[]), None, "nobody");
}

#[test]
fn the_widest_values_have_room() {
    let most = Totals { in_octets: u64::MAX, in_packets: u64::MAX, out_octets: u64::MAX, out_packets: u64::MAX };
    let first = Sampled {
        serial: SessionSerial { epoch: u32::MAX, sequence: 1 << 63 },
        at: Mono::from_nanos(1 << 63),
        counters: Counters { v4: most, v6: most },
        interim_failures: u16::MAX,
        cut: None,
    };
    let second = Sampled { serial: SessionSerial { epoch: 0, sequence: u64::MAX }, at: Mono::ZERO, ..first };
    let samples = [first, second];
    assert_eq!(read(&written(&samples)).as_deref(), Some(&samples[..]));
}

#[test]
fn as_many_are_taken_as_fit() {
    let mut room = [0xFF; 2 * Samples::LEN_MAX];
    let mut writer = SamplesWriter::new(&mut room);
    let mut taken = 0;
    while writer.push(&plain(3 * taken)).is_ok() {
        taken += 1;
    }
    let samples = writer.finish().unwrap();
    assert_eq!(samples.count() as u64, taken);
    assert!((Samples::LEN_MAX - 30..=Samples::LEN_MAX).contains(&samples.octets().len()));
    // Of 75 octets that one takes alone.
    assert!(taken > 160, "only {taken}");
    assert_eq!(Samples::from_octets(samples.octets()), Some(samples));

    let mut small = [0; 8];
    let mut writer = SamplesWriter::new(&mut small);
    assert_eq!(writer.push(&plain(1)), Err(Full));
    assert_eq!(writer.finish(), None);
}

#[test]
#[should_panic(expected = "told of alone")]
fn nobody_who_is_cut_is_among_them() {
    let mut room = [0; 100];
    let _ = SamplesWriter::new(&mut room).push(&Sampled { cut: Some(CutBy::Operator), ..plain(1) });
}
