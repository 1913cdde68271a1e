//! A `tollgate` process as it ships, and the desk where it is asked what it has done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Deserializer, Value};

use crate::{Place, Program};

const PATIENCE: Duration = Duration::from_secs(30);

/// It runs, until it is dropped.
#[derive(Debug)]
pub struct Tollgate {
    /// The process.
    pub program: Program,
    /// Where packet planes link in.
    pub link: PathBuf,
    /// Where it keeps its ledger.
    pub state: PathBuf,
    /// Where it can be asked.
    pub desk: Desk,
}

/// Where a daemon can be asked, from any thread.
#[derive(Debug, Clone)]
pub struct Desk {
    place: Arc<Place>,
    control: PathBuf,
}

impl Tollgate {
    /// Starts one, with a ledger of its own. `configuration` makes its configuration, but for where planes link in.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start(place: &Arc<Place>, configuration: &str) -> Result<Tollgate> {
        let [link, control, state, startup] =
            ["plane.sock", "control.sock", "state", "startup.cfg"].map(|name| place.path(name));
        std::fs::write(&startup, format!("plane-link path {}\n#\n{configuration}", link.display()))?;
        let mut command = place.program("tollgate");
        command.arg("run").arg("--config").arg(&startup).arg("--control").arg(&control);
        command.arg("--state-dir").arg(&state);
        let mut program = Program::start(place, &mut command)?;
        program.await_line("tollgate ready", PATIENCE)?;
        Ok(Tollgate { program, link, state, desk: Desk { place: place.clone(), control } })
    }
}

impl Desk {
    /// What displays show, as JSON.
    ///
    /// # Errors
    /// It does not answer.
    pub fn displays<const N: usize>(&self, displays: [&str; N]) -> Result<[Value; N]> {
        let mut command = self.place.program("tollgate");
        command.arg("cli").arg("--control").arg(&self.control).arg("--json");
        for display in displays {
            command.args(["-c", display]);
        }
        let answer = command.output()?;
        let (said, error) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
        ensure!(answer.status.success(), "tollgate has failed, when asked to {displays:?}: {error}");
        let shown: Vec<Value> = Deserializer::from_str(&said).into_iter().collect::<Result<_, _>>()?;
        shown.try_into().ok().with_context(|| format!("tollgate says, when asked to {displays:?}: {said}"))
    }
}
