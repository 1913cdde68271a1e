//! The packet plane of many subscribers, as a process, and what it says of its log-ins.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use benches::Place;
use benches::Program;
use serde_json::Value;

use crate::daemon::Daemon;

/// A million come in seconds; ten times that is a failure.
const PATIENCE: Duration = Duration::from_secs(180);

/// Who comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comers {
    pub(crate) sessions: u32,
    pub(crate) dual_stack: bool,
    /// More that come each second, and go.
    pub(crate) log_ins: u32,
}

/// The domain of those who come through a plane of their own, if there is one.
pub(crate) const APART: &str = "apart";

#[derive(Debug)]
pub(crate) struct Crowd {
    program: Program,
}

/// A second of log-ins, in microseconds from the event to the verdict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Second {
    pub(crate) log_ins: f64,
    pub(crate) refused: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Crowd {
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(place: &Arc<Place>, daemon: &Daemon, comers: Comers) -> Result<Crowd> {
        let mut command = place.program("subscribers");
        command.arg("--link").arg(daemon.link());
        command.args(["--sessions", &comers.sessions.to_string(), "--log-ins", &comers.log_ins.to_string()]);
        if comers.dual_stack {
            command.arg("--dual-stack");
        }
        Ok(Crowd { program: Program::start(place, &mut command)? })
    }

    /// So many come each second, and go, through a plane and in a domain that nobody else uses.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start_apart(place: &Arc<Place>, daemon: &Daemon, log_ins: u32) -> Result<Crowd> {
        let mut command = place.program("subscribers");
        command.arg("--link").arg(daemon.link()).args(["--sessions", "0", "--log-ins", &log_ins.to_string()]);
        command.args(["--plane", APART, "--domain", APART]);
        Ok(Crowd { program: Program::start(place, &mut command)? })
    }

    /// Waits until everybody has a verdict: how long that took them, in seconds.
    ///
    /// # Errors
    /// Somebody was refused, or has none.
    pub(crate) fn admitted(&mut self) -> Result<f64> {
        let line = self.program.await_line("\"admitted\"", PATIENCE)?;
        let told: Value = serde_json::from_str(&line)?;
        ensure!(told["refused"] == 0, "{} subscribers were refused", told["refused"]);
        Ok(number(&told, "seconds"))
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Every second of log-ins so far.
    pub(crate) fn seconds(&self) -> Vec<Second> {
        let said = self.program.said();
        let told = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let told = told.filter(|told| told.get("log_ins").is_some());
        told.map(|told| Second {
            log_ins: number(&told, "log_ins"),
            refused: number(&told, "refused"),
            p50_us: number(&told, "p50_us"),
            p99_us: number(&told, "p99_us"),
        })
        .collect()
    }
}

fn number(told: &Value, name: &str) -> f64 {
    told[name].as_f64().unwrap_or(f64::NAN)
}
