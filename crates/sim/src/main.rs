//! `sim --seeds N [--from S]` runs N seeds from S; `sim --seed S` tells one seed with its trace.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its terminal")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use sim::{Knobs, Outcome, Violation, World};

/// The whole engine under one seed.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this one alone and print its trace.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Virtual minutes with faults, instead of what the seed says.
    #[arg(long)]
    minutes: Option<u64>,
    /// Session names, instead of what the seed says.
    #[arg(long)]
    sessions: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let knobs = Knobs { minutes: arguments.minutes, sessions: arguments.sessions };
    match arguments.seed {
        Some(seed) => tell(seed, knobs),
        None => run(arguments.from, arguments.seeds, knobs),
    }
}

/// One seed, and everything that happened.
fn tell(seed: u64, knobs: Knobs) -> ExitCode {
    let mut world = World::new(seed, knobs, true);
    let outcome = live(&mut world);
    for line in world.trace() {
        println!("{line}");
    }
    close(&Sum::of(&outcome), Duration::ZERO, seed, &outcome)
}

/// Many seeds, on all cores, until the first that breaks a rule.
fn run(from: u64, count: u64, knobs: Knobs) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Sum::default());
    let broken: Mutex<BTreeMap<u64, Outcome>> = Mutex::default();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return;
            }
            let outcome = live(&mut World::new(seed, knobs, false));
            if let Ok(mut sum) = sum.lock() {
                sum.add(&outcome);
            }
            if outcome.violation.is_some() {
                next.store(from + count, Ordering::Relaxed);
                if let Ok(mut broken) = broken.lock() {
                    broken.insert(seed, outcome);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let sum = sum.into_inner().unwrap_or_default();
    let broken = broken.into_inner().unwrap_or_default();
    let (seed, outcome) = broken.into_iter().next().unwrap_or_default();
    close(&sum, began.elapsed(), seed, &outcome)
}

/// Runs a world; a machine that stops itself has broken a rule too.
fn live(world: &mut World) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    outcome.unwrap_or_else(|_| Outcome {
        violation: Some(Violation { rule: "no machine stops itself", what: "see the message above".to_owned() }),
        ..Outcome::default()
    })
}

/// Figures over all seeds.
#[derive(Default)]
struct Sum {
    seeds: u64,
    elapsed: Duration,
    sessions: u64,
    violations: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn of(outcome: &Outcome) -> Sum {
        let mut sum = Sum::default();
        sum.add(outcome);
        sum
    }

    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.elapsed += outcome.elapsed;
        self.sessions += outcome.sessions;
        self.violations += u64::from(outcome.violation.is_some());
        for (kind, count) in &outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

fn close(sum: &Sum, took: Duration, seed: u64, outcome: &Outcome) -> ExitCode {
    if let Some(Violation { rule, what }) = &outcome.violation {
        eprintln!("seed {seed} breaks \"{rule}\": {what}");
    }
    let faults: Vec<String> = sum.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!(
        "{} seeds, {:.1} virtual hours in {:.1} s, {} sessions, {} violations; {}",
        sum.seeds,
        sum.elapsed.as_secs_f64() / 3600.0,
        took.as_secs_f64(),
        sum.sessions,
        sum.violations,
        faults.join(", ")
    );
    if sum.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
