//! `tollgate`: the daemon, and its other commands.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Process, Signal, Site, seconds, wait_until};

/// What a command said, and how it ended.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Its output, of a command that must have gone well.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Asserts that it ended so, and said one line on standard error, with all of these in it.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        let last = self.err.lines().last().unwrap_or_default();
        for part in parts {
            assert!(last.contains(part), "{part:?} is missing in:\n{}", self.err);
        }
        assert!(!self.err.contains("backtrace") && !self.err.contains("panicked"), "{}", self.err);
    }
}

/// `tollgate` with these arguments, which must end by itself.
pub(crate) fn tollgate(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
    run_command(Command::new(env!("CARGO_BIN_EXE_tollgate")).args(arguments))
}

/// A command that must end by itself.
pub(crate) fn run_command(command: &mut Command) -> Said {
    // Files take whatever is said; a pipe would have to be read meanwhile.
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let output = (out.try_clone().unwrap(), err.try_clone().unwrap());
    let mut process = Process::start(command.stdin(Stdio::null()).stdout(output.0).stderr(output.1));
    let code = process.wait(seconds(30)).code();
    let read = |file: &mut std::fs::File| {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).unwrap();
        text
    };
    Said { code, out: read(&mut out), err: read(&mut err) }
}

/// `tollgate run`, ready.
pub(crate) struct Daemon {
    process: Process,
    control: PathBuf,
    state: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts it in a site and waits until it is ready.
    pub(crate) fn start(site: &Site, datapath: &str) -> Daemon {
        Daemon::start_told(site, datapath, &[])
    }

    /// As [`Daemon::start`], with so many shards.
    pub(crate) fn start_with(site: &Site, datapath: &str, shards: u16) -> Daemon {
        Daemon::start_told(site, datapath, &["--shards", &shards.to_string()])
    }

    /// As [`Daemon::start`], with more arguments.
    pub(crate) fn start_told(site: &Site, datapath: &str, more: &[&str]) -> Daemon {
        Daemon::start_by(&mut Command::new(env!("CARGO_BIN_EXE_tollgate")), site, datapath, more)
    }

    /// As [`Daemon::start`], where the kernel gives another boot id: in a mount namespace of its own, and so as root.
    pub(crate) fn start_booted(site: &Site, datapath: &str, boot_id: &str) -> Daemon {
        let file = site.path("boot-id");
        std::fs::write(&file, boot_id).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c"]);
        command.arg("mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"").arg(file);
        command.arg(env!("CARGO_BIN_EXE_tollgate"));
        Daemon::start_by(&mut command, site, datapath, &[])
    }

    /// As [`Daemon::start`], with slots for so many sessions.
    pub(crate) fn start_sized(site: &Site, datapath: &str, sessions: usize) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        Daemon::start_as(command.args(Daemon::sized_arguments(site, sessions)), site, datapath)
    }

