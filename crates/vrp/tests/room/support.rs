//! What the tests of this room share: a world with a toy sealer, and a script runner that does what a daemon does.

use std::sync::Arc;

use model::settings::{Settings, ShellLevel};
use vrp::{Answer, Context, SealError, Sealer, Shell};

/// The world of a test: it seals by writing octets in hex, and has as many bills as it is told.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) bill_count: u64,
    pub(crate) queued_count: u64,
}

impl Sealer for World {
    fn open(&self, stored: &str) -> Result<Vec<u8>, SealError> {
        let hex = stored.strip_prefix("%^%#T").and_then(|rest| rest.strip_suffix("%^%#")).ok_or(SealError)?;
        let pairs = hex.as_bytes().chunks(2);
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        pairs.map(octet).collect::<Option<Vec<u8>>>().ok_or(SealError)
    }

    fn seal(&self, secret: &[u8]) -> String {
        let hex: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("%^%#T{hex}%^%#")
    }
}

impl Context for World {
    fn sealer(&self) -> &dyn Sealer {
        self
    }

    fn bill_count(&self) -> u64 {
        self.bill_count
    }

    fn queued_count(&self) -> u64 {
        self.queued_count
    }
}

/// Runs lines in one sitting, puts commits into force, and returns what a script would print.
pub(crate) fn run(shell: &mut Shell, world: &World, lines: &[&str]) -> String {
    lines.iter().map(|line| obey(shell, world, line)).collect()
}

/// One line, as [`run`].
pub(crate) fn obey(shell: &mut Shell, world: &World, line: &str) -> String {
    match shell.execute(line, world) {
        Answer::Silent => String::new(),
        Answer::Text(text) => format!("{text}\n"),
        Answer::Show(shown, pipeline) => pipeline.print(&shown, false),
        Answer::Display(request, _) => format!("{request:?}\n"),
        Answer::Monitor(request) => format!("monitor {request:?}\n"),
        Answer::Action(request) => format!("{request:?}\n"),
        Answer::Error(error) => error.to_script() + "\n",
        Answer::Question(question) => question + "\n",
        Answer::Commit(commit) => {
            shell.committed(Arc::from(commit.settings));
            commit.warnings.iter().map(|warning| format!("{warning}\n")).collect()
        }
        Answer::Confirm { .. } => String::new(),
        Answer::AbortTrial => "aborted\n".to_owned(),
        Answer::Lock(locks) => format!("lock {locks}\n"),
        Answer::Save => "saved\n".to_owned(),
        Answer::Ended => "ended\n".to_owned(),
    }
}

/// A sitting over the defaults.
pub(crate) fn sitting() -> Shell {
    Shell::new(Arc::new(Settings::default()), ShellLevel::Management)
}

/// A sitting in the system view after these lines, none of which may fail.
pub(crate) fn sitting_after(lines: &[&str]) -> Shell {
    let mut shell = sitting();
    let world = World::default();
    obey(&mut shell, &world, "system-view");
    for line in lines {
        let said = obey(&mut shell, &world, line);
        assert!(!said.contains("Error"), "{line}: {said}");
    }
    shell
}
