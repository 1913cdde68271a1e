//! `sim --seeds N [--from S]` runs N seeds from S; `sim --seed S` tells one seed with its trace; `sim --soak` runs seeds until
//! it is stopped; `sim --fail-each` has every operation of a seed fail once. Built with the feature `marks`, `--marks` tells which odd
//! branches of the machines were taken.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its terminal")]

mod campaign;
mod fail_each;

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::time::Duration;

use campaign::{Broken, End, Sum};
use clap::Parser;
use sim::{Fails, Knobs, Load, World};

/// The whole engine under one seed.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them; of a soak it is random otherwise.
    #[arg(long)]
    from: Option<u64>,
    /// Run this one alone and print its trace.
    #[arg(long, conflicts_with_all = ["seeds", "from", "soak"])]
    seed: Option<u64>,
    /// Run seeds for so many hours, or until stopped; those that break a rule are told, and the others go on.
    #[arg(long, value_name = "HOURS", num_args = 0..=1, conflicts_with = "seeds")]
    soak: Option<Option<f64>>,
    /// Each operation of a seed's disks, bill server and network fails once, and so does each of recovery after a kill.
    #[arg(long, conflicts_with_all = ["seed", "soak", "fail"])]
    fail_each: bool,
    /// One operation fails, as `--fail-each` names it.
    #[arg(long, value_name = "NUMBER:WAY[:KILLED-AFTER]")]
    fail: Option<Fails>,
    /// Virtual minutes with faults, instead of what the seed says.
    #[arg(long)]
    minutes: Option<u64>,
    /// Session names, instead of what the seed says.
    #[arg(long)]
    sessions: Option<usize>,
    /// The world is loaded with this, instead of faults.
    #[arg(long, value_enum)]
    load: Option<Load>,
    /// Sessions, their intervals and the pauses between faults last so many times longer.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1000))]
    stretch: Option<u64>,
    /// Tell how often each odd branch of the machines was taken; it is a failure if one never was.
    #[cfg(feature = "marks")]
    #[arg(long)]
    marks: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "marks")]
    if arguments.marks {
        let outcome = run(&arguments);
        return if marks_are_hit() { outcome } else { ExitCode::FAILURE };
    }
    run(&arguments)
}

fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { seeds, from, seed, soak, fail_each, fail, minutes, sessions, load, stretch, .. } = *arguments;
    let knobs = Knobs { minutes, sessions, stretch, fails: fail, load };
    match (seed, soak) {
        (Some(seed), _) => tell(seed, knobs),
        (None, None) if fail_each => fail_each::run(from.unwrap_or(0), seeds, knobs),
        (None, None) => campaign::run(from.unwrap_or(0), End::Seeds(seeds), knobs),
        (None, Some(hours)) => {
            // Half of all numbers, so that none overflows.
            let from = from.unwrap_or_else(|| RandomState::new().hash_one(()) >> 1);
            println!("seeds from {from}");
            let hours = hours.and_then(|hours| Duration::try_from_secs_f64(hours * 3600.0).ok());
            campaign::run(from, End::Soak(hours), knobs)
        }
    }
}

/// Tells how often each odd branch of the machines was taken. False: some never was.
#[cfg(feature = "marks")]
fn marks_are_hit() -> bool {
    let hits: Vec<_> = model::marks::hits().collect();
    let told: Vec<String> = hits.iter().map(|(mark, count)| format!("{mark:?} {count}")).collect();
    println!("{} marks: {}", hits.len(), told.join(", "));
    let missed: Vec<_> = hits.iter().filter(|(_, count)| *count == 0).map(|(mark, _)| format!("{mark:?}")).collect();
    if !missed.is_empty() {
        eprintln!("no seed takes the branches of these marks (crates/model/src/marks.rs): {}", missed.join(", "));
    }
    missed.is_empty()
}

/// One seed, and everything that happened.
fn tell(seed: u64, knobs: Knobs) -> ExitCode {
    let mut world = World::new(seed, knobs, true);
    let outcome = campaign::live(&mut world);
    for line in world.trace() {
        println!("{line}");
    }
    if let Some(violation) = &outcome.violation {
        eprintln!("{}", Broken { seed, knobs, violation });
    }
    let mut sum = Sum::default();
    sum.add(&outcome);
    println!("{}", sum.line(Duration::ZERO));
    sum.exit()
}
