//! A copy of the workspace to plant bugs in, below the target directory, and the simulator that is built of it. There is one copy
//! for all bugs, in which only those files are touched that differ, so that only their crates are built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::patch::Patch;

/// So long 2,000 seeds take at most; a simulator that takes longer is stuck, and has caught nothing.
const RUN_MOST: Duration = Duration::from_secs(15 * 60);
/// Optimised, and built as fast as that goes.
const PROFILE: [&str; 3] =
    ["profile.release.lto=\"off\"", "profile.release.debug=false", "profile.release.opt-level=2"];

/// The copy.
pub(crate) struct Tree {
    root: PathBuf,
    copy: PathBuf,
    target: PathBuf,
}

/// What a run of the simulator came to.
pub(crate) struct Ran {
    /// The first seed that broke a rule, and the line that says so.
    pub(crate) broken: Option<(u64, String)>,
    /// Its figures.
    pub(crate) sum: String,
}

impl Tree {
    /// Copies what git tracks of the workspace at `root`, as it stands there now.
    pub(crate) fn new(root: &Path, scratch: &Path) -> Tree {
        let tree = Tree { root: root.to_owned(), copy: scratch.join("tree"), target: scratch.join("target") };
        let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
        let listed = listed.expect("git, to know which files are the workspace's");
        assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let paths: Vec<&str> = listed.split_terminator('\0').filter(|path| root.join(path).is_file()).collect();
        assert!(paths.contains(&"Cargo.toml"), "{} is the root of the workspace", root.display());
        paths.into_iter().for_each(|path| tree.restore(path));
        tree
    }

    /// A file is what it is in the workspace.
    fn restore(&self, path: &str) {
        let octets = fs::read(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        self.write(path, &octets);
    }

    fn write(&self, path: &str, octets: &[u8]) {
        let to = self.copy.join(path);
        if fs::read(&to).is_ok_and(|there| there == octets) {
            return;
        }
        fs::create_dir_all(to.parent().unwrap_or(&self.copy)).unwrap_or_else(|error| panic!("{path}: {error}"));
        fs::write(&to, octets).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    }

    /// Plants a bug.
    pub(crate) fn plant(&self, patch: &Patch) {
        let files = patch.applied(&self.root).unwrap_or_else(|why| panic!("{why}"));
        files.iter().for_each(|(path, text)| self.write(path, text.as_bytes()));
    }

    /// Takes it away again.
    pub(crate) fn weed(&self, patch: &Patch) {
        patch.paths().for_each(|path| self.restore(path));
    }

    /// Builds the simulator.
    pub(crate) fn build(&self) {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--release", "--package", "sim"]);
        PROFILE.into_iter().for_each(|setting| _ = cargo.args(["--config", setting]));
        cargo.env("CARGO_TARGET_DIR", &self.target).env("CARGO_INCREMENTAL", "1").current_dir(&self.copy);
        let built = cargo.output().expect("cargo");
        assert!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
    }

    /// Runs so many seeds, or until the first that breaks a rule.
    pub(crate) fn run(&self, seeds: u64) -> Ran {
        let output = |name: &str| {
            let path = self.target.join(name);
            (fs::File::create(&path).expect("a file of the target directory"), path)
        };
        let ((out, out_path), (err, err_path)) = (output("stdout"), output("stderr"));
        let mut sim = Command::new(self.target.join("release/sim"));
        sim.args(["--seeds", &seeds.to_string()]).stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child = sim.spawn().expect("the simulator");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("its status") {
                break status;
            }
            if began.elapsed() > RUN_MOST {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{seeds} seeds take longer than {} s", RUN_MOST.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let (out, err) = (read(&out_path), read(&err_path));
        let broken = err.lines().rev().find_map(|line| {
            let (seed, what) = line.strip_prefix("seed ")?.split_once(" breaks ")?;
            Some((seed.parse().ok()?, what.to_owned()))
        });
        assert_eq!(status.success(), broken.is_none(), "the simulator says what it found:\n{err}\n{out}");
        Ran { broken, sum: out.lines().last().unwrap_or_default().to_owned() }
    }
}
