//! Whether octets are a record, without making one of them. Recovery asks it of every record of a store; what a
//! record says is read when somebody wants to know.
//!
//! The verdict is [`decode()`]'s, always: the records of which a store has millions are judged here by their
//! lengths and the few octets that could hold a wrong value, and whatever does not pass so is decoded. Samples of many
//! are decoded too: that is one look at each.

use model::ids::SessionSerial;
use model::record::{Record, Sampled, TakenOver};
use model::samples::Samples;
use model::time::Mono;

use super::{
    BILL_ID_LEN, CLOSED_LEN, DecodeError, HAS_ACCEPTED, HAS_SAMPLED, KIND_ACCEPTED, KIND_ACKNOWLEDGED, KIND_BILLED,
    KIND_CHECKPOINTED, KIND_CLOSED, KIND_LEN, KIND_OPENED, KIND_SAMPLED, KIND_SAMPLED_MANY, KIND_START_FAILED,
    NAS_ADDRESS_LEN, OPENED_LEN_FIXED, OPENED_LENGTHS_LEN, SAMPLE_LEN, SAMPLED_MANY_LEN_FIXED, SCHEME_LEN,
    SCHEME_SWITCHES, SERIAL_LEN, SERVER_LEN, TAKEN_OVER_LEN, TERMS_DELAY_OFFLINE, TERMS_LEN, TERMS_SWITCHES, decode,
};

/// A session's serial as a record holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; SERIAL_LEN]);

impl From<SessionSerial> for SessionKey {
    fn from(serial: SessionSerial) -> SessionKey {
        let mut octets = [0; SERIAL_LEN];
        octets[..4].copy_from_slice(&serial.epoch.to_le_bytes());
        octets[4..].copy_from_slice(&serial.sequence.to_le_bytes());
        SessionKey(octets)
    }
}

impl SessionKey {
    pub(crate) fn serial(self) -> SessionSerial {
        let [a, b, c, d, sequence @ ..] = self.0;
        SessionSerial { epoch: u32::from_le_bytes([a, b, c, d]), sequence: u64::from_le_bytes(sequence) }
    }
}

const BILL_OPENED_AT: usize = KIND_LEN + BILL_ID_LEN + 3 + SERVER_LEN + NAS_ADDRESS_LEN + CLOSED_LEN;
const CHECKPOINT_OPENED_AT: usize = KIND_LEN + 1;

// Within what an `opened` record says.
const SCHEME_AT: usize = SERIAL_LEN + TAKEN_OVER_LEN;
const TERMS_AT: usize = SCHEME_AT + SCHEME_LEN;
const LENGTHS_AT: usize = OPENED_LEN_FIXED - OPENED_LENGTHS_LEN;

/// The session that a record speaks of, in the octets of a good one; `None`: of none, or of many.
pub(crate) fn session_key(record: &[u8]) -> Option<SessionKey> {
    let at = match *record.first()? {
        KIND_OPENED..=KIND_ACKNOWLEDGED => KIND_LEN,
        KIND_BILLED => BILL_OPENED_AT,
        KIND_CHECKPOINTED => CHECKPOINT_OPENED_AT,
        _ => return None,
    };
    record.get(at..)?.first_chunk().copied().map(SessionKey)
}

/// The event that an `opened`, a `closed` or a `checkpointed` record took over first, in the octets of a good one.
pub(crate) fn taken_over(record: &[u8]) -> Option<TakenOver> {
    let at = match *record.first()? {
        KIND_OPENED | KIND_CLOSED => KIND_LEN,
        KIND_CHECKPOINTED => CHECKPOINT_OPENED_AT,
        _ => return None,
    };
    let octets: &[u8; TAKEN_OVER_LEN] = record.get(at + SERIAL_LEN..)?.first_chunk()?;
    let [a, b, c, d, e, f, g, h, ring, ring_high, position @ ..] = *octets;
    Some(TakenOver {
        plane_epoch: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        ring: u16::from_le_bytes([ring, ring_high]),
        position: u64::from_le_bytes(position),
    })
}

/// What an `accepted` record says, in the octets of a good one.
pub(crate) fn accepted(record: &[u8]) -> Option<(Mono, bool)> {
    let (at, keep_accounting) = record.get(KIND_LEN + SERIAL_LEN..)?.split_first_chunk()?;
    (record.first() == Some(&KIND_ACCEPTED))
        .then_some((Mono::from_nanos(u64::from_le_bytes(*at)), keep_accounting == [1]))
}

/// What a good `sampled` record says beside its serial.
pub(crate) fn sample(record: &[u8]) -> Option<&[u8; SAMPLE_LEN]> {
    let at = if *record.first()? == KIND_SAMPLED { KIND_LEN + SERIAL_LEN } else { return None };
    record.get(at..)?.first_chunk()
}

