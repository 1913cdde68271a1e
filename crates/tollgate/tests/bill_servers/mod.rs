//! Bill servers as they are in the world: OpenSSH's sshd and tftpd-hpa, each with an inbox, a port and a process of its own.
//! The tests of deliveries, inside the crate, and those of the whole daemon include this; what only one of them asks of a
//! server stands there.

pub(crate) mod open_ssh;
pub(crate) mod tftpd;

#[path = "../ports/mod.rs"]
mod ports;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use ports::free_port;

/// A process that ends with its test.
pub(crate) struct Server(Child);

impl Server {
    /// Starts it in a mount namespace of its own, after these commands of the shell.
    fn start(before: &str, program: &str, arguments: &[&str], log: &Path) -> Server {
        assert!(
            Path::new(program).exists(),
            "these tests need the Debian packages openssh-server and tftpd-hpa: scripts/test installs them"
        );
        let output = std::fs::File::create(log).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "sh", "-ec", &format!("{before}\nexec \"$0\" \"$@\""), program])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Server(child)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where uploads arrive.
struct Inbox {
    path: PathBuf,
    /// The shell's command that mounts a file system there; empty: it is a folder like others.
    mount: String,
}

impl Inbox {
    /// In this directory, which gets this mode. `disk`: size of a file system for it, as mount has it; empty: none.
    fn new(directory: &Path, mode: u32, disk: &str) -> Inbox {
        let path = directory.join("inbox");
        std::fs::create_dir(&path).unwrap();
        for (path, mode) in [(directory, mode), (&path, 0o777)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let mount = match disk {
            "" => String::new(),
            size => format!("mount -t tmpfs -o size={size},mode=777 tmpfs {}", path.display()),
        };
        Inbox { path, mount }
    }

    /// Its path. A file system of its own is mounted where the server sees it, and nobody else.
    fn seen_through(&self, server: &Server) -> PathBuf {
        if self.mount.is_empty() {
            return self.path.clone();
        }
        Path::new(&format!("/proc/{}/root", server.id())).join(self.path.strip_prefix("/").unwrap())
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "it never came that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
