//! Unpredictable bytes, for keys and for whatever a stranger must not guess.

use std::io;

/// Fills `bytes` from the kernel's generator (getrandom(2)); waits only on a box so young that it has no entropy yet.
///
/// # Errors
/// When the kernel has no such generator; never on Linux 3.17 and later.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes)
        .map_err(|error| error.raw_os_error().map_or(io::ErrorKind::Unsupported.into(), io::Error::from_raw_os_error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        fill(&mut first).unwrap();
        fill(&mut second).unwrap();
        assert_ne!(first, second);
        fill(&mut []).unwrap();
    }
}
