//! Every operation of a seed's world that can fail does so once, in each way that it has: the first, the second, and so on, until
//! a run in which none fails any more. And then those of recovery, after kills that lie all over the world.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sim::{Fails, Knobs, Outcome, World};

use crate::campaign::{Broken, listed, live, on_all_cores};

/// Kills whose recovery is gone through, spread over the operations of a world; the power goes with about every second.
const KILLS: u64 = 8;

/// What came of it.
#[derive(Default)]
struct Sum {
    worlds: u64,
    violations: u64,
    failed: BTreeMap<&'static str, u64>,
    failed_in_recovery: BTreeMap<&'static str, u64>,
}

/// Seeds from this one on, on all cores, until the first that breaks a rule.
pub(crate) fn run(from: u64, count: u64, knobs: Knobs) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let sum = Mutex::new(Sum::default());
    on_all_cores(|| {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(count) {
                return;
            }
            let each = fail_each(seed, knobs);
            let Ok(mut sum) = sum.lock() else { return };
            if each.violations > 0 {
                next.store(u64::MAX / 2, Ordering::Relaxed);
            }
            sum.add(each);
        }
    });
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    println!("{}, {:.1} s", sum.line(count), began.elapsed().as_secs_f64());
    if sum.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fail_each(seed: u64, knobs: Knobs) -> Sum {
    let mut sum = Sum::default();
    let operations = sum.fail_in_turn(seed, knobs, None);
    for kill in 1..=KILLS {
        if sum.violations == 0 {
            sum.fail_in_turn(seed, knobs, Some(operations * kill / (KILLS + 1)));
        }
    }
    sum
}

impl Sum {
    /// Returns how many operations there are when none fails.
    fn fail_in_turn(&mut self, seed: u64, knobs: Knobs, killed_after: Option<u64>) -> u64 {
        let (mut number, mut way) = (1, 0);
        loop {
            let knobs = Knobs { fails: Some(Fails { number, way, killed_after }), ..knobs };
            let Outcome { violation, struck, operations, .. } = live(&mut World::new(seed, knobs, false));
            self.worlds += 1;
            if let Some(violation) = violation {
                eprintln!("{}", Broken { seed, knobs, violation: &violation });
                self.violations += 1;
                return operations;
            }
            let Some(struck) = struck else { return operations };
            let failed = if killed_after.is_some() { &mut self.failed_in_recovery } else { &mut self.failed };
            *failed.entry(struck.what).or_default() += 1;
            (number, way) = if way + 1 < struck.ways { (number, way + 1) } else { (number + 1, 0) };
        }
    }

    fn add(&mut self, other: Sum) {
        self.worlds += other.worlds;
        self.violations += other.violations;
        for (all, some) in [(&mut self.failed, other.failed), (&mut self.failed_in_recovery, other.failed_in_recovery)]
        {
            some.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
        }
    }

    fn line(&self, seeds: u64) -> String {
        format!(
            "each operation of {seeds} seeds failed once: {} worlds, {} violations; {}; in recovery: {}",
            self.worlds,
            self.violations,
            listed(&self.failed),
            listed(&self.failed_in_recovery)
        )
    }
}
