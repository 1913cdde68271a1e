//! What lines lose, told from what a server drops, and known long before a vendor's timer knows it.
//!
//! *Missed.* The vendor's timer of a request runs for seconds. That no reply will come is clear much sooner: when the server
//! has answered [`OVERTAKEN_BY`] requests that left when the reply should have been here already, as RACK tells the loss of a
//! segment from the time of those that arrived (RFC 8985). What is missed so waits for nothing but its timer. Its place in the
//! window is free, for it lies neither in the server nor on the way. *Already* is the longest round trip of late and a margin:
//! a reply that comes all the same makes that time longer, so that a server that answers out of order teaches us to wait.
//!
//! *The line's or ours.* Of what the line loses, the same part is lost however little is asked; what the server drops for want
//! of room is not lost any more when it is asked less. So it is tried out. A sample is at least [`SAMPLE_LEAST`] requests in a
//! row, whose ends are all known:
//!
//! ```text
//!                     too many missed                   as many missed again
//!   sample as wide ───────────────────▶ narrower ──────────────────────────────▶ the line's: as wide as it was
//!         ▲                                 │ fewer                                       │
//!         └─────────────────────────────────┴─────────────────────────────────────────────┘
//! ```
//!
//! What the line loses is believed for [`LINE_BELIEVED`] and tried out again then.
//!
//! Comes in: when requests left, were answered, were missed. Goes out: a judgement now and then. Nothing is allocated.

use std::time::Duration;

use model::time::Mono;

/// As many requests that left later and were answered, as TCP waits for (RFC 8985 section 3.1, RFC 5681 section 3.2).
const OVERTAKEN_BY: usize = 3;
/// Replies are this much later than any of late, at least: no server's threads answer in the order of the questions.
const MARGIN_LEAST: Duration = Duration::from_millis(10);
/// How far back *of late* goes, up to twice as far.
const LATE: Duration = Duration::from_secs(2);
/// Requests of a sample, at least.
const SAMPLE_LEAST: u32 = 64;
/// Thousandths that a line loses at most. One that loses more is none.
const LINE_MOST: u32 = 500;
/// How long the line is taken to be as it was.
const LINE_BELIEVED: Duration = Duration::from_secs(10);

/// What a sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// More is missed than the line is known to lose. When a window that has room for what the server answered and no more does
    /// not help, it is the line.
    TooWide {
        /// So wide is that window.
        width: u64,
    },
    /// As much is missed in a narrower window: it may be as wide as it was.
    NotOurs,
    /// Nothing was learnt that matters.
    Fair,
}

/// Requests that left one after the other.
#[derive(Clone, Copy, Debug)]
struct Sample {
    began: Mono,
    /// When there were enough of them.
    ended: Option<Mono>,
    sent: u32,
    answered: u32,
    missed: u32,
    /// The first and the last reply.
    replies: Option<(Mono, Mono)>,
    /// Of all round trips, nanoseconds.
    sum_ns: u64,
}

impl Sample {
    fn begin(now: Mono) -> Sample {
        Sample { began: now, ended: None, sent: 0, answered: 0, missed: 0, replies: None, sum_ns: 0 }
    }

    fn has(&self, sent: Mono) -> bool {
        sent >= self.began && self.ended.is_none_or(|ended| sent <= ended)
    }

    fn ends(&self) -> u32 {
        self.answered + self.missed
    }

    fn permille(&self) -> u32 {
        self.missed.saturating_mul(1_000).checked_div(self.ends()).unwrap_or_default()
    }
}

/// What is lost on the way to one server and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Losses {
    /// When the requests left that left last and were answered, the last first.
    latest: [Mono; OVERTAKEN_BY],
    /// The longest round trip, nanoseconds, of this time and of the one before, each [`LATE`] long.
    longest_ns: [u64; 2],
    longest_since: Mono,
    sample: Sample,
    /// Thousandths that the line loses, there and back, and until when that is believed.
    line: u32,
    line_until: Mono,
    /// Thousandths that were missed before the window was made narrower to see whether that helps.
    trial: Option<u32>,
}

impl Losses {
    /// Of a server that nothing is known of.
    pub(crate) fn new(now: Mono) -> Losses {
        Losses {
            latest: [Mono::ZERO; OVERTAKEN_BY],
            longest_ns: [0; 2],
            longest_since: now,
            sample: Sample::begin(now),
            line: 0,
            line_until: Mono::ZERO,
            trial: None,
        }
    }

