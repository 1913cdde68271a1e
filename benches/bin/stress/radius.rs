//! FreeRADIUS as Debian has it, with a configuration of its own: every accounting record goes into one detail file, with the
//! attributes that tell who moved what.

#[path = "../../../crates/tollgate/tests/free_radius/mod.rs"]
mod setup;

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use benches::{Place, Program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use setup::{FreeRadiusSetup, READY};

/// Known to both sides, and to nobody that matters.
pub(crate) const SECRET: &str = "a-secret-for-stress-only";

const SETTINGS: &str = "max_requests = 65536
cleanup_delay = 5
proxy_requests = no
";
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to write what it has accepted, and to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Left out of the detail file: a million sessions for ten minutes write some gibioctets without them.
const LEFT_OUT: [&str; 20] = [
    "NAS-IP-Address",
    "NAS-Identifier",
    "NAS-Port",
    "NAS-Port-Type",
    "NAS-Port-Id",
    "Service-Type",
    "Framed-Protocol",
    "Framed-IP-Address",
    "Calling-Station-Id",
    "Called-Station-Id",
    "Acct-Authentic",
    "Acct-Delay-Time",
    "Acct-Session-Time",
    "Event-Timestamp",
    "Acct-Unique-Session-Id",
    "Acct-Multi-Session-Id",
    "Class",
    "Connect-Info",
    "Tmp-String-9",
    "Message-Authenticator",
];

/// Runs, or is away.
pub(crate) struct FreeRadius {
    directory: PathBuf,
    port: u16,
    program: Option<Program>,
}

impl FreeRadius {
    /// # Errors
    /// It is not installed, or does not become ready.
    pub(crate) fn start(place: &Arc<Place>) -> Result<FreeRadius> {
        let directory = place.path("freeradius");
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = FreeRadius { directory, port, program: None };
        server.come_back(place)?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// All that it has written, in all its lives.
    pub(crate) fn detail(&self) -> PathBuf {
        self.directory.join("detail")
    }

    /// # Errors
    /// It is away.
    pub(crate) fn hold(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// # Errors
    /// It is away.
    pub(crate) fn let_go(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// In the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.program = None;
    }

    /// # Errors
    /// It does not become ready.
    pub(crate) fn come_back(&mut self, place: &Arc<Place>) -> Result<()> {
        let setup = FreeRadiusSetup {
            directory: &self.directory,
            listen: (Ipv4Addr::LOCALHOST, self.port).into(),
            secret: SECRET,
            left_out: Some(&LEFT_OUT),
            preacct: "ok",
            settings: SETTINGS,
            sections: "",
        };
        let mut program = Program::start(place, &mut setup.command()?)?;
        program.await_line(READY, PATIENCE)?;
        self.program = Some(program);
        Ok(())
    }

    /// Orderly: what it has taken is written.
    ///
    /// # Errors
    /// It is away.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        std::thread::sleep(LAST_WORDS);
        self.program = None;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let program = self.program.as_ref().context("FreeRADIUS is away")?;
        Ok(kill(Pid::from_raw(program.id().cast_signed()), signal)?)
    }
}
