//! Where a run keeps its files and which processes it has started: neither outlives it, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, exit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

/// What a shell says of a program that was interrupted.
const INTERRUPTED: i32 = 130;
/// Places made so far.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A directory of the run's own, and its processes, each in a group of its own with whatever it starts.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    /// Where this program lies, and those that it starts.
    programs: PathBuf,
    running: Mutex<Vec<Pid>>,
    named: AtomicU32,
}

impl Place {
    /// An empty one; whoever interrupts the run clears it.
    ///
    /// # Errors
    /// No directory can be made, or no thread.
    pub fn new() -> Result<Arc<Place>> {
        let mut ends = SigSet::empty();
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().for_each(|signal| ends.add(signal));
        ends.thread_block()?;
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("tollgate-bench-{process}-{number}"));
        fs::create_dir(&directory).with_context(|| format!("{} cannot be made", directory.display()))?;
        let own = std::env::current_exe()?;
        let programs = own.parent().context("a program lies in a directory")?.to_owned();
        let place = Arc::new(Place { directory, programs, running: Mutex::default(), named: AtomicU32::new(0) });
        let watched = Arc::downgrade(&place);
        std::thread::Builder::new().spawn(move || {
            let _ = ends.wait();
            if let Some(place) = watched.upgrade() {
                place.clear();
            }
            exit(INTERRUPTED);
        })?;
        Ok(place)
    }

    /// Where its files lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A name that nothing in the directory has.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{}-{name}", self.named.fetch_add(1, Ordering::Relaxed)))
    }

    /// One of the programs that are built with this one.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// Starts a process, which is ended with the place at the latest.
    ///
    /// # Errors
    /// There is no such program, or no more room for processes.
    pub fn spawn(&self, command: &mut Command) -> std::io::Result<Child> {
        use std::os::unix::process::CommandExt;
        // Whoever is interrupted in between waits until the new process is known.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.process_group(0).spawn()?;
        running.push(pid_of(&child));
        Ok(child)
    }

    /// Ends a process and whatever it has started, and takes its status.
    pub fn end(&self, child: &mut Child) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has ended leaves no group.
        let _ = killpg(pid_of(child), Signal::SIGKILL);
        let _ = child.wait();
        running.retain(|pid| *pid != pid_of(child));
    }

    fn clear(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for pid in running.iter() {
            let _ = killpg(*pid, Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(self.directory());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}

/// As signals want it.
pub fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}