    /// What left at this time or before and has no reply is missed; `None`: nothing is known yet.
    pub(crate) fn missed_until(&self) -> Option<Mono> {
        let until = self.latest[OVERTAKEN_BY - 1].as_nanos().checked_sub(self.overdue_ns())?;
        (until > 0).then_some(Mono::from_nanos(until))
    }

    /// A reply that took longer is not expected any more; `None`: nothing is known yet.
    pub(crate) fn overdue(&self) -> Option<Duration> {
        (self.longest_ns != [0; 2]).then_some(Duration::from_nanos(self.overdue_ns()))
    }

    fn overdue_ns(&self) -> u64 {
        let longest = self.longest_ns[0].max(self.longest_ns[1]);
        longest.saturating_add((longest / 4).max(nanos(MARGIN_LEAST)))
    }

    /// Whether more is missed just now than the line loses, as far as is known.
    pub(crate) fn is_suspicious(&self) -> bool {
        self.sample.missed > self.expected(&self.sample)
    }

    /// A request left for the first time, under a window so wide.
    pub(crate) fn handle_sent(&mut self, now: Mono, width: u32) {
        if self.sample.ended.is_none() {
            self.sample.sent += 1;
            self.sample.ended = (self.sample.sent >= width.max(SAMPLE_LEAST)).then_some(now);
        }
    }

    /// A reply came to what was transmitted once, at `sent`. `was_missed`: nobody expected it any more.
    pub(crate) fn handle_reply(&mut self, sent: Mono, now: Mono, was_missed: bool) {
        if now.since(self.longest_since) >= LATE {
            self.longest_ns = [0, self.longest_ns[0]];
            self.longest_since = now;
        }
        let took = nanos(now.since(sent)).max(1);
        self.longest_ns[0] = self.longest_ns[0].max(took);
        let place = self.latest.partition_point(|&other| other >= sent);
        if place < OVERTAKEN_BY {
            self.latest[place..].rotate_right(1);
            self.latest[place] = sent;
        }
        if self.sample.has(sent) {
            self.sample.answered += 1;
            self.sample.replies = Some((self.sample.replies.map_or(now, |(first, _)| first), now));
            self.sample.sum_ns = self.sample.sum_ns.saturating_add(took);
            self.sample.missed -= u32::from(was_missed && self.sample.missed > 0);
        }
    }

    /// What was transmitted once, at `sent`, is missed.
    pub(crate) fn handle_missed(&mut self, sent: Mono) {
        if self.sample.has(sent) {
            self.sample.missed += 1;
        }
    }

    /// Judges the sample, when the ends of all its requests are known: those that are missed by now have been told.
    pub(crate) fn judge(&mut self, now: Mono) -> Option<Judgement> {
        if self.sample.ended? > self.missed_until()? {
            return None;
        }
        let sample = std::mem::replace(&mut self.sample, Sample::begin(now));
        if now >= self.line_until {
            self.line = 0;
        }
        let missed = sample.permille();
        if let Some(before) = self.trial.take()
            && missed * 2 > before + self.line
        {
            self.line = u32::midpoint(before, missed).min(LINE_MOST);
            self.line_until = now.plus(LINE_BELIEVED);
            return Some(Judgement::NotOurs);
        }
        if sample.missed <= self.expected(&sample) {
            if sample.missed < self.least(&sample) {
                self.line = missed;
            }
            return Some(Judgement::Fair);
        }
        self.trial = Some(missed);
        Some(Judgement::TooWide { width: self.borne(&sample) })
    }

    /// As many places as the server needs to answer as fast as it did, an eighth less, so that nothing waits there: those that it
    /// answers, each for its round trip, and those that the line loses, each until it is missed (Little's law).
    fn borne(&self, sample: &Sample) -> u64 {
        let Some((first, last)) = sample.replies.filter(|(first, last)| first < last) else { return u64::MAX };
        let (answered, line) = (u64::from(sample.answered), u64::from(self.line));
        let mean = sample.sum_ns / answered;
        let lost = (mean + self.overdue_ns()) * line / (1_000 - line);
        (answered - 1) * 7 * (mean + lost) / (8 * nanos(last.since(first)))
    }

    /// The window has become narrower for another reason: nothing can be compared.
    pub(crate) fn give_up_trial(&mut self, now: Mono) {
        self.trial = None;
        self.sample = Sample::begin(now);
    }

