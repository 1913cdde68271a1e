//! How the process ends: 0 done, 1 failed, 2 wrong usage or configuration (INTERFACES.md section 1).

use std::fmt::Display;

use crate::output::complain;

/// All went as asked.
pub(crate) const DONE: u8 = 0;
/// Something outside the command failed.
pub(crate) const FAILED: u8 = 1;
/// The command or the configuration is wrong.
pub(crate) const USAGE: u8 = 2;

/// Why the process ends without having done what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something failed: one line says what, and what would cure it.
    Failed(String),
    /// Usage or configuration is wrong: a line for each mistake.
    Usage(Vec<String>),
    /// All was said already.
    Said(u8),
}

impl Failure {
    /// A failure with its context, one line.
    pub(crate) fn failed(what: impl Display) -> Failure {
        Failure::Failed(what.to_string())
    }

    /// A mistake in usage or configuration, one line.
    pub(crate) fn usage(what: impl Display) -> Failure {
        Failure::Usage(vec![what.to_string()])
    }

    /// The exit status.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Failed(_) => FAILED,
            Failure::Usage(_) => USAGE,
            Failure::Said(code) => *code,
        }
    }

    pub(crate) fn print(&self) {
        match self {
            Failure::Failed(what) => complain(&format!("tollgate: {what}")),
            Failure::Usage(lines) => lines.iter().for_each(|line| complain(&format!("tollgate: {line}"))),
            Failure::Said(_) => {}
        }
    }
}

/// What every command ends with.
pub(crate) type Outcome = Result<(), Failure>;
