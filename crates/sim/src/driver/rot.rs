//! Stores in which a bit has rotted, as recovery reads them.

use ledger::card::CardReading;
use ledger::recover::Recovered;

use super::boot::{Memory, read_segments};
use crate::disk::Disk;
use crate::oracle::Oracle;

/// What is wrong with how recovery reads the ledger when one bit of it is another. `batch_len`: octets that a torn end may
/// cost, for what cannot be read of the last batch counts as never written.
pub(crate) fn rot_of_store(disk: &Disk, batch_len: usize, segment: u64, bit: u64) -> Option<String> {
    let (rotten, place) = rotten(disk, segment, bit)?;
    let whole = read_segments(disk.segments()).ok()?.0;
    let told = match read_segments(rotten.into_iter()) {
        Ok((told, _)) => told,
        Err(error) => return Some(format!("{place}: {error}")),
    };
    let (known, read) = (&whole.state.records, &told.state.records);
    if let Some((sequence, _)) = strangers(known, read).next() {
        return Some(format!("{place}: record {sequence} is read, and was never written"));
    }
    let is_beginning = known.iter().zip(read).all(|(known, read)| known == read);
    let lacking: usize = known.iter().skip(read.len()).map(|(_, octets)| octets.len()).sum();
    let is_torn_end = is_beginning && lacking <= batch_len;
    let is_silent = !is_damaged(&told) && !is_damaged(&whole);
    (is_silent && !is_torn_end)
        .then(|| format!("{place}: {} of {} records are read, and nothing is said", read.len(), known.len()))
}

/// The same of the card. One that has left it may be read again, where what has rotted is that it has: the ledger knows better.
pub(crate) fn rot_of_card(disk: &Disk, oracle: &Oracle, segment: u64, bit: u64) -> Option<String> {
    let (rotten, place) = rotten(disk, segment, bit)?;
    let mut reading = CardReading::new();
    rotten.iter().for_each(|(number, octets)| reading.segment(*number, octets));
    match reading.finish() {
        Ok(told) => {
            let stranger = told.bills().find(|bill| !oracle.was_written(bill.id));
            stranger.map(|bill| format!("{place}: {:?} is read, and was never written", bill.id))
        }
        Err(error) => Some(format!("{place}: {error}")),
    }
}

fn is_damaged(recovered: &Recovered<Memory>) -> bool {
    recovered.report.is_damaged()
}

/// Records that are read and were not written so, in this order.
fn strangers<'a>(
    known: &'a [(u64, Vec<u8>)],
    read: &'a [(u64, Vec<u8>)],
) -> impl Iterator<Item = &'a (u64, Vec<u8>)> + 'a {
    let mut behind = known.iter();
    // Behind a hole in the last batch they move up, so it is their octets that are compared.
    read.iter().filter(move |(_, octets)| !behind.any(|(_, known)| known == octets))
}

/// Segments by number.
type Segments = Vec<(u64, Vec<u8>)>;

/// All segments, with one bit turned; and where that is.
fn rotten(disk: &Disk, segment: u64, bit: u64) -> Option<(Segments, String)> {
    let mut segments: Segments = disk.segments().collect();
    let place = usize::try_from(segment % (segments.len().max(1) as u64)).ok()?;
    let (number, octets) = segments.get_mut(place)?;
    // Most of a segment may be unused: half of all bits are chosen where something is.
    let used = octets.iter().rposition(|&octet| octet != 0).map_or(octets.len(), |last| last + 1);
    let len = if bit >> 63 == 0 { used } else { octets.len() };
    let at = usize::try_from((bit >> 3) % (len.max(1) as u64)).ok()?;
    *octets.get_mut(at)? ^= 1 << (bit & 7);
    let place = format!("bit {} of octet {at} of segment {number}", bit & 7);
    Some((segments, place))
}
