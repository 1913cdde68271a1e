//! strace, which lets system calls of a running process fail.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Process, Said, Signal, Site, run_command, seconds, wait_until};

const STRACE: &str = "/usr/bin/strace";

/// strace at work on all threads of a process. Dropped, it lets go of the process.
pub(crate) struct Tracer {
    process: Process,
    trace: PathBuf,
}

impl Tracer {
    /// From now on each of these system calls fails with EIO, and the trace tells of them and of those in `told`.
    ///
    /// # Panics
    /// Where strace is missing, or processes may not be traced.
    pub(crate) fn fail(site: &Site, id: u32, failing: &str, told: &str) -> Tracer {
        Tracer::attach(site, id, failing, told, "error=EIO")
    }

    /// From now on each of these system calls takes so long.
    ///
    /// # Panics
    /// As [`Tracer::fail`].
    pub(crate) fn slow(site: &Site, id: u32, call: &str, by: Duration) -> Tracer {
        Tracer::attach(site, id, call, call, &format!("delay_enter={}", by.as_micros()))
    }

    fn attach(site: &Site, id: u32, failing: &str, told: &str, how: &str) -> Tracer {
        assert!(Path::new(STRACE).exists(), "these tests need the Debian package strace: scripts/test installs it");
        let (trace, log) = (site.path("trace"), site.path("strace.log"));
        let mut process = Process::start(
            Command::new(STRACE)
                .args(["-f", "-y", "-p", &id.to_string(), "-o"])
                .arg(&trace)
                .args(["-e", &format!("trace={failing},{told}"), "-e", &format!("inject={failing}:{how}")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(&log).unwrap()),
        );
        wait_until("strace is attached", seconds(20), || {
            let said = std::fs::read_to_string(&log).unwrap();
            let ended = process.ended();
            assert!(ended.is_none(), "strace may not trace the daemon, so this test can show nothing: {said}");
            said.contains(" attached")
        });
        Tracer { process, trace }
    }

    /// `tollgate` with these arguments, which must end by itself: what it says, and what the trace tells of these system calls.
    pub(crate) fn of_command<'a>(
        site: &Site,
        told: &str,
        arguments: impl IntoIterator<Item = &'a &'a str>,
    ) -> (Said, String) {
        let trace = site.path("trace");
        let mut command = Command::new(STRACE);
        command.args(["-f", "-y", "-e", &format!("trace={told}"), "-o"]).arg(&trace);
        let said = run_command(command.arg(env!("CARGO_BIN_EXE_tollgate")).args(arguments));
        (said, std::fs::read_to_string(trace).unwrap())
    }

    /// strace before a command: each of its threads fails to read any of these files, so many times or always.
    ///
    /// # Panics
    /// Where strace is missing.
    pub(crate) fn unreadable(site: &Site, files: &[PathBuf], times: Option<u32>) -> Command {
        assert!(Path::new(STRACE).exists(), "these tests need the Debian package strace: scripts/test installs it");
        let when = times.map_or_else(String::new, |times| format!(":when=1..{times}"));
        let mut command = Command::new(STRACE);
        // With -D the process that is started is the command itself, for whoever wants to end it.
        command.args(["-D", "-f", "-o"]).arg(site.path("trace"));
        command.args(["-e", "trace=pread64", "-e", &format!("inject=pread64:error=EIO{when}")]);
        command.args(files.iter().flat_map(|file| [OsStr::new("-P"), file.as_os_str()]));
        command.arg(env!("CARGO_BIN_EXE_tollgate"));
        command
    }

    /// System calls work again. What the trace tells.
    pub(crate) fn detach(mut self) -> String {
        self.process.signal(Signal::TERM);
        self.process.wait(seconds(20));
        std::fs::read_to_string(&self.trace).unwrap()
    }
}
