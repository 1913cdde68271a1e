//! Many worlds on all cores, and the figures over all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sim::{Knobs, Outcome, Violation, World};

/// A soak says how far it is so often.
const TELLS_EVERY: Duration = Duration::from_secs(60);

/// When a campaign ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// After so many seeds, or with the first that breaks a rule.
    Seeds(u64),
    /// After so long, or never. Whoever breaks a rule is told of at once, and the others go on.
    Soak(Option<Duration>),
}

/// Figures over worlds.
#[derive(Default)]
pub(crate) struct Sum {
    seeds: u64,
    elapsed: Duration,
    up: Duration,
    sessions: u64,
    pub(crate) violations: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Sum {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.elapsed += outcome.elapsed;
        self.up += outcome.up;
        self.sessions += outcome.sessions;
        self.violations += u64::from(outcome.violation.is_some());
        for (kind, count) in &outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }

    pub(crate) fn exit(&self) -> ExitCode {
        if self.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// The closing line of worlds that took so long.
    pub(crate) fn line(&self, took: Duration) -> String {
        format!(
            "{} seeds, {:.1} virtual hours in {:.1} s, {} sessions, {:.1} session-days, {} violations; {}",
            self.seeds,
            self.elapsed.as_secs_f64() / 3600.0,
            took.as_secs_f64(),
            self.sessions,
            self.up.as_secs_f64() / 86_400.0,
            self.violations,
            listed(&self.faults)
        )
    }
}

/// What was counted, by kind.
pub(crate) fn listed(counts: &BTreeMap<&str, u64>) -> String {
    counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
}

/// Works on every core until all are done.
pub(crate) fn on_all_cores(work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(&work);
        }
    });
}

/// A seed that breaks a rule, and how it is told again.
pub(crate) struct Broken<'a> {
    pub(crate) seed: u64,
    pub(crate) knobs: Knobs,
    pub(crate) violation: &'a Violation,
}

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { rule, what } = self.violation;
        write!(f, "seed {} breaks \"{rule}\": {what}\nits trace: sim --seed {}", self.seed, self.seed)?;
        let Knobs { minutes, sessions, stretch, fails, load } = self.knobs;
        minutes.map_or(Ok(()), |minutes| write!(f, " --minutes {minutes}"))?;
        sessions.map_or(Ok(()), |sessions| write!(f, " --sessions {sessions}"))?;
        stretch.map_or(Ok(()), |stretch| write!(f, " --stretch {stretch}"))?;
        load.map_or(Ok(()), |load| write!(f, " --load {}", format!("{load:?}").to_lowercase()))?;
        fails.map_or(Ok(()), |fails| write!(f, " --fail {fails}"))
    }
}

/// Runs a world; a machine that stops itself has broken a rule too.
pub(crate) fn live(world: &mut World) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    outcome.unwrap_or_else(|_| Outcome {
        violation: Some(Violation { rule: "no machine stops itself", what: "see the message above".to_owned() }),
        ..Outcome::default()
    })
}

/// What all threads of a campaign share.
struct Campaign {
    from: u64,
    knobs: Knobs,
    end: End,
    began: Instant,
    next: AtomicU64,
    is_over: AtomicBool,
    sum: Mutex<(Sum, Instant)>,
}

/// Seeds from this one on, until the end.
pub(crate) fn run(from: u64, end: End, knobs: Knobs) -> ExitCode {
    let began = Instant::now();
    let campaign = Campaign {
        from,
        knobs,
        end,
        began,
        next: AtomicU64::new(from),
        is_over: false.into(),
        sum: Mutex::new((Sum::default(), began)),
    };
    on_all_cores(|| campaign.work());
    let (sum, _) = campaign.sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    println!("{}", sum.line(began.elapsed()));
    sum.exit()
}

impl Campaign {
    fn work(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let is_last = match self.end {
                End::Seeds(count) => seed.wrapping_sub(self.from) >= count,
                End::Soak(long) => long.is_some_and(|long| self.began.elapsed() >= long),
            };
            if is_last {
                return;
            }
            let outcome = live(&mut World::new(seed, self.knobs, false));
            self.note(seed, &outcome);
        }
    }

    fn note(&self, seed: u64, outcome: &Outcome) {
        let Ok(mut guard) = self.sum.lock() else { return };
        let (sum, told) = &mut *guard;
        sum.add(outcome);
        if let Some(violation) = &outcome.violation {
            eprintln!("{}", Broken { seed, knobs: self.knobs, violation });
            self.is_over.fetch_or(matches!(self.end, End::Seeds(_)), Ordering::Relaxed);
        }
        if matches!(self.end, End::Soak(_)) && told.elapsed() >= TELLS_EVERY {
            *told = Instant::now();
            println!("{}", sum.line(self.began.elapsed()));
        }
    }
}
