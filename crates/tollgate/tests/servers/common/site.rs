//! A directory with everything that one daemon needs, and a configuration that is right unless a test says otherwise.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the servers and the daemon share.
pub(crate) const SECRET: &str = "e2e-Sh4red-s3cret";

/// Two cores are enough for one daemon with its server at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A scratch directory.
pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    pub(crate) fn new() -> Site {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Site { directory: tempfile::tempdir().unwrap(), _turn: turn }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("startup.cfg")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path("control.sock")
    }

    pub(crate) fn link(&self) -> PathBuf {
        self.path("plane.sock")
    }

    /// Writes a configuration: the box's name, the plane link, and these blocks.
    pub(crate) fn configure(&self, blocks: &str) {
        let link = self.link();
        let text = format!("sysname BNG1\n#\nplane-link path {}\n#\n{blocks}#\nreturn\n", link.display());
        std::fs::write(self.config(), text).unwrap();
    }

    /// A group `isp` with one server, a scheme of these lines, a domain `isp` that uses both, and the pool.
    pub(crate) fn configure_one(&self, port: u16, group: &str, scheme: &str) {
        self.configure_bills(port, group, scheme, "");
    }

    /// As [`Site::configure_one`], with more lines about local bills.
    pub(crate) fn configure_bills(&self, port: u16, group: &str, scheme: &str, bills: &str) {
        self.configure(&format!(
            "radius-server group isp\n radius-server shared-key {SECRET}\n \
             radius-server accounting 127.0.0.1 {port}\n{group}#\n\
             aaa\n accounting-scheme isp\n{scheme} domain isp\n  accounting-scheme isp\n  radius-server group isp\n#\n\
             local-aaa-server\n local-bill-pool enable\n{bills}"
        ));
    }
}
