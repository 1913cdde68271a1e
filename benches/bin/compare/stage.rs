//! A server, a daemon and its subscribers, all of them online: what most rows measure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::Place;

use crate::cores::{allowed_cores, pin};
use crate::crowd::{Comers, Crowd};
use crate::daemon::{Daemon, Memory, Setup};
use crate::servers::{Kind, Server};

/// The last Starts are acknowledged so long after the last verdict, at most.
const STARTS: Duration = Duration::from_secs(60);
/// How long after its first interims a stage has settled.
const SETTLING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) server: Kind,
    pub(crate) setup: Setup,
    pub(crate) comers: Comers,
}

impl Scene {
    /// IPv4 subscribers that stay, each with an interim in so many seconds.
    pub(crate) fn ordinary(server: Kind, sessions: u32, interval_s: u32) -> Scene {
        Scene {
            server,
            setup: Setup { interval_s, start_fail_offline: false, apart: None },
            comers: Comers { sessions, dual_stack: false, log_ins: 0 },
        }
    }

    /// Interims a second.
    pub(crate) fn rate(&self) -> u32 {
        self.comers.sessions / self.setup.interval_s
    }
}

/// In the order in which it is taken down: first the subscribers, then the daemon, then the server.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) crowd: Crowd,
    pub(crate) daemon: Daemon,
    server: Server,
    /// Of the daemon before anybody came.
    pub(crate) before: Memory,
    /// When everybody was accounted for.
    pub(crate) online: Instant,
    pub(crate) scene: Scene,
}

impl Stage {
    /// # Errors
    /// Not everybody is let in, or accounted for.
    pub(crate) fn open(place: &Arc<Place>, scene: Scene) -> Result<Stage> {
        let server = Server::start(place, scene.server)?;
        let daemon = Daemon::start(place, &server, scene.setup)?;
        let before = daemon.memory()?;
        let mut crowd = Crowd::start(place, &daemon, scene.comers)?;
        crowd.admitted()?;
        all_accounted(&daemon, scene.comers.sessions)?;
        Ok(Stage { crowd, daemon, server, before, online: Instant::now(), scene })
    }

    /// Leaves the daemon one core, which nobody else here uses.
    ///
    /// # Errors
    /// There is one core only, or a process has ended.
    pub(crate) fn keep_apart(&self) -> Result<()> {
        let cores = allowed_cores()?;
        let (last, others) = cores.split_last().context("there is no core")?;
        ensure!(!others.is_empty(), "it takes two cores");
        pin(self.daemon.program(), &[*last])?;
        pin(&self.server.program, others)?;
        pin(self.crowd.program(), others)
    }

    /// First interims come an interval after the Start and later: by then, every session has one in each interval.
    pub(crate) fn steady_at(&self) -> Instant {
        self.online + Duration::from_secs(self.scene.setup.interval_s.into()) + SETTLING
    }

    pub(crate) fn wait_until_steady(&self) {
        std::thread::sleep(self.steady_at().saturating_duration_since(Instant::now()));
    }
}

/// Waits until so many Starts are acknowledged.
///
/// # Errors
/// They are not.
pub(crate) fn all_accounted(daemon: &Daemon, sessions: u32) -> Result<()> {
    let last = Instant::now();
    while daemon.counted()?.responses < sessions.into() {
        ensure!(last.elapsed() < STARTS, "not every Start was acknowledged");
        std::thread::sleep(LOOK);
    }
    Ok(())
}
