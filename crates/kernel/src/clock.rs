//! Three readings of time: one that measures, one that is printed, and the name of this boot.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the kernel publishes the identity that it drew at boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Nanoseconds since the box started (`CLOCK_BOOTTIME`): never steps, goes on while the box is suspended, is the same
/// in every process. It holds 584 years.
pub fn boottime_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec of this frame and the call keeps no pointer to it.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    assert_eq!(status, 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Milliseconds since 1970-01-01T00:00:00Z; zero while the wall clock stands before that. May step at any time.
pub fn wall_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// The 128-bit identity of this boot of the box; another one after every boot.
///
/// # Errors
/// When `/proc` is not mounted, or does not hold a UUID there (`InvalidData`).
pub fn boot_id() -> io::Result<[u8; 16]> {
    parse_uuid(&std::fs::read_to_string(BOOT_ID)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The 16 octets of a UUID in its usual text; hyphens may stand anywhere.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    let mut digit_count = 0;
    for character in text.trim_end().chars().filter(|character| *character != '-') {
        let nibble = u8::try_from(character.to_digit(16)?).ok()?;
        let octet = octets.get_mut(digit_count / 2)?;
        *octet = *octet << 4 | nibble;
        digit_count += 1;
    }
    (digit_count == 32).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let readings: Vec<u64> = (0..1000).map(|_| boottime_nanos()).collect();
        assert!(readings.is_sorted());
        assert!(readings[0] > 0);
    }

    #[test]
    fn the_wall_clock_is_of_this_age() {
        assert!(wall_millis() > 1_600_000_000_000);
    }

    #[test]
    fn a_boot_has_one_identity() {
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        assert_ne!(boot_id().unwrap(), [0; 16]);
    }

    #[test]
    fn uuids_are_read_strictly() {
        let octets = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5, 6, 7, 8];
        for (text, expected) in [
            ("01234567-89ab-cdef-0102-030405060708\n", Some(octets)),
            ("0123456789abcdef0102030405060708", Some(octets)),
            ("01234567-89ab-cdef-0102-0304050607", None),
            ("01234567-89ab-cdef-0102-030405060708ff", None),
            ("g1234567-89ab-cdef-0102-030405060708", None),
            ("", None),
        ] {
            assert_eq!(parse_uuid(text), expected, "{text:?}");
        }
    }
}
