//! What happened, line by line, for whoever replays a seed.

use std::fmt;

use model::time::Mono;

/// The lines; kept only when somebody wants them.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    wanted: bool,
    now: Mono,
    lines: Vec<String>,
}

impl Trace {
    /// Keeps lines when `wanted`.
    pub(crate) fn new(wanted: bool) -> Trace {
        Trace { wanted, ..Trace::default() }
    }

    /// Every line from here on happens at this moment.
    pub(crate) fn at(&mut self, now: Mono) {
        self.now = now;
    }

    /// One line.
    pub(crate) fn say(&mut self, what: fmt::Arguments<'_>) {
        if self.wanted {
            let nanos = self.now.as_nanos();
            self.lines.push(format!("{:>6}.{:06} {what}", nanos / 1_000_000_000, nanos / 1000 % 1_000_000));
        }
    }

    /// All of them.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// Octets as text, as far as they are any.
pub(crate) fn text(octets: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(octets)
}
