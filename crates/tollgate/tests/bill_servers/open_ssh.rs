//! OpenSSH's sshd with a configuration of its own, and one user who has a password and two keys. The box is not touched:
//! the user's lines are bound over the system's files in a mount namespace.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Inbox, Server, free_port, wait_until};

/// The user.
pub(crate) const USER: &str = "bills";
/// The user's password.
pub(crate) const PASSWORD: &str = "bills-Passw0rd";
/// crypt(3) of the password: `openssl passwd -6`.
const HASH: &str = "$6$tollgate$sM0R7fKPX1Kvj3f13EwkjgBDzmYl5hUiwQBS/uxXAsD8KrRBnYeG7MzApTLEnMb2WBJbme1EAD/97h9KCmOBH1";
/// Nobody else has it.
const USER_ID: u32 = 61_234;

/// What a test changes.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// As ssh-keygen's -t has it.
    pub(crate) host_key: &'static str,
    /// Size of a file system for the inbox, as mount has it; empty: none.
    pub(crate) disk: &'static str,
    /// Whether there is SFTP.
    pub(crate) sftp: bool,
    /// More lines of sshd_config.
    pub(crate) more: &'static str,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { host_key: "ed25519", disk: "", sftp: true, more: "" }
    }
}

/// A running sshd.
pub(crate) struct OpenSsh {
    pub(crate) server: Server,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) port: u16,
    inbox: Inbox,
}

impl OpenSsh {
    /// Starts it and waits until it listens.
    pub(crate) fn start(plan: Plan) -> OpenSsh {
        OpenSsh::start_at(plan, free_port())
    }

    /// At this port.
    pub(crate) fn start_at(plan: Plan, port: u16) -> OpenSsh {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let inbox = Inbox::new(directory.path(), 0o755, plan.disk);
        generate(&path("host_key"), plan.host_key, "");
        for kind in ["ed25519", "ecdsa"] {
            generate(&path(kind), kind, "");
        }
        let keys = ["ed25519.pub", "ecdsa.pub"].map(|name| std::fs::read_to_string(path(name)).unwrap());
        std::fs::write(path("authorized_keys"), keys.concat()).unwrap();
        for (file, line) in [
            ("passwd", format!("{USER}:x:{USER_ID}:{USER_ID}::/:/bin/sh\n")),
            ("shadow", format!("{USER}:{HASH}:19000:0:99999:7:::\n")),
        ] {
            let system = std::fs::read_to_string(Path::new("/etc").join(file)).unwrap();
            std::fs::write(path(file), system + &line).unwrap();
        }
        std::fs::write(path("sshd_config"), configuration(directory.path(), plan, port)).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let shown = directory.path().display();
        let bind = ["passwd", "shadow"].map(|file| format!("mount --bind {shown}/{file} /etc/{file}"));
        let before = format!("{}\n{}", bind.join("\n"), inbox.mount);
        let arguments = ["-D", "-e", "-f", &format!("{shown}/sshd_config")];
        let server = Server::start(&before, "/usr/sbin/sshd", &arguments, &path("log"));
        let started = OpenSsh { server, directory, port, inbox };
        wait_until("sshd listens", || started.log().contains("Server listening"));
        started
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// A file of the test's: `ed25519` and `ecdsa` are keys that log the user in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where uploads arrive.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.inbox.seen_through(&self.server)
    }

    /// What ssh-keygen says that the host key is.
    pub(crate) fn fingerprint(&self) -> String {
        self.fingerprint_of("host_key")
    }

    /// That of a key in a file of the test's.
    pub(crate) fn fingerprint_of(&self, key: &str) -> String {
        let key = self.path(&format!("{key}.pub"));
        let said = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
        String::from_utf8(said.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    }
}

/// Makes a key, as ssh-keygen's -t has it.
pub(crate) fn generate(path: &Path, kind: &str, passphrase: &str) {
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
