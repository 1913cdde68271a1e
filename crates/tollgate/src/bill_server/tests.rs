//! Deliveries to real servers: OpenSSH's sshd and tftpd-hpa, each with a directory, a port and a process of its own. What
//! arrives is compared octet for octet.

mod cuts;
mod open_ssh;
mod proxy;
mod sftp;
mod tftp;
mod tftpd;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ledger::transfer::{Protocol, Upload};
use model::record::BillStore;
use model::settings::{BillServer, BillServerLogin, LocalAaaServer, Secret};

use super::{Delivered, DeliveryError, KeyFault, Patience, deliver, deliver_within};

const NAME: &str = "bills-20270101120000001.lam";
const MANIFEST_NAME: &str = "bills-20270101120000001.lam.manifest";
const MANIFEST: &[u8] = b"{\"file\":\"bills-20270101120000001.lam\",\"count\":3}\n";

/// A process that ends with its test.
struct Server(Child);

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

    /// Whether a process of its own serves somebody.
    fn is_serving(&self) -> bool {
        let pid = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        !children.trim().is_empty()
    }

    /// A path as the server sees it, mounts of its namespace included.
    fn inside(&self, path: &Path) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.0.id())).join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "it never came that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All that is in a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let read =
        |entry: std::fs::DirEntry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap());
    std::fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// What must be there after a delivery, and nothing else.
fn whole(octets: &[u8]) -> BTreeMap<String, Vec<u8>> {
    BTreeMap::from([(NAME.to_owned(), octets.to_vec()), (MANIFEST_NAME.to_owned(), MANIFEST.to_vec())])
}

/// Octets that are nowhere alike.
fn octets(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(next).collect()
}

fn upload(protocol: Protocol, octets: &[u8]) -> Upload {
    Upload {
        number: 1,
        store: BillStore::Cache,
        protocol,
        name: NAME.to_owned(),
        octets: octets.to_vec(),
        manifest_name: MANIFEST_NAME.to_owned(),
        manifest: MANIFEST.to_vec(),
    }
}

/// Where a test delivers to, and how.
struct Way {
    server: BillServer,
    settings: LocalAaaServer,
    protocol: Protocol,
    known_hosts: PathBuf,
    /// `None`: as the product has it.
    patience: Option<Patience>,
}

impl Way {
    fn new(protocol: Protocol, known_hosts: PathBuf) -> Way {
        let server = BillServer { address: Ipv4Addr::LOCALHOST, file_name: "bills".into(), login: None };
        Way { server, settings: LocalAaaServer::default(), protocol, known_hosts, patience: None }
    }

    fn log_in(&mut self, user: &str, password: &str, port: u16) {
        let password = Secret::new(password.as_bytes().to_vec(), String::new());
        self.server.login = Some(BillServerLogin { user: user.into(), password, port });
    }

    /// Waits `operation` for an answer, and `whole` for everything.
    fn be_impatient(&mut self, operation: Duration, whole: Duration) {
        self.patience = Some(Patience { connect: operation, operation, whole });
    }

    async fn deliver(&self, octets: &[u8]) -> Result<Delivered, DeliveryError> {
        let Way { server, settings, protocol, known_hosts, patience } = self;
        let upload = upload(*protocol, octets);
        match patience {
            Some(patience) => deliver_within(*patience, server, settings, known_hosts, &upload).await,
            None => deliver(server, settings, known_hosts, &upload).await,
        }
    }
}

#[test]
fn what_a_refused_host_key_says_can_be_configured() {
    let pin = |octet: char| format!("SHA256:{}A", String::from(octet).repeat(42));
    let (expected, found) = (pin('A').parse().unwrap(), pin('B').parse().unwrap());
    let changed = DeliveryError::HostKeyChanged { expected, found }.to_string();
    assert!(changed.contains(&pin('A')) && changed.contains(&format!("host-key {}", pin('B'))), "{changed}");
    let unknown = DeliveryError::HostKeyUnknown { found }.to_string();
    assert!(unknown.contains(&format!("host-key {}", pin('B'))), "{unknown}");
}
