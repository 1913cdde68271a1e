//! Any octets as segments of a store and of its card, and any changes to good ones, as `tollgate bills verify` reads copies of them: no
//! panic, no bill more than were written, and whatever is missing is told.
//!
//! Octets of a change come three by three: where, and what.

use ledger::card::CardReading;
use ledger::verify::StoreCheck;

use crate::ledger_segment::{LEN, bill_segment, good_segment};

/// Bills in [`bill_segment`].
const BILLS: u64 = 12;

/// Runs it on one input.
pub fn check(input: &[u8]) {
    let _ = (store(&[input]), card(&[input]));
    let good = bill_segment(BILLS);
    let mut changed = good.clone();
    for change in input.chunks_exact(3).take(64) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % LEN;
        changed[at] = change[2];
    }
    if let Some((bills, is_sound)) = store(&[&changed]) {
        assert!(bills <= BILLS, "no bill is invented");
        let is_zeroed = changed
            .chunks(512)
            .zip(good.chunks(512))
            .any(|(now, then)| now != then && now.iter().all(|octet| *octet == 0));
        assert!(bills == BILLS || !is_sound || is_zeroed, "what is missing is told");
    }
    if let Some(bills) = card(&[&changed]) {
        assert!(bills <= BILLS);
    }
    let _ = store(&[&changed, input, &good_segment()]);
}

/// Bills in a store, and whether it is called sound; `None`: it is of another release.
fn store(segments: &[&[u8]]) -> Option<(u64, bool)> {
    let mut check = StoreCheck::new();
    (1..).zip(segments).for_each(|(number, octets)| check.segment(number, octets));
    check.finish().ok().map(|verdict| (verdict.bills, verdict.is_sound()))
}

fn card(segments: &[&[u8]]) -> Option<u64> {
    let mut reading = CardReading::new();
    (1..).zip(segments).for_each(|(number, octets)| reading.segment(number, octets));
    reading.finish().ok().map(|found| found.bills().count() as u64)
}
