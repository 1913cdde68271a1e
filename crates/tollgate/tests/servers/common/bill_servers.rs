//! Bill servers: OpenSSH's sshd with one user who has a key, and tftpd-hpa, each with an inbox of its own.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Process, run_command, seconds, wait_until};

/// The user of the SFTP server. No password lets it in, only its key.
const USER: &str = "bills";
/// Nobody else has it.
const USER_ID: u32 = 61_235;

/// A running sshd. The box is not touched: its user's lines are bound over the system's files in a mount namespace.
pub(crate) struct OpenSsh {
    directory: tempfile::TempDir,
    port: u16,
    _process: Process,
}

impl OpenSsh {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> OpenSsh {
        let (directory, inbox) = directory_with_inbox(0o755);
        let path = |name: &str| directory.path().join(name);
        for key in ["host_key", "stranger", "user_key"] {
            run_command(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key))).well();
        }
        for (file, line) in [
            ("passwd", format!("{USER}:x:{USER_ID}:{USER_ID}::/:/bin/sh\n")),
            ("shadow", format!("{USER}:*:19000:0:99999:7:::\n")),
        ] {
            let system = std::fs::read_to_string(Path::new("/etc").join(file)).unwrap();
            std::fs::write(path(file), system + &line).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shown = directory.path().display();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {shown}/user_key.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             UseDNS no\nLogLevel DEBUG1\nSubsystem sftp internal-sftp\nForceCommand internal-sftp -d {}\n",
            inbox.display()
        );
        std::fs::write(path("sshd_config"), configuration).unwrap();
        std::fs::create_dir_all("/run/sshd").unwrap();
        let bind = ["passwd", "shadow"].map(|file| format!("mount --bind {shown}/{file} /etc/{file}"));
        let script = format!("{}\nexec /usr/sbin/sshd -D -e -f {shown}/sshd_config", bind.join("\n"));
        let log = path("log");
        let process = start(Command::new("unshare").args(["-m", "sh", "-ec", &script]), "/usr/sbin/sshd", &log);
        wait_until("sshd listens", seconds(20), || {
            std::fs::read_to_string(&log).unwrap_or_default().contains("Server listening")
        });
        OpenSsh { directory, port, _process: process }
    }

    /// Where uploads arrive.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.directory.path().join("inbox")
    }

    /// The configuration of a box that knows this server: the user's password is wrong, its key is right.
    pub(crate) fn lines(&self, file_name: &str) -> String {
        let (port, key) = (self.port, self.directory.path().join("user_key"));
        format!(
            " bill-server 127.0.0.1 filename {file_name} user-name {USER} password cipher Wr0ng-word {port}\n \
             bill-server key-file {}\n",
            key.display()
        )
    }

    /// What ssh-keygen says that the host key is.
    pub(crate) fn fingerprint(&self) -> String {
        self.fingerprint_of("host_key")
    }

    /// That of a key which this host has not.
    pub(crate) fn another_fingerprint(&self) -> String {
        self.fingerprint_of("stranger")
    }

    fn fingerprint_of(&self, key: &str) -> String {
        let file = self.directory.path().join(format!("{key}.pub"));
        let said = run_command(Command::new("ssh-keygen").arg("-lf").arg(file)).well();
        said.split(' ').nth(1).unwrap().to_owned()
    }
}

/// A running in.tftpd, which lets files be made and read.
pub(crate) struct Tftpd {
    directory: tempfile::TempDir,
    port: u16,
    _process: Process,
}

impl Tftpd {
    /// Starts it and waits until it answers.
    pub(crate) fn start() -> Tftpd {
        let (directory, inbox) = directory_with_inbox(0o777);
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("/usr/sbin/in.tftpd");
        command.args(["-L", "-c", "-p", "-U", "022", "-u", "nobody", "--address", &address, "-s"]).arg(&inbox);
        let process = start(&mut command, "/usr/sbin/in.tftpd", &directory.path().join("log"));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        wait_until("in.tftpd answers", seconds(20), || {
            // ERROR: there is no such file.
            socket.send_to(b"\0\x01ready?\0octet\0", &address).unwrap();
            socket.recv(&mut [0; 600]).is_ok()
        });
        Tftpd { directory, port, _process: process }
    }

    /// Where uploads arrive.
    pub(crate) fn inbox(&self) -> PathBuf {
        self.directory.path().join("inbox")
    }

    /// The configuration of a box that knows this server.
    pub(crate) fn lines(&self, file_name: &str) -> String {
        format!(" bill-server 127.0.0.1 filename {file_name}\n bill-server tftp-port {}\n", self.port)
    }
}

fn directory_with_inbox(mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    for (path, mode) in [(directory.path(), mode), (inbox.as_path(), 0o777)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    (directory, inbox)
}

fn start(command: &mut Command, program: &str, log: &Path) -> Process {
    assert!(
        Path::new(program).exists(),
        "these tests need the Debian packages openssh-server and tftpd-hpa: scripts/test installs them"
    );
    let output = std::fs::File::create(log).unwrap();
    Process::start(command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output))
}
