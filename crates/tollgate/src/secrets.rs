//! Stored secrets: `%^%#` + hex of nonce and ChaCha20-Poly1305 ciphertext + `%^%#`, under a key file of mode 0600
//! (INTERFACES.md section 2).

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use vrp::{SealError, Sealer};
use zeroize::Zeroizing;

use crate::exit::Failure;

const MARK: &str = "%^%#";
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;

/// The key of a state directory.
pub(crate) struct KeySealer {
    cipher: ChaCha20Poly1305,
    /// The key's octets while they are not on the disk yet.
    fresh: Option<Zeroizing<[u8; KEY_LEN]>>,
}

impl KeySealer {
    /// Reads the key file, or draws a key that [`KeySealer::keep`] writes.
    pub(crate) fn load_or_draw(path: &Path) -> Result<KeySealer, Failure> {
        match std::fs::read(path) {
            Ok(octets) => {
                warn_if_others_read(path);
                KeySealer::from_file(path, &Zeroizing::new(octets))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = Zeroizing::new([0; KEY_LEN]);
                kernel::random::fill(&mut *key).map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
                Ok(KeySealer { cipher: cipher(&key), fresh: Some(key) })
            }
            Err(error) => Err(Failure::failed(format!("cannot read the key file {}: {error}", path.display()))),
        }
    }

    /// Reads a key file that must exist.
    pub(crate) fn load(path: &Path) -> Result<KeySealer, Failure> {
        let octets = std::fs::read(path)
            .map_err(|error| Failure::failed(format!("cannot read the key file {}: {error}", path.display())))?;
        KeySealer::from_file(path, &Zeroizing::new(octets))
    }

    fn from_file(path: &Path, octets: &[u8]) -> Result<KeySealer, Failure> {
        let Ok(key) = <&[u8; KEY_LEN]>::try_from(octets) else {
            let what = format!("{} is no key file: it has {} octets, not {KEY_LEN}", path.display(), octets.len());
            return Err(Failure::failed(what));
        };
        Ok(KeySealer { cipher: cipher(key), fresh: None })
    }

    /// Writes a key that was drawn, before anything sealed with it is.
    pub(crate) fn keep(&mut self, path: &Path) -> Result<(), Failure> {
        if let Some(key) = self.fresh.take() {
            kernel::file::replace_file(path, &*key, 0o600)
                .map_err(|error| Failure::failed(format!("cannot write the key file: {error}")))?;
        }
        Ok(())
    }
}

/// A key that others may read protects nothing from them, and they may have read it already.
fn warn_if_others_read(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        tracing::warn!(
            "the key file {} has mode {mode:o}, so others than its owner may read it: make that 600, and draw new secrets",
            path.display()
        );
    }
}

fn cipher(key: &[u8; KEY_LEN]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

impl Sealer for KeySealer {
    fn open(&self, stored: &str) -> Result<Vec<u8>, SealError> {
        let hex = stored.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(MARK)).ok_or(SealError)?;
        let octets = from_hex(hex).ok_or(SealError)?;
        let (nonce, sealed) = octets.split_at_checked(NONCE_LEN).ok_or(SealError)?;
        let nonce = Nonce::try_from(nonce).map_err(|_| SealError)?;
        self.cipher.decrypt(&nonce, sealed).map_err(|_| SealError)
    }

    fn seal(&self, secret: &[u8]) -> String {
        let mut nonce = [0; NONCE_LEN];
        // Without randomness or memory for 400 octets nothing of the daemon would work.
        kernel::random::fill(&mut nonce).expect("the kernel gives randomness");
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), secret).expect("a short secret can be sealed");
        let mut text = String::from(MARK);
        for octet in nonce.iter().chain(&sealed) {
            let _ = write!(text, "{octet:02x}");
        }
        text + MARK
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    // A number might begin with a sign.
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Takes any stored secret as it is: for checking a file without its key.
pub(crate) struct NoKey;

impl Sealer for NoKey {
    fn open(&self, stored: &str) -> Result<Vec<u8>, SealError> {
        Ok(stored.as_bytes().to_vec())
    }

    fn seal(&self, _secret: &[u8]) -> String {
        format!("{MARK}{MARK}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer(octet: u8) -> KeySealer {
        KeySealer { cipher: cipher(&[octet; KEY_LEN]), fresh: None }
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_only() {
        let stored = sealer(1).seal(b"tollgate-secret");
        assert!(stored.starts_with(MARK) && stored.ends_with(MARK) && !stored.contains("tollgate"));
        assert_eq!(sealer(1).open(&stored), Ok(b"tollgate-secret".to_vec()));
        assert_eq!(sealer(2).open(&stored), Err(SealError));
        for broken in ["%^%#%^%#", "%^%#zz%^%#", "%^%#0011%^%#", &stored.replace("%^%#", "")] {
            assert_eq!(sealer(1).open(broken), Err(SealError), "{broken}");
        }
        assert!(sealer(1).seal(&[b'x'; 255]).len() <= 640);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// A configuration file may have been written by anybody; only who has the key seals a secret.
        #[test]
        fn what_the_key_has_not_sealed_opens_with_nothing(text in ".{0,80}", hex in "[0-9a-f+ %^#]{0,120}") {
            for stored in [text.clone(), format!("{MARK}{text}{MARK}"), format!("{MARK}{hex}{MARK}")] {
                prop_assert_eq!(sealer(1).open(&stored), Err(SealError));
            }
        }

        /// One character more, less or another one: it is not the secret any more, and no other one either.
        #[test]
        fn a_sealed_secret_that_was_changed_opens_with_nothing(
            secret in prop::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(),
            what in 0..3,
            character in "[0-9a-fG+]",
        ) {
            let stored = sealer(1).seal(&secret);
            prop_assert_eq!(sealer(1).open(&stored), Ok(secret));
            let (at, mut changed) = (at.index(stored.len()), stored.clone());
            match what {
                0 => changed.insert_str(at, &character),
                1 => drop(changed.remove(at)),
                _ => changed.replace_range(at..=at, &character),
            }
            prop_assert_eq!(sealer(1).open(&changed).is_ok(), changed == stored);
        }
    }
}