    /// As [`Daemon::start_sized`], with so many shards.
    pub(crate) fn start_sized_with(site: &Site, datapath: &str, sessions: usize, shards: u16) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(Daemon::sized_arguments(site, sessions)).args(["--shards", &shards.to_string()]);
        Daemon::start_as(&mut command, site, datapath)
    }

    /// As [`Daemon::start_told`], by a command that runs `tollgate` with the arguments that it is given.
    pub(crate) fn start_by(command: &mut Command, site: &Site, datapath: &str, more: &[&str]) -> Daemon {
        Daemon::start_as(command.args(Daemon::arguments(site)).args(more), site, datapath)
    }

    fn start_as(command: &mut Command, site: &Site, datapath: &str) -> Daemon {
        let log = site.path(&format!("daemon-{datapath}.log"));
        let errors = std::fs::File::create(&log).unwrap();
        let process = Process::start(
            command.args(["--datapath", datapath]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors),
        );
        let mut daemon = Daemon { process, control: site.control(), state: site.state(), log: log.clone() };
        wait_until("the daemon is ready", seconds(30), || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = daemon.process.ended() {
                panic!("the daemon ended with {status}:\n{said}");
            }
            said.contains("tollgate ready")
        });
        daemon
    }

    /// The arguments of `tollgate run` in a site.
    pub(crate) fn arguments(site: &Site) -> Vec<OsString> {
        Daemon::sized_arguments(site, 20_000)
    }

    fn sized_arguments(site: &Site, sessions: usize) -> Vec<OsString> {
        let named = [("--config", site.config()), ("--state-dir", site.state()), ("--control", site.control())];
        let named = named.into_iter().flat_map(|(name, path)| [name.into(), path.into()]);
        ["run".into()].into_iter().chain(named).chain(["--sessions".into(), sessions.to_string().into()]).collect()
    }

    /// How many lines with this in them its log has since it was started.
    pub(crate) fn logged(&self, part: &str) -> usize {
        self.log().lines().filter(|line| line.contains(part)).count()
    }

    /// Its log since it was started.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// SIGKILL, at once.
    pub(crate) fn kill9(mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(seconds(10));
    }

    /// SIGTERM; it must end well.
    pub(crate) fn terminate(self) {
        self.terminate_with(0);
    }

    /// SIGTERM; it must end with this status.
    pub(crate) fn terminate_with(mut self, code: i32) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait(seconds(20));
        assert_eq!(status.code(), Some(code), "{status}");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The part of one core that it uses for so long: 1 and more for a thread that never sleeps.
    pub(crate) fn load(&self, period: Duration) -> f64 {
        let ticks = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
            // Behind the name come the fields from the third on; 14 and 15 are the times in user and kernel mode.
            let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
            fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>()
        };
        let (before, began) = (ticks(), Instant::now());
        std::thread::sleep(period);
        (ticks() - before) as f64 / 100.0 / began.elapsed().as_secs_f64()
    }

    /// Commands in one sitting.
    pub(crate) fn cli(&self, commands: &[&str]) -> Said {
        let commands = commands.iter().flat_map(|command| ["-c", command]);
        tollgate(["cli", "--control", path(&self.control)].into_iter().chain(commands))
    }

    /// One display as JSON.
    pub(crate) fn display(&self, command: &str) -> Value {
        let said = tollgate(["cli", "--json", "--control", path(&self.control), "-c", command]).well();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{command}: {error}: {said}"))
    }

    /// The states of all sessions, `Accounting` or other.
    pub(crate) fn states(&self) -> Vec<String> {
        let rows = self.display("display access-user");
        rows.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until so many sessions are there, all of them in this state.
    pub(crate) fn wait_for_sessions(&self, count: usize, state: &str) {
        wait_until(&format!("{count} sessions are in state {state}"), seconds(30), || {
            let states = self.states();
            states.len() == count && states.iter().all(|other| other == state)
        });
    }

    /// The bills as JSON objects, from `tollgate bills export`.
    pub(crate) fn bills(&self) -> Vec<Value> {
        bills(&self.state)
    }

    /// Waits until all records that were handed to the ledger are in its file: no more come. Its file is the same when it is read
    /// again a second later, and the writer has had its turn in between, however little of a processor it gets.
    pub(crate) fn wait_until_quiet(&self) {
        let mut before = (String::new(), Instant::now());
        wait_until("the ledger is quiet", seconds(30), || {
            let begun = Instant::now();
            let verdict = tollgate(["bills", "verify", "--state-dir", path(&self.state)]).out;
            if before.0 != verdict {
                before = (verdict, Instant::now());
            }
            self.display("display local-bill information");
            // Samples alone do not wake the writer, which looks after half a second at the latest.
            begun.saturating_duration_since(before.1) >= seconds(1)
        });
    }
}

/// The bills of a store, running or not.
pub(crate) fn bills(state: &Path) -> Vec<Value> {
    let text = tollgate(["bills", "export", "--format", "json", "--state-dir", path(state)]).well();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A path as an argument among texts.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
