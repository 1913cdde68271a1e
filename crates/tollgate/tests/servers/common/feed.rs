//! `tollgate feed`, and the scripts that it plays.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Process, Site, wait_for};

/// What a session has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Totals {
    pub(crate) in_octets: u64,
    pub(crate) in_packets: u64,
    pub(crate) out_octets: u64,
    pub(crate) out_packets: u64,
}

impl Totals {
    /// Different ones for each `seed`; `giga` many 2^32 octets among them.
    pub(crate) fn of(seed: u64, giga: u64) -> Totals {
        Totals {
            in_octets: (giga << 32) + 1_000 + 17 * seed,
            in_packets: 10 + seed,
            out_octets: ((2 * giga) << 32) + 50_000 + 31 * seed,
            out_packets: 40 + 2 * seed,
        }
    }

    /// What a bill says.
    pub(crate) fn of_bill(bill: &Value) -> Totals {
        let number = |name: &str| bill[name].as_u64().unwrap_or_else(|| panic!("{name} in {bill}"));
        Totals {
            in_octets: number("in_octets"),
            in_packets: number("in_packets"),
            out_octets: number("out_octets"),
            out_packets: number("out_packets"),
        }
    }
}

/// A log-in of `name@domain`.
pub(crate) fn up(name: &str, domain: &str) -> Value {
    json!({"op": "up", "session": name, "user": format!("{name}@{domain}"), "access": "pppoe"})
}

/// New counters.
pub(crate) fn count(name: &str, totals: Totals) -> Value {
    json!({"op": "count", "session": name, "in_octets": totals.in_octets, "in_packets": totals.in_packets,
        "out_octets": totals.out_octets, "out_packets": totals.out_packets})
}

/// A log-out.
pub(crate) fn down(name: &str, cause: u8) -> Value {
    json!({"op": "down", "session": name, "cause": cause})
}

/// Lines with their times.
#[derive(Default)]
pub(crate) struct Script {
    lines: Vec<(f64, Value)>,
}

impl Script {
    pub(crate) fn at(&mut self, at: f64, mut line: Value) {
        line["at"] = at.into();
        self.lines.push((at, line));
    }

    /// Writes the lines in the order of their times.
    pub(crate) fn write(mut self, site: &Site, name: &str) -> PathBuf {
        self.lines.sort_by(|one, other| one.0.total_cmp(&other.0));
        let text: String = self.lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        let path = site.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// `tollgate feed` at work.
pub(crate) struct Feed {
    process: Process,
    output: PathBuf,
    errors: PathBuf,
}

impl Feed {
    /// Plays a script that was written.
    pub(crate) fn play(site: &Site, script: &std::path::Path) -> Feed {
        Feed::start(site, script.as_os_str(), Stdio::null())
    }

    /// Plays what it is told with [`Feed::say`].
    pub(crate) fn listen(site: &Site) -> Feed {
        Feed::start(site, "-".as_ref(), Stdio::piped())
    }

    fn start(site: &Site, script: &std::ffi::OsStr, input: Stdio) -> Feed {
        let (output, errors) = (site.path("verdicts"), site.path("feed.log"));
        let process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_tollgate"))
                .arg("feed")
                .arg("--link")
                .arg(site.link())
                .args(["--plane", "p1"])
                .arg(script)
                .stdin(input)
                .stdout(std::fs::File::create(&output).unwrap())
                .stderr(std::fs::File::create(&errors).unwrap()),
        );
        Feed { process, output, errors }
    }

    /// Says lines, to be played at once.
    pub(crate) fn say(&mut self, lines: impl IntoIterator<Item = Value>) {
        let text: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
        let errors = &self.errors;
        let input = self.process.child().stdin.as_mut().expect("this feed listens");
        input.write_all(text.as_bytes()).unwrap_or_else(|error| {
            panic!("feed hears nothing: {error}: {}", std::fs::read_to_string(errors).unwrap_or_default())
        });
    }

    /// The verdicts until now: session, verdict, reason.
    pub(crate) fn verdicts(&self) -> Vec<(String, String, String)> {
        let text = std::fs::read_to_string(&self.output).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let word = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        let verdict = |line: &str| {
            let line = serde_json::from_str(line).unwrap();
            (word(&line, "session"), word(&line, "verdict"), word(&line, "reason"))
        };
        whole.lines().map(verdict).collect()
    }

    /// Waits for the first verdict on a session: verdict and reason.
    pub(crate) fn verdict_on(&self, session: &str, patience: std::time::Duration) -> (String, String) {
        let what = format!("a verdict on {session}");
        wait_for(&what, patience, || {
            let verdict = self.verdicts().into_iter().find(|(other, ..)| other == session);
            verdict.map(|(_, verdict, reason)| (verdict, reason))
        })
    }

    /// No more will be said: waits until everything is taken over.
    pub(crate) fn finish(mut self, patience: std::time::Duration) {
        drop(self.process.child().stdin.take());
        let status = self.process.wait(patience);
        assert!(status.success(), "feed: {status}: {}", std::fs::read_to_string(&self.errors).unwrap());
    }
}
