//! The floor program, run beside the daemon.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::Place;
use benches::Program;
use serde_json::Value;

use crate::servers::{Kind, SECRET, Server};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) server: Kind,
    /// Packets a second; none: as many as the server answers.
    pub(crate) rate: Option<u32>,
    /// Octets of a packet.
    pub(crate) length: u16,
}

impl Floor {
    /// Processor time of a round trip in microseconds, against a server of its own.
    ///
    /// # Errors
    /// It does not run, or nothing was answered.
    pub(crate) fn measure(&self, place: &Arc<Place>, time: Duration) -> Result<f64> {
        let server = Server::start(place, self.server)?;
        let mut command = place.program("floor");
        command.args(["--server", &server.address.to_string(), "--secret", SECRET]);
        command.args(["--seconds", &time.as_secs_f64().to_string(), "--length", &self.length.to_string()]);
        if self.server == Kind::Batching {
            command.arg("--gather");
        }
        if let Some(rate) = self.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let said = Program::start(place, &mut command)?.finish()?.said;
        let line = said.lines().find(|line| line.starts_with('{')).context("the floor says nothing")?;
        let told: Value = serde_json::from_str(line)?;
        let number = |name: &str| told[name].as_f64().with_context(|| format!("the floor does not tell {name}"));
        let replies = number("replies")?;
        ensure!(replies > 0.0, "nothing was answered to the floor");
        Ok(number("processor_seconds")? * 1e6 / replies)
    }
}
