//! Any octets as lines of a shell, and as a configuration file: always an answer, and nothing half-obeyed.

use std::sync::Arc;

use model::settings::{Settings, ShellLevel};
use vrp::{Answer, Context, SealError, Sealer, Shell, config};

/// A world without bills, whose secrets are stored as hex.
struct World;

impl Sealer for World {
    fn open(&self, stored: &str) -> Result<Vec<u8>, SealError> {
        let hex = stored.strip_prefix("%^%#").and_then(|rest| rest.strip_suffix("%^%#")).ok_or(SealError)?;
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        hex.as_bytes().chunks(2).map(octet).collect::<Option<_>>().ok_or(SealError)
    }

    fn seal(&self, secret: &[u8]) -> String {
        let hex: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("%^%#{hex}%^%#")
    }
}

impl Context for World {
    fn sealer(&self) -> &dyn Sealer {
        self
    }

    fn bill_count(&self) -> u64 {
        1
    }

    fn queued_count(&self) -> u64 {
        1
    }
}

/// Runs it on one input.
pub fn check(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    if let Ok(settings) = config::read(&text, &World) {
        let written = config::write(&settings);
        assert_eq!(config::read(&written, &World).as_ref(), Ok(&settings), "{written}");
    }
    let mut shell = Shell::new(Arc::new(Settings::default()), ShellLevel::Management);
    for line in text.lines() {
        let before = shell.candidate().clone();
        let _ = shell.expected(line);
        match shell.execute(line, &World) {
            Answer::Commit(commit) => shell.committed(Arc::from(commit.settings)),
            Answer::Error(error) => {
                let _ = error.to_script();
                assert_eq!(*shell.candidate(), before, "{line}");
            }
            Answer::Show(shown, pipeline) => drop(pipeline.print(&shown, false)),
            _ => {}
        }
    }
}
