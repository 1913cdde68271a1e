//! OpenSSH's sshd with a configuration of its own, and one user who has a password and two keys. The box is not touched:
//! the user's lines are bound over the system's files in a mount namespace.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use model::settings::HostKeyPolicy;

use super::{Protocol, Server, Way, wait_until};

pub(super) const USER: &str = "bills";
pub(super) const PASSWORD: &str = "bills-Passw0rd";
/// crypt(3) of the password: `openssl passwd -6`.
const HASH: &str = "$6$tollgate$sM0R7fKPX1Kvj3f13EwkjgBDzmYl5hUiwQBS/uxXAsD8KrRBnYeG7MzApTLEnMb2WBJbme1EAD/97h9KCmOBH1";
/// Nobody else has it.
const USER_ID: u32 = 61_234;

/// What a test changes.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// As ssh-keygen's -t has it.
    pub(super) host_key: &'static str,
    /// Size of a file system for the inbox, as mount has it; empty: none.
    pub(super) disk: &'static str,
    /// Whether there is SFTP.
    pub(super) sftp: bool,
    /// More lines of sshd_config.
    pub(super) more: &'static str,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { host_key: "ed25519", disk: "", sftp: true, more: "" }
    }
}

/// A running sshd.
pub(super) struct OpenSsh {
    pub(super) server: Server,
    pub(super) directory: tempfile::TempDir,
    pub(super) port: u16,
}

impl OpenSsh {
    pub(super) fn start(plan: Plan) -> OpenSsh {
        OpenSsh::start_at(plan, free_port())
    }

    pub(super) fn start_at(plan: Plan, port: u16) -> OpenSsh {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        open_for_all(directory.path(), 0o755);
        std::fs::create_dir(path("inbox")).unwrap();
        open_for_all(&path("inbox"), 0o777);
        generate(&path("host_key"), plan.host_key, "");
        for kind in ["ed25519", "ecdsa"] {
            generate(&path(kind), kind, "");
        }
        let keys = ["ed25519.pub", "ecdsa.pub"].map(|name| std::fs::read_to_string(path(name)).unwrap());
        std::fs::write(path("authorized_keys"), keys.concat()).unwrap();
        let line = format!("{USER}:x:{USER_ID}:{USER_ID}::/:/bin/sh\n");
        std::fs::write(path("passwd"), std::fs::read_to_string("/etc/passwd").unwrap() + &line).unwrap();
        let line = format!("{USER}:{HASH}:19000:0:99999:7:::\n");
        std::fs::write(path("shadow"), std::fs::read_to_string("/etc/shadow").unwrap() + &line).unwrap();
        std::fs::write(path("sshd_config"), configuration(directory.path(), plan, port)).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let shown = directory.path().display();
        let disk = match plan.disk {
            "" => String::new(),
            size => format!("mount -t tmpfs -o size={size},mode=777 tmpfs {shown}/inbox"),
        };
        let before =
            format!("mount --bind {shown}/passwd /etc/passwd\nmount --bind {shown}/shadow /etc/shadow\n{disk}");
        let arguments = ["-D", "-e", "-f", &format!("{shown}/sshd_config")];
        let server = Server::start(&before, "/usr/sbin/sshd", &arguments, &path("log"));
        let started = OpenSsh { server, directory, port };
        wait_until("sshd listens", || started.log().contains("Server listening"));
        started
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until it is done with what it has received: a connection may be gone while its last requests are carried out.
    pub(super) async fn rest(&self) {
        for _ in 0..1_000 {
            if !self.server.is_serving() {
                return;
            }
            // Our own end of the connection has its last words meanwhile.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("sshd still serves somebody");
    }

    /// Where uploads arrive.
    pub(super) fn inbox(&self) -> PathBuf {
        self.server.inside(&self.path("inbox"))
    }

    /// What ssh-keygen says that the host key is.
    pub(super) fn fingerprint(&self) -> String {
        let key = self.path("host_key.pub");
        let said = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
        String::from_utf8(said.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }

    /// With the password and the pinned key.
    pub(super) fn way(&self) -> Way {
        let mut way = Way::new(Protocol::Sftp, self.path("bill-server.known"));
        way.log_in(USER, PASSWORD, self.port);
        way.settings.host_key = HostKeyPolicy::Pinned(self.fingerprint());
        way
    }
}

pub(super) fn generate(path: &Path, kind: &str, passphrase: &str) {
    // Short for RSA, where nothing hangs on it and a longer one takes seconds; elsewhere the default.
    let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase])
        .args(bits)
        .arg("-f")
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// A TCP port of 127.0.0.1 that nobody has.
pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn open_for_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn configuration(directory: &Path, plan: Plan, port: u16) -> String {
    let shown = directory.display();
    let sftp = if plan.sftp {
        format!("Subsystem sftp internal-sftp\nForceCommand internal-sftp -d {shown}/inbox\n")
    } else {
        String::new()
    };
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
         AuthorizedKeysFile {shown}/authorized_keys\nPasswordAuthentication yes\nUseDNS no\nLogLevel DEBUG1\n\
         MaxStartups 100\n{sftp}{}\n",
        plan.more
    )
}