/// What good octets say of many sessions, if they are a `sampled-many` record.
pub(crate) fn samples(record: &[u8]) -> impl Iterator<Item = Sampled> + '_ {
    let is_it = record.first() == Some(&KIND_SAMPLED_MANY);
    let samples = record.get(KIND_LEN + SAMPLED_MANY_LEN_FIXED..).filter(|_| is_it);
    Samples::read(samples.unwrap_or_default())
}

/// The plane's name in the octets of a good `opened` or `checkpointed` record.
pub(crate) fn plane(record: &[u8]) -> Option<&str> {
    let at = match *record.first()? {
        KIND_OPENED => KIND_LEN,
        KIND_CHECKPOINTED => CHECKPOINT_OPENED_AT,
        _ => return None,
    };
    let len = usize::from(*record.get(at + LENGTHS_AT)?);
    std::str::from_utf8(record.get(at + OPENED_LEN_FIXED..)?.get(..len)?).ok()
}

/// Judges octets, as [`decode()`] would. Gives the highest engine start that the record names; 0: none.
///
/// # Errors
///
/// Those of [`decode()`].
pub(crate) fn check(octets: &[u8]) -> Result<u32, DecodeError> {
    match (is_plainly_good(octets), session_key(octets)) {
        (true, Some(key)) => Ok(key.serial().epoch),
        _ => decode(octets).map(|record| epoch(&record)),
    }
}

/// Never true of octets that do not decode.
fn is_plainly_good(octets: &[u8]) -> bool {
    const FLAG: usize = 1;
    let is_flag = |octet: Option<&u8>| octet.is_some_and(|octet| *octet <= 1);
    match octets.first() {
        Some(&KIND_OPENED) => opened_end(octets, KIND_LEN) == Some(octets.len()),
        Some(&KIND_ACCEPTED) => octets.len() == KIND_LEN + SERIAL_LEN + 8 + FLAG && is_flag(octets.last()),
        Some(&KIND_START_FAILED) => octets.len() == KIND_LEN + SERIAL_LEN + FLAG && is_flag(octets.last()),
        // Sessions that are cut are few: they are decoded.
        Some(&KIND_SAMPLED) => octets.len() == KIND_LEN + SERIAL_LEN + SAMPLE_LEN && octets.last() == Some(&0),
        Some(&KIND_CLOSED) => octets.len() == KIND_LEN + CLOSED_LEN,
        Some(&KIND_ACKNOWLEDGED) => octets.len() == KIND_LEN + SERIAL_LEN,
        Some(&KIND_CHECKPOINTED) => {
            let Some(mut at) = opened_end(octets, CHECKPOINT_OPENED_AT) else { return false };
            let what = octets[KIND_LEN];
            if what & HAS_ACCEPTED != 0 {
                at += 8 + FLAG;
                if !is_flag(octets.get(at - FLAG)) {
                    return false;
                }
            }
            if what & HAS_SAMPLED != 0 {
                at += SAMPLE_LEN;
                if octets.get(at - 1) != Some(&0) {
                    return false;
                }
            }
            // Sessions whose Start failed, or that have ended, are few: they are decoded.
            what & !(HAS_ACCEPTED | HAS_SAMPLED) == 0 && at == octets.len()
        }
        _ => false,
    }
}

/// Where what an `opened` record says, from `at` on, ends; `None` when it is not plainly good.
fn opened_end(octets: &[u8], at: usize) -> Option<usize> {
    let fixed: &[u8; OPENED_LEN_FIXED] = octets.get(at..)?.first_chunk()?;
    let [mode, start_fail, _, _, _, _, interim_hash, _, policy, switches] =
        fixed[SCHEME_AT..].first_chunk().copied()?;
    let [plane, session, domain, group, attributes, attributes_high] = fixed[LENGTHS_AT..].first_chunk().copied()?;
    let texts_at = at + OPENED_LEN_FIXED;
    let session_at = texts_at + usize::from(plane);
    let domain_at = session_at + usize::from(session);
    let attributes_at = domain_at + usize::from(domain) + usize::from(group);
    // Other names than ASCII are decoded.
    let is_good = mode <= 1
        && start_fail <= 2
        && interim_hash <= 1
        && policy <= 1
        && switches & !SCHEME_SWITCHES == 0
        && are_good_terms(*fixed[TERMS_AT..].first_chunk()?)
        && octets.get(texts_at..session_at)?.is_ascii()
        && octets.get(domain_at..attributes_at)?.is_ascii();
    is_good.then_some(attributes_at + usize::from(u16::from_le_bytes([attributes, attributes_high])))
}

