//! Whether a server's host key is its own: pinned, met before, or met for the first time and taken on trust because the
//! configuration says so. The judgement comes before anything secret is sent.
//!
//! What was met is remembered in a file, one line for each server: `192.0.2.9:22 SHA256:…`. A line goes only by the
//! operator's hand.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use model::settings::HostKeyPolicy;
use russh::keys::{HashAlg, PublicKey, ssh_key};

use super::DeliveryError;

/// SHA-256 of a host key; its text is OpenSSH's: `SHA256:` and 43 characters of Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(key: &PublicKey) -> Option<Fingerprint> {
        Fingerprint::from_library(key.fingerprint(HashAlg::Sha256))
    }

    fn from_library(fingerprint: ssh_key::Fingerprint) -> Option<Fingerprint> {
        match fingerprint {
            ssh_key::Fingerprint::Sha256(digest) => Some(Fingerprint(digest)),
            _ => None,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ssh_key::Fingerprint::Sha256(self.0).fmt(f)
    }
}

/// The text is no fingerprint by SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Fingerprint, BadFingerprint> {
        text.parse().ok().and_then(Fingerprint::from_library).ok_or(BadFingerprint)
    }
}

/// Judges one server's host key.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    policy: HostKeyPolicy,
    server: SocketAddr,
    known_hosts: PathBuf,
}

impl Judge {
    pub(super) fn new(policy: &HostKeyPolicy, server: SocketAddr, known_hosts: &Path) -> Judge {
        Judge { policy: policy.clone(), server, known_hosts: known_hosts.to_owned() }
    }

    /// Takes a key or refuses it. A key that is taken on first use is on the disk before this returns.
    pub(super) fn judge(&self, found: Fingerprint) -> Result<(), DeliveryError> {
        match &self.policy {
            HostKeyPolicy::Refuse => Err(DeliveryError::HostKeyUnknown { found }),
            HostKeyPolicy::Pinned(pin) => compare(pin.parse().map_err(|_| DeliveryError::BadPin)?, found),
            HostKeyPolicy::AcceptFirst => {
                let known = self.read()?;
                match self.remembered(&known)? {
                    Some(expected) => compare(expected, found),
                    None => self.remember(known, found),
                }
            }
        }
    }

    fn read(&self) -> Result<String, DeliveryError> {
        match std::fs::read_to_string(&self.known_hosts) {
            Ok(known) => Ok(known),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(DeliveryError::KnownHosts(error.kind())),
        }
    }

    /// This server's key, if there is a line for it. A line that is damaged is not taken for none.
    fn remembered(&self, known: &str) -> Result<Option<Fingerprint>, DeliveryError> {
        let server = self.server.to_string();
        let mut words = known.lines().map(str::split_whitespace);
        let Some(mut line) = words.find(|words| words.clone().next() == Some(&server)) else {
            return Ok(None);
        };
        let fingerprint = line.nth(1).and_then(|text| text.parse().ok());
        fingerprint.map(Some).ok_or(DeliveryError::KnownHosts(ErrorKind::InvalidData))
    }

    fn remember(&self, mut known: String, found: Fingerprint) -> Result<(), DeliveryError> {
        if !known.is_empty() && !known.ends_with('\n') {
            known.push('\n');
        }
        known.push_str(&format!("{} {found}\n", self.server));
        kernel::file::replace_file(&self.known_hosts, known.as_bytes(), 0o600)
            .map_err(|error| DeliveryError::KnownHosts(error.kind()))
    }
}

fn compare(expected: Fingerprint, found: Fingerprint) -> Result<(), DeliveryError> {
    if expected == found { Ok(()) } else { Err(DeliveryError::HostKeyChanged { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(octet: u8) -> Fingerprint {
        Fingerprint([octet; 32])
    }

    #[test]
    fn a_key_is_pinned_or_met_first_or_refused() {
        let directory = tempfile::tempdir().unwrap();
        let known = directory.path().join("bill-server.known");
        let judge = |policy, port| Judge::new(&policy, SocketAddr::from(([192, 0, 2, 9], port)), &known);
        let pinned = HostKeyPolicy::Pinned(key(1).to_string());
        let changed = Err(DeliveryError::HostKeyChanged { expected: key(1), found: key(2) });
        assert_eq!(
            judge(HostKeyPolicy::Refuse, 22).judge(key(1)),
            Err(DeliveryError::HostKeyUnknown { found: key(1) })
        );
        assert_eq!(judge(pinned.clone(), 22).judge(key(1)), Ok(()));
        assert_eq!(judge(pinned, 22).judge(key(2)), changed);
        for pin in ["", "SHA256:short", "MD5:00:11"] {
            assert_eq!(judge(HostKeyPolicy::Pinned(pin.into()), 22).judge(key(1)), Err(DeliveryError::BadPin), "{pin}");
        }
        assert!(!known.exists(), "something was remembered that nobody asked for");

        let first = |port| judge(HostKeyPolicy::AcceptFirst, port);
        assert_eq!((first(22).judge(key(1)), first(22).judge(key(1))), (Ok(()), Ok(())));
        assert_eq!(first(22).judge(key(2)), changed);
        assert_eq!((first(2222).judge(key(2)), first(22).judge(key(1))), (Ok(()), Ok(())));
        let text = std::fs::read_to_string(&known).unwrap();
        assert_eq!(text, format!("192.0.2.9:22 {}\n192.0.2.9:2222 {}\n", key(1), key(2)));
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let known = directory.path().join("known");
        let judge = Judge::new(&HostKeyPolicy::AcceptFirst, SocketAddr::from(([192, 0, 2, 9], 22)), &known);
        for text in ["192.0.2.9:22\n", "192.0.2.9:22 SHA256:x\n", "192.0.2.9:22   \n"] {
            std::fs::write(&known, text).unwrap();
            assert_eq!(judge.judge(key(1)), Err(DeliveryError::KnownHosts(ErrorKind::InvalidData)), "{text}");
            assert_eq!(std::fs::read_to_string(&known).unwrap(), text);
        }
        std::fs::write(&known, "192.0.2.9:2 SHA256:x").unwrap();
        assert_eq!(judge.judge(key(1)), Ok(()));
        assert_eq!(
            std::fs::read_to_string(&known).unwrap(),
            format!("192.0.2.9:2 SHA256:x\n192.0.2.9:22 {}\n", key(1))
        );
        let judge = Judge::new(&HostKeyPolicy::AcceptFirst, SocketAddr::from(([192, 0, 2, 9], 22)), directory.path());
        assert!(matches!(judge.judge(key(1)), Err(DeliveryError::KnownHosts(_))));
    }
}
