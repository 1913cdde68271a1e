//! A process that was started, and what it says.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use crate::place::{Place, pid_of};

/// How often is looked whether something was said.
const LOOK: Duration = Duration::from_millis(50);
/// Of what is said last, so much goes into an error.
const TOLD_LINES: usize = 5;

/// Ends with this value. Its standard input stays open as long.
#[derive(Debug)]
pub struct Program {
    place: Arc<Place>,
    child: Child,
    name: String,
    said: PathBuf,
}

/// What a process did that has ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// All that it said.
    pub said: String,
    /// Of its first thread, in the kernel too.
    pub processor_time: Duration,
}

impl Program {
    /// What it says goes into a file of the place.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(place: &Arc<Place>, command: &mut Command) -> Result<Program> {
        let name = PathBuf::from(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let said = place.path(&format!("{name}.log"));
        let log = File::create(&said)?;
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let child = place.spawn(command).with_context(|| format!("{name} cannot be started"))?;
        Ok(Program { place: place.clone(), child, name, said })
    }

    /// Of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it reads what it is asked.
    pub fn input(&mut self) -> Option<&mut ChildStdin> {
        self.child.stdin.as_mut()
    }

    /// All that it has said so far, on standard output and standard error.
    pub fn said(&self) -> String {
        std::fs::read(&self.said).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
    }

    /// The first line with this text in it.
    ///
    /// # Errors
    /// It did not say it in that time, or has ended.
    pub fn await_line(&mut self, text: &str, limit: Duration) -> Result<String> {
        let began = Instant::now();
        loop {
            let has_ended = self.child.try_wait()?.is_some();
            let said = self.said();
            // A line that is not whole is not said yet.
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            if let Some(line) = whole.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if has_ended || began.elapsed() > limit {
                let why = if has_ended { "has ended" } else { "is silent" };
                bail!("{} {why}, without \"{text}\": {}", self.name, tail(&said));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// It has failed.
    pub fn finish(mut self) -> Result<Ended> {
        drop(self.child.stdin.take());
        // What it used is told as long as its status is not taken.
        waitid(Id::Pid(pid_of(&self.child)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        let processor_time = crate::processor_time(self.id())?;
        let status = self.child.wait()?;
        let said = self.said();
        if !status.success() {
            bail!("{} has failed ({status}): {}", self.name, tail(&said));
        }
        Ok(Ended { said, processor_time })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.place.end(&mut self.child);
    }
}

fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().rev().take(TOLD_LINES).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_directory_nor_process_outlives_the_run() {
        let place = Place::new().expect("a directory can be made");
        let directory = place.directory().to_owned();
        let mut command = Command::new("sh");
        command.args(["-c", "echo ready; sleep 600"]);
        let mut program = Program::start(&place, &mut command).expect("there is a shell");
        assert_eq!(program.await_line("ready", Duration::from_secs(10)).expect("it says so"), "ready");
        let process = PathBuf::from(format!("/proc/{}", program.id()));
        assert!(process.exists() && directory.exists());
        drop((program, place));
        assert!(!process.exists() && !directory.exists());
    }

    #[test]
    fn whoever_ends_by_itself_tells_its_time_and_its_words() {
        let place = Place::new().expect("a directory can be made");
        let mut command = Command::new("sh");
        command.args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; echo counted"]);
        let ended = Program::start(&place, &mut command).expect("there is a shell").finish().expect("it succeeds");
        assert_eq!(ended.said, "counted\n");
        assert!(ended.processor_time > Duration::from_millis(1), "{:?}", ended.processor_time);
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let failed = Program::start(&place, &mut command).expect("there is a shell").finish();
        assert!(failed.expect_err("it has failed").to_string().ends_with("why"));
    }
}
