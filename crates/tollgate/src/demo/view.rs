//! The live view: on a terminal a small table that is drawn again in its place, elsewhere a line a second.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::schedule::{Phase, Schedule};

/// Cells of the progress bar.
const BAR: usize = 28;
/// Between two lines where there is no terminal.
const PLAIN_PAUSE: Duration = Duration::from_secs(1);

/// One moment of the play.
pub(super) struct Scene {
    pub(super) at: Duration,
    pub(super) phase: Phase,
    pub(super) online: u64,
    /// Per second.
    pub(super) requests: u64,
    /// Per second.
    pub(super) replies: u64,
    pub(super) round_trip_ns: u64,
    pub(super) interims: u64,
    pub(super) stops_waiting: u64,
    pub(super) bills: u64,
    /// Whether the engine takes the server for alive.
    pub(super) up: bool,
    /// Whether it is.
    pub(super) serving: bool,
}

/// The view on standard output.
pub(super) struct View {
    terminal: bool,
    whole: Duration,
    /// Lines that stand on the terminal and are drawn over.
    drawn: usize,
    plain_next: Duration,
}

impl View {
    /// Greets.
    pub(super) fn new(schedule: &Schedule) -> View {
        let terminal = std::io::stdout().is_terminal();
        let view = View { terminal, whole: schedule.end, drawn: 0, plain_next: Duration::ZERO };
        let cursor = if terminal { "\x1b[?25l" } else { "" };
        view.put(&format!(
            "{cursor}{} subscribers; packet plane, engine, ledger and server share this process.\n\n",
            grouped(schedule.subscribers().into())
        ));
        view
    }

    /// Says something that stays.
    pub(super) fn say(&mut self, at: Duration, words: &str) {
        let text = format!("{}{:>6} s  {words}\n", self.above(), tenths(at));
        self.drawn = 0;
        self.put(&text);
    }

    /// Shows the moment.
    pub(super) fn show(&mut self, scene: &Scene) {
        if self.terminal {
            let table = self.table(scene);
            let text = format!("{}{table}", self.above());
            self.drawn = table.lines().count();
            self.put(&text);
        } else if scene.at >= self.plain_next {
            self.plain_next = scene.at + PLAIN_PAUSE;
            self.put(&plain(scene));
        }
    }

    /// What brings the cursor back to where the table begins, and clears what is below.
    fn above(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\x1b[{}A\x1b[J", self.drawn) }
    }

    fn table(&self, scene: &Scene) -> String {
        let done = scene.at.min(self.whole).as_millis();
        let per_mille = usize::try_from(done * 1000 / self.whole.as_millis().max(1)).unwrap_or(1000);
        let full = BAR * per_mille / 1000;
        let mut text = format!(
            "\n  {}{} {:>3} %  {}\n\n",
            "█".repeat(full),
            "░".repeat(BAR - full),
            per_mille / 10,
            scene.phase.as_str()
        );
        let rows = [
            [
                ("online", grouped(scene.online)),
                ("requests/s", grouped(scene.requests)),
                ("Stops waiting", grouped(scene.stops_waiting)),
            ],
            [
                ("interims", grouped(scene.interims)),
                ("replies/s", grouped(scene.replies)),
                ("bills", grouped(scene.bills)),
            ],
        ];
        for row in rows {
            text.push(' ');
            for (name, value) in row {
                let _ = write!(text, " {name:<13} {value:>10}  ");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        let _ = writeln!(text, "  {:<13} {:>10}   server  {}", "round trip", recent_round_trip(scene), server(scene));
        text
    }

    fn put(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // Nobody to show it to is no reason to stop.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.terminal {
            self.put("\x1b[?25h");
        }
    }
}

fn plain(scene: &Scene) -> String {
    format!(
        "{:>6} s  {} online, {} requests/s, {} replies/s, {} round trip, {} interims, {} Stops waiting, {} bills, server {} ({})\n",
        tenths(scene.at),
        scene.online,
        scene.requests,
        scene.replies,
        recent_round_trip(scene),
        scene.interims,
        scene.stops_waiting,
        scene.bills,
        server(scene),
        scene.phase.as_str(),
    )
}

fn server(scene: &Scene) -> &'static str {
    match (scene.serving, scene.up) {
        (true, true) => "Up",
        (true, false) => "Down; it is back, the next probe will tell",
        (false, true) => "silent, still taken for Up",
        (false, false) => "Down",
    }
}

/// The last replies' round trip; old news is none.
fn recent_round_trip(scene: &Scene) -> String {
    if scene.replies == 0 { "-".to_owned() } else { round_trip(scene.round_trip_ns) }
}

/// `12.3`
fn tenths(at: Duration) -> String {
    format!("{}.{}", at.as_secs(), at.subsec_millis() / 100)
}

/// `0.42 ms`
pub(super) fn round_trip(nanos: u64) -> String {
    format!("{}.{:02} ms", nanos / 1_000_000, nanos / 10_000 % 100)
}

/// `1,234,567`
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn no_line_of_the_table_is_wider_than_a_terminal() {
        let view = View { terminal: false, whole: Duration::from_secs(20), drawn: 0, plain_next: Duration::ZERO };
        let scene = Scene {
            at: Duration::from_secs(30),
            phase: Phase::Outage,
            online: 1_000_000,
            requests: 100_000,
            replies: 100_000,
            round_trip_ns: 3_000_000_000,
            interims: 99_999_999,
            stops_waiting: 1_000_000,
            bills: 1_000_000,
            up: false,
            serving: true,
        };
        for line in view.table(&scene).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
