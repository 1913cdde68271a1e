//! The simulator, put to the test: bugs are planted on purpose, one after the other, and each must be found.
//!
//! Each is a patch of `mutants/`, as `git diff` writes it, below a line `# what the bug is`. That every patch still applies is
//! checked always; that the simulator finds each bug within 2,000 seeds, and nothing where there is none, by
//!
//! ```text
//! TOLLGATE_TEST_FULL=1 cargo test -p sim --test mutants -- --nocapture
//! ```
//!
//! A bug that is not found is a hole in what worlds do or in what the oracle knows, and is mended there, never in the patch.

mod patch;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Instant;

use patch::Patch;
use tree::{Ran, Tree};

/// Within so many seeds each is found.
const SEEDS: u64 = 2000;

/// All of them.
const BUGS: [&str; 11] = [
    "ack-before-sync",
    "bill-transferred-and-replayed",
    "identifier-reused-early",
    "max-times-off-by-one",
    "secret-reloaded-under-request",
    "stale-generation-read",
    "stop-before-closed-is-durable",
    "stop-with-zero-counters",
    "superseded-interim-lost",
    "timer-lost-at-wheel-wrap",
    "torn-record-accepted",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Those of one crate follow each other, for the others need not be built again then.
fn patches() -> Vec<Patch> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
    let files = std::fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut patches: Vec<Patch> = files.map(|path| Patch::read(&path)).collect();
    patches.sort_by(|a, b| (a.paths().next(), &a.name).cmp(&(b.paths().next(), &b.name)));
    let mut names: Vec<&str> = patches.iter().map(|patch| patch.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, BUGS, "the patches of {}", directory.display());
    patches
}

#[test]
fn every_patch_still_applies() {
    for patch in patches() {
        let applied = patch.applied(&root()).unwrap_or_else(|why| panic!("{why}"));
        for (path, text) in applied {
            assert_ne!(std::fs::read_to_string(root().join(path)).unwrap(), text, "{} changes {path}", patch.name);
        }
    }
}

#[test]
fn every_planted_bug_is_found() {
    if !std::env::var("TOLLGATE_TEST_FULL").is_ok_and(|full| full == "1") {
        return;
    }
    let tree = Tree::new(&root(), &Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants"));
    let (mut seeds, mut not_found) = (0, Vec::new());
    for patch in patches() {
        let began = Instant::now();
        tree.plant(&patch);
        tree.build();
        let built = began.elapsed().as_secs();
        let Ran { broken, sum } = tree.run(SEEDS);
        tree.weed(&patch);
        println!("{}: {}", patch.name, patch.bug);
        match broken {
            Some((seed, what)) => {
                seeds = seeds.max(seed + 1);
                println!("    found by seed {seed}: {what}");
            }
            None => {
                println!("    NOT FOUND: {sum}");
                not_found.push(patch.name);
            }
        }
        println!("    {built} s to build, {} s to run", began.elapsed().as_secs() - built);
    }
    tree.build();
    let Ran { broken, sum } = tree.run(seeds);
    assert_eq!(broken, None, "without any of them");
    println!("without any of them: {sum}");
    assert!(not_found.is_empty(), "{SEEDS} seeds do not find {not_found:?}");
}
