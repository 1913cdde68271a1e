//! Every target holds for its seeds and for what is nearly a seed. No sanitizer and no fuzzer is needed: this runs with every
//! other test, a short while for each target, along a sequence that is the same each time.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fuzz::changes::Changes;
use fuzz::{TARGETS, Target};

/// So long each target may take, unless `TOLLGATE_FUZZ_MILLIS` says something else.
const TIME_DEFAULT: Duration = Duration::from_millis(1500);

/// Inputs that are run whatever they take.
const INPUTS_MIN: usize = 100;

/// Targets at once.
const LANES: usize = 2;

fn time() -> Duration {
    let told = std::env::var("TOLLGATE_FUZZ_MILLIS").ok().and_then(|text| text.parse().ok());
    told.map_or(TIME_DEFAULT, Duration::from_millis)
}

/// Whether a target holds for one input; that of a failure is kept.
fn holds_for(target: &Target, input: &[u8]) -> bool {
    let has_held = catch_unwind(AssertUnwindSafe(|| (target.check)(input))).is_ok();
    if !has_held {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts").join(target.name);
        let kept = directory.join("changed-seed");
        let written = fs::create_dir_all(&directory).and_then(|()| fs::write(&kept, input));
        eprintln!("{} fails: the input is {} ({written:?})", target.name, kept.display());
    }
    has_held
}

fn holds(target: &Target) -> bool {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has seeds", target.name);
    if !seeds.iter().all(|seed| holds_for(target, seed)) {
        return false;
    }
    let (began, mut count) = (Instant::now(), 0);
    for input in Changes::new(seeds) {
        if count >= INPUTS_MIN && began.elapsed() > time() {
            break;
        }
        if !holds_for(target, &input) {
            return false;
        }
        count += 1;
    }
    println!("{}: {count} changed seeds in {} ms", target.name, began.elapsed().as_millis());
    true
}

#[test]
fn every_target_holds_for_its_seeds_and_what_is_nearly_one() {
    let next = AtomicUsize::new(0);
    let next = || TARGETS.get(next.fetch_add(1, Ordering::Relaxed));
    let lane = || std::iter::from_fn(next).filter(|target| !holds(target)).map(|target| target.name).collect();
    let failed: Vec<&str> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        let failed = lanes.into_iter().flat_map(|lane| -> Vec<&str> { lane.join().unwrap() });
        failed.collect()
    });
    assert!(failed.is_empty(), "these do not hold: {failed:?}");
}

#[test]
fn each_target_has_its_program_and_its_line() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let lines = fs::read_to_string(fuzz.join("targets.txt")).unwrap();
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    let mut listed = BTreeSet::new();
    for line in lines {
        let mut words = line.split_whitespace();
        listed.extend(words.next().map(str::to_owned));
        let sources: Vec<&str> = words.collect();
        assert!(!sources.is_empty(), "{line}");
        for source in sources {
            assert!(fuzz.join("../crates").join(source).exists(), "{line}: there is no {source}");
        }
    }
    assert_eq!(listed, targets);
    let programs = fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    let programs = programs.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned());
    assert_eq!(programs.collect::<BTreeSet<_>>(), targets);
    let readme = fs::read_to_string(fuzz.join("README.md")).unwrap();
    for target in &targets {
        assert!(readme.contains(&format!("| `{target}` |")), "README.md says nothing of {target}");
    }
}