    /// As many of a sample the line may lose: what it loses in the mean, and what chance may add to it, two standard deviations
    /// of a Poisson distribution; and two of a hundred, which no line is blamed for.
    fn expected(&self, sample: &Sample) -> u32 {
        let mean = sample.ends() * self.line / 1_000;
        mean + 2 * mean.isqrt() + (sample.ends() / 50).max(2)
    }

    /// When it loses less, it is not the line that it was.
    fn least(&self, sample: &Sample) -> u32 {
        let mean = sample.ends() * self.line / 1_000;
        mean.saturating_sub(2 * mean.isqrt() + 2)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    /// Requests from this time on, one a millisecond, that were answered after so many.
    fn answered(losses: &mut Losses, from: u64, count: u64, took: u64) {
        for sent in from..from + count {
            losses.handle_reply(at(sent), at(sent + took), false);
        }
    }

    #[test]
    fn who_is_overtaken_by_three_that_left_when_the_reply_was_overdue_is_missed() {
        let mut losses = Losses::new(at(0));
        assert_eq!((losses.missed_until(), losses.overdue()), (None, None));
        answered(&mut losses, 1_000, 2, 100);
        assert_eq!(losses.missed_until(), None, "two may be wrong");
        assert_eq!(losses.overdue(), Some(Duration::from_millis(125)));
        answered(&mut losses, 1_002, 1, 100);
        assert_eq!(losses.missed_until(), Some(at(875)));
        // The order of their replies does not matter, and older ones tell nothing.
        for sent in [1_500, 1_400, 1_600, 1_100, 1_050] {
            losses.handle_reply(at(sent), at(1_600), false);
        }
        assert_eq!(losses.missed_until(), Some(Mono::from_nanos(1_400_000_000 - 687_500_000)));
    }

    #[test]
    fn a_late_reply_is_waited_for_and_forgotten_again() {
        let mut losses = Losses::new(at(0));
        answered(&mut losses, 1_000, 100, 4);
        assert_eq!(losses.overdue(), Some(Duration::from_millis(14)), "ten more at least");
        losses.handle_reply(at(1_100), at(1_900), true);
        assert_eq!(losses.overdue(), Some(Duration::from_millis(1_000)));
        answered(&mut losses, 5_000, 100, 4);
        answered(&mut losses, 8_000, 100, 4);
        assert_eq!(losses.overdue(), Some(Duration::from_millis(14)));
    }

    /// Samples of a hundred requests, of which so many are missed, and what each says.
    fn samples(samples: &[(u64, u64)]) -> Vec<&'static str> {
        let (mut losses, mut now, mut said) = (Losses::new(at(0)), 10_000, Vec::new());
        for &(missed, pause_s) in samples {
            now += pause_s * 1_000;
            for number in 0..100 {
                losses.handle_sent(at(now + number), 100);
            }
            for number in 0..100 {
                match number < missed {
                    true => losses.handle_missed(at(now + number)),
                    false => losses.handle_reply(at(now + number), at(now + number + 20), false),
                }
            }
            now += 200;
            assert_eq!(losses.judge(at(now)), None, "it is not known yet what became of all");
            answered(&mut losses, now, 3, 20);
            said.push(match losses.judge(at(now)) {
                Some(Judgement::Fair) => "fair",
                Some(Judgement::TooWide { .. }) => "too wide",
                Some(Judgement::NotOurs) => "not ours",
                None => "none",
            });
        }
        said
    }

    /// How many are missed in each sample, after so many seconds; what each says.
    type Case = (&'static [(u64, u64)], &'static [&'static str]);

    #[test]
    fn the_line_is_told_from_the_server_by_trial() {
        let cases: [Case; 5] = [
            (&[(0, 0), (2, 0), (1, 0)], &["fair"; 3]),
            // It helps.
            (&[(20, 0), (0, 0), (2, 0), (20, 0)], &["too wide", "fair", "fair", "too wide"]),
            // It does not; then as much is believed for ten seconds, and more is not.
            (&[(20, 0), (18, 0), (25, 0), (20, 0), (60, 0)], &["too wide", "not ours", "fair", "fair", "too wide"]),
            (&[(20, 0), (18, 0), (20, 0), (20, 11)], &["too wide", "not ours", "fair", "too wide"]),
            // It has become better, and is held to that.
            (&[(20, 0), (18, 0), (0, 0), (20, 0)], &["too wide", "not ours", "fair", "too wide"]),
        ];
        for (given, expected) in cases {
            assert_eq!(samples(given), expected, "{given:?}");
        }
    }
}
