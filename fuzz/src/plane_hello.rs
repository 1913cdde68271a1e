//! Any octets as the first message of a plane, and as the engine's answer to one: refused by name, or read back to themselves.

use plane::hello::{Hello, HelloError, WELCOME_BYTES, Welcome};

/// Runs it on one input.
pub fn check(input: &[u8]) {
    match Hello::decode(input) {
        Ok(hello) => {
            assert_eq!(hello.encode(), *input);
            assert!(!hello.name().is_empty() && hello.name().bytes().all(|octet| octet.is_ascii_graphic()));
        }
        Err(error) => {
            let refusal = Welcome::refusing(error);
            assert_eq!(Welcome::decode(&refusal.encode()), Some(refusal));
            if let HelloError::Version { plane } = error {
                assert_eq!(refusal.plane_version, plane);
            }
        }
    }
    if let Some(welcome) = Welcome::decode(input) {
        assert!(input.len() >= WELCOME_BYTES || !welcome.to_string().is_empty());
    }
}
