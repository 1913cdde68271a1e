//! A server, a daemon and its subscribers, all of them online: what most rows measure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::crowd::{Comers, Crowd};
use crate::daemon::{Daemon, Memory, Setup};
use crate::place::Place;
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
            setup: Setup { interval_s, start_fail_offline: false },
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
    _server: Server,
    /// Of the daemon before anybody came.
    pub(crate) before: Memory,
    /// How long it took everybody to get a verdict, in seconds.
    pub(crate) admitted_s: f64,
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
        let admitted_s = crowd.admitted()?;
        let last = Instant::now();
        while daemon.counted()?.responses < scene.comers.sessions.into() {
            ensure!(last.elapsed() < STARTS, "not every Start was acknowledged");
            std::thread::sleep(LOOK);
        }
        Ok(Stage { crowd, daemon, _server: server, before, admitted_s, online: Instant::now(), scene })
    }

    /// First interims come an interval after the Start and later: by then, every session has one in each interval.
    pub(crate) fn steady_at(&self) -> Instant {
        self.online + Duration::from_secs(self.scene.setup.interval_s.into()) + SETTLING
    }

    pub(crate) fn wait_until_steady(&self) {
        std::thread::sleep(self.steady_at().saturating_duration_since(Instant::now()));
    }
}