fn are_good_terms([switches, unit, seconds, seconds_high, user_types, _]: [u8; TERMS_LEN]) -> bool {
    let delay_is_good = match [seconds, seconds_high] {
        [0, 0] => user_types == 0 && switches & TERMS_DELAY_OFFLINE == 0,
        _ => (1..=0b1111).contains(&user_types),
    };
    switches & !TERMS_SWITCHES == 0 && unit <= 3 && delay_is_good
}

/// The highest engine start that a record names. An epoch that any name carries has been used.
fn epoch(record: &Record<'_>) -> u32 {
    match record {
        Record::Started(started) => started.epoch,
        Record::Opened(opened) => opened.serial.epoch,
        Record::Accepted(accepted) => accepted.serial.epoch,
        Record::StartFailed(failed) => failed.serial.epoch,
        Record::Sampled(sampled) => sampled.serial.epoch,
        Record::SampledMany(samples) => samples.epoch(),
        Record::Closed(closed) => closed.serial.epoch,
        Record::Acknowledged(acknowledged) => acknowledged.serial.epoch,
        Record::Billed(bill) => bill.id.epoch.max(bill.opened.serial.epoch),
        Record::Checkpointed(session) => session.opened.serial.epoch,
        Record::Claimed(claimed) => claimed.id.epoch,
        Record::Returned(returned) => returned.id.epoch,
        Record::Departed(departed) => departed.bills.iter().map(|run| run.first.epoch).max().unwrap_or(0),
        Record::TransferBegun(begun) => begun.bills.iter().map(|run| run.first.epoch).max().unwrap_or(0),
        Record::Heard(_) | Record::Announced(_) | Record::Booted(_) | Record::TransferAbandoned(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{RECORD_LEN_MAX, encode};
    use model::counters::{CounterSlot, Counters, Totals};
    use model::domain::{Allowance, Terms};
    use model::ids::BillId;
    use model::record::{
        Accepted, Acknowledged, Bill, BillReason, Checkpointed, Closed, Delivered, Opened, Sampled, StartFailed,
        ZeroStop,
    };
    use model::samples::SamplesWriter;
    use model::settings::PinnedScheme;
    use model::time::Now;
    use model::verdict::CutBy;
    use proptest::prelude::*;

    const SERIAL: SessionSerial = SessionSerial { epoch: 7, sequence: 0x0102_0304_0506_0708 };
    const EVENT: TakenOver = TakenOver { plane_epoch: 3, ring: 5, position: 0x1122_3344_5566_7788 };

    fn opened<'a>(domain: &'a str, attributes: &'a [u8]) -> Opened<'a> {
        Opened {
            serial: SERIAL,
            taken_over: EVENT,
            plane: "vpp0",
            session: b"\xFF\x00",
            domain,
            group: "g",
            scheme: PinnedScheme::default(),
            interim_s: 1,
            terms: Terms::default(),
            allowance: Allowance::default(),
            session_timeout_s: 2,
            at: Now::default(),
            counters: CounterSlot::default(),
            baseline: Counters::ZERO,
            attributes,
        }
    }

    /// Records of sessions, of every shape.
    fn sessions<'a>(domain: &'a str, attributes: &'a [u8]) -> Vec<Record<'a>> {
        let opened = opened(domain, attributes);
        let accepted = Accepted { serial: SERIAL, at: Mono::from_nanos(5), keep_accounting: true };
        let failed = StartFailed { serial: SERIAL, zero_stop: ZeroStop::Acknowledged };
        let sampled =
            Sampled { serial: SERIAL, at: Mono::ZERO, counters: Counters::ZERO, interim_failures: 1, cut: None };
        let cut = Sampled { cut: Some(CutBy::Operator), ..sampled };
        let closed = Closed {
            serial: SERIAL,
            taken_over: EVENT,
            at: Now::default(),
            cause: 1,
            session_time_s: 2,
            counters: Counters::ZERO,
        };
        let bill = Bill {
            id: BillId { epoch: 9, sequence: 1 },
            reason: BillReason::StopUnanswered,
            delivered: Delivered::No,
            zero_stop: ZeroStop::Unknown,
            server: None,
            nas_address: None,
            opened,
            closed,
        };
        let whole = Checkpointed { opened, accepted: None, start_failed: None, sampled: None, closed: None };
        vec![
            Record::Opened(opened),
            Record::Accepted(accepted),
            Record::StartFailed(failed),
            Record::Sampled(sampled),
            Record::Closed(closed),
            Record::Acknowledged(Acknowledged { serial: SERIAL }),
            Record::Billed(bill),
            Record::Checkpointed(whole),
            Record::Checkpointed(Checkpointed { accepted: Some(accepted), ..whole }),
            Record::Checkpointed(Checkpointed { sampled: Some(sampled), ..whole }),
            Record::Checkpointed(Checkpointed { accepted: Some(accepted), sampled: Some(sampled), ..whole }),
            Record::Checkpointed(Checkpointed { start_failed: Some(failed), closed: Some(closed), ..whole }),
            Record::Sampled(cut),
            Record::Checkpointed(Checkpointed { sampled: Some(cut), ..whole }),
        ]
    }

    /// Samples of three sessions.
    fn samples(room: &mut [u8]) -> Samples<'_> {
        let mut writer = SamplesWriter::new(room);
        for (epoch, sequence) in [(7, 1 << 20), (9, 3), (9, 1 << 40)] {
            let v4 = Totals { in_octets: 1 << sequence.min(60), ..Totals::default() };
            let sampled = Sampled {
                serial: SessionSerial { epoch, sequence },
                at: Mono::from_nanos(sequence),
                counters: Counters { v4, v6: if sequence == 3 { v4 } else { Totals::default() } },
                interim_failures: 3,
                cut: None,
            };
            writer.push(&sampled).unwrap();
        }
        writer.finish().unwrap()
    }

    fn octets(record: &Record<'_>) -> Vec<u8> {
        let mut room = vec![0; RECORD_LEN_MAX];
        let len = encode(record, &mut room).unwrap();
        room.truncate(len);
        room
    }

    fn verdict(octets: &[u8]) -> Result<u32, DecodeError> {
        decode(octets).map(|record| epoch(&record))
    }

    #[test]
    fn what_a_record_says_is_found_where_it_stands() {
        for record in sessions("isp", b"\x01\x03a") {
            let octets = octets(&record);
            assert_eq!(session_key(&octets), Some(SERIAL.into()), "{record:?}");
            assert_eq!(check(&octets), Ok(epoch(&record)));
            let is_whole = matches!(record, Record::Opened(_) | Record::Checkpointed(_));
            assert_eq!(plane(&octets), is_whole.then_some("vpp0"), "{record:?}");
            let has_event = is_whole || matches!(record, Record::Closed(_));
            assert_eq!(taken_over(&octets), has_event.then_some(EVENT), "{record:?}");
            let is_accepted = matches!(record, Record::Accepted(_));
            assert_eq!(accepted(&octets), is_accepted.then_some((Mono::from_nanos(5), true)));
        }
    }

    #[test]
    fn the_many_are_not_decoded() {
        for (number, record) in sessions("isp", b"").iter().enumerate() {
            let is_rare = matches!(number, 6 | 11..);
            assert_eq!(is_plainly_good(&octets(record)), !is_rare, "{record:?}");
        }
    }

    #[test]
    fn the_highest_engine_start_of_many_counts() {
        let mut room = [0; 200];
        let record = Record::SampledMany(samples(&mut room));
        assert_eq!((session_key(&octets(&record)), check(&octets(&record))), (None, Ok(9)));
    }

    /// Every octet at every place.
    #[test]
    fn no_octet_makes_it_differ_from_decode() {
        let mut room = [0; 200];
        let many = Record::SampledMany(samples(&mut room));
        for record in sessions("isp", b"\x01\x03a").into_iter().chain([many]) {
            let good = octets(&record);
            for at in 0..good.len() {
                let mut octets = good.clone();
                for value in [0, 1, 2, 3, 5, 9, 12, 0x41, 0x80, 0xC3, 0xFF] {
                    octets[at] = value;
                    assert_eq!(check(&octets), verdict(&octets), "{record:?} with {value} at {at}");
                }
                assert_eq!(check(&good[..at]), verdict(&good[..at]));
            }
        }
    }

    proptest! {
        #[test]
        fn its_verdict_is_that_of_decode(
            number in 0usize..15, domain in "\\PC{0,12}", attributes in prop::collection::vec(any::<u8>(), 0..40),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in prop::option::weighted(0.2, any::<prop::sample::Index>()), more in prop::collection::vec(any::<u8>(), 0..2),
        ) {
            let mut room = [0; 200];
            let many = Record::SampledMany(samples(&mut room));
            let records: Vec<_> = sessions(&domain, &attributes).into_iter().chain([many]).collect();
            let mut octets = octets(&records[number]);
            for (at, value) in changes {
                let at = at.index(octets.len());
                octets[at] = value;
            }
            if let Some(cut) = cut {
                octets.truncate(cut.index(octets.len()));
            }
            octets.extend(more);
            prop_assert_eq!(check(&octets), verdict(&octets));
        }
    }
}
