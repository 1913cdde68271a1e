//! What is seen of a play from outside, a line each with its second, and held against what should be.

use model::time::Mono;

pub(crate) struct Transcript {
    began: Mono,
    lines: String,
}

impl Transcript {
    pub(crate) fn begin(now: Mono) -> Transcript {
        Transcript { began: now, lines: String::new() }
    }

    /// To a tenth: timers may be late by a few milliseconds.
    pub(crate) fn line(&mut self, now: Mono, text: &str) {
        let tenths = now.since(self.began).as_millis() / 100;
        self.lines.push_str(&format!("{} {text}\n", tenths as f64 / 10.0));
    }

    /// What was seen since the last time must be this, line by line; blanks in front do not count.
    #[track_caller]
    pub(crate) fn check(&mut self, expected: &str) {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let lines = self.take();
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "\n{lines}");
    }

    /// What was seen since the last time.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.lines)
    }
}
