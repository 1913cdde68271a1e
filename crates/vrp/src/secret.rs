//! Secrets on their way through text: told apart from their stored form, opened, sealed, and kept out of errors.

use model::settings::Secret;

use crate::error::Refusal;

/// Turns secrets into their stored form and back. The key is the daemon's; this room only hands text over.
pub trait Sealer {
    /// The octets behind a stored form, `%^%#…%^%#`.
    ///
    /// # Errors
    /// When the text was not sealed with this key, or was changed since.
    fn open(&self, stored: &str) -> Result<Vec<u8>, SealError>;

    /// The stored form: `%^%#…%^%#`, without blanks and control characters, at most 640 octets for a secret of 255.
    fn seal(&self, secret: &[u8]) -> String;
}

/// A stored secret that does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealError;

const MARK: &str = "%^%#";

/// What stands for a stored secret before eyes that may not have it: it has the shape of one and opens for nobody, so that a
/// configuration with it in is refused and never taken for one with these asterisks as its secret.
const MASKED: &str = "%^%#******%^%#";

/// The text without its stored secrets.
pub(crate) fn masked(text: &str) -> String {
    let ends = [' ', '\n'];
    let shown = |word: &str| match word.trim_end_matches(ends) {
        bare if is_stored(bare) => word.replace(bare, MASKED),
        _ => word.to_owned(),
    };
    text.split_inclusive(ends).map(shown).collect()
}

/// Whether a line that was typed may hold a secret: then it is not kept, not even to be typed again.
pub fn holds_secret(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.any(introduces_secret) && words.next().is_some()
}

/// Whether `word` has the shape of a stored secret; then it is never taken for a plain one (INTERFACES.md section 2).
pub(crate) fn is_stored(word: &str) -> bool {
    word.len() >= 2 * MARK.len() && word.starts_with(MARK) && word.ends_with(MARK)
}

/// The secret that `word` means. One that equals `current` keeps the stored form that it already has, so that
/// typing a secret again changes nothing.
pub(crate) fn read(word: &str, current: Option<&Secret>, sealer: &dyn Sealer) -> Result<Secret, Refusal> {
    let (octets, stored) = if is_stored(word) {
        let octets = sealer.open(word).map_err(|SealError| Refusal::SecretUnreadable)?;
        (octets, Some(word.to_owned()))
    } else {
        (word.as_bytes().to_vec(), None)
    };
    if octets.is_empty() {
        return Err(Refusal::SecretUnreadable);
    }
    match (current, stored) {
        (Some(current), _) if current.octets() == octets => Ok(current.clone()),
        (_, Some(stored)) => Ok(Secret::new(octets, stored)),
        (_, None) => {
            let stored = sealer.seal(&octets);
            Ok(Secret::new(octets, stored))
        }
    }
}

/// Whether what follows `word` may be a secret, misspelt and abbreviated keywords included.
pub(crate) fn introduces_secret(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    // `host-key` and `key-file` are followed by a fingerprint and a path.
    if word == "host-key" || word.starts_with("key-f") {
        return false;
    }
    ["shared-key-cipher", "password", "cipher"].iter().any(|keyword| keyword.starts_with(&word))
        || ["key", "cipher", "passw", "secret"].iter().any(|part| word.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_secrets_have_both_marks() {
        for (word, stored) in [
            ("%^%#abc%^%#", true),
            ("%^%#%^%#", true),
            ("%^%#", false),
            ("%^%#^%#", false),
            ("%^%#abc", false),
            ("abc%^%#", false),
            ("abc", false),
        ] {
            assert_eq!(is_stored(word), stored, "{word}");
        }
    }

    #[test]
    fn stored_secrets_are_masked_where_they_stand() {
        for (text, shown) in [
            ("a %^%#abc%^%#\n  b %^%#x%^%# weight 5\n", "a %^%#******%^%#\n  b %^%#******%^%# weight 5\n"),
            ("shared-key plain\n\n", "shared-key plain\n\n"),
            ("", ""),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn lines_with_secrets_are_not_kept() {
        for (line, holds) in [
            ("radius-server shared-key k", true),
            ("rad sh k", true),
            ("radius-server accounting 192.0.2.1 1813 shared-key-cipher %^%#x%^%# weight 5", true),
            ("bill-server 192.0.2.9 filename f user-name u password cipher p 22", true),
            ("bill-server host-key SHA256:x", false),
            ("undo radius-server shared-key", false),
            ("accounting interim interval 5", false),
            ("", false),
        ] {
            assert_eq!(holds_secret(line), holds, "{line}");
        }
    }

    #[test]
    fn words_before_secrets_are_known_even_when_misspelt() {
        for (word, introduces) in [
            ("shared-key", true),
            ("SHARED-KEY-CIPHER", true),
            ("sh", true),
            ("sharedkey", true),
            ("shard-key", true),
            ("weight", false),
            ("sysname", false),
            ("accounting", false),
            ("cipher", true),
            ("passwd", true),
            ("key", true),
            ("host-key", false),
            ("key-file", false),
        ] {
            assert_eq!(introduces_secret(word), introduces, "{word}");
        }
    }
}
