//! Octets in and out of shared words. Each word is touched once, with a relaxed load or store: what the other side does
//! meanwhile can make the octets wrong, never the access.

use lanes::sync::{AtomicU64, Ordering};

/// Octets of a word.
pub(crate) const WORD: usize = 8;

/// Copies words from `from` on into all of `out`, whose length is a whole number of words.
#[inline]
pub(crate) fn load(words: &[AtomicU64], from: usize, out: &mut [u8]) {
    let (places, _) = out.as_chunks_mut::<WORD>();
    for (place, word) in places.iter_mut().zip(&words[from..]) {
        *place = word.load(Ordering::Relaxed).to_le_bytes();
    }
}

/// Copies all of `octets` into words from `from` on; the last word is filled up with zeros.
#[inline]
pub(crate) fn store(words: &[AtomicU64], from: usize, octets: &[u8]) {
    let (whole, rest) = octets.as_chunks::<WORD>();
    let mut places = words[from..].iter();
    for (octets, place) in whole.iter().zip(places.by_ref()) {
        place.store(u64::from_le_bytes(*octets), Ordering::Relaxed);
    }
    if let (false, Some(place)) = (rest.is_empty(), places.next()) {
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        place.store(u64::from_le_bytes(last), Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn octets_survive_the_words() {
        let words: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(u64::MAX)).collect();
        store(&words, 1, b"0123456789");
        let mut out = [1; 24];
        load(&words, 1, &mut out);
        assert_eq!(&out, b"0123456789\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(words[0].load(Ordering::Relaxed), u64::MAX);
    }
}
