//! Deliveries to real servers: OpenSSH's sshd and tftpd-hpa, each with a directory, a port and a process of its own. What
//! arrives is compared octet for octet.

mod cuts;
mod proxy;
#[path = "../../tests/bill_servers/mod.rs"]
mod servers;
mod sftp;
mod tftp;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ledger::transfer::{Protocol, Upload};
use model::record::BillStore;
use model::settings::{BillServer, BillServerLogin, HostKeyPolicy, LocalAaaServer, Secret};

use self::servers::open_ssh::{OpenSsh, PASSWORD, USER};
use self::servers::tftpd::Tftpd;
use super::{Delivered, DeliveryError, KeyFault, Patience, deliver, deliver_within};

const NAME: &str = "bills-20270101120000001.lam";
const MANIFEST_NAME: &str = "bills-20270101120000001.lam.manifest";
const MANIFEST: &[u8] = b"{\"file\":\"bills-20270101120000001.lam\",\"count\":3}\n";

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

impl OpenSsh {
    /// With the password and the pinned key.
    fn way(&self) -> Way {
        let mut way = Way::new(Protocol::Sftp, self.path("bill-server.known"));
        way.log_in(USER, PASSWORD, self.port);
        way.settings.host_key = HostKeyPolicy::Pinned(self.fingerprint());
        way
    }

    /// Waits until it is done with what it has received: a connection may be gone while its last requests are carried out.
    async fn rest(&self) {
        let pid = self.server.id();
        let children = format!("/proc/{pid}/task/{pid}/children");
        for _ in 0..1_000 {
            if std::fs::read_to_string(&children).unwrap().trim().is_empty() {
                return;
            }
            // Our own end of the connection has its last words meanwhile.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("sshd still serves somebody");
    }
}

impl Tftpd {
    fn way(&self) -> Way {
        let mut way = Way::new(Protocol::Tftp, PathBuf::new());
        way.settings.tftp_port = self.port;
        way
    }
}

/// A server with an empty inbox takes files of these sizes, one after the other, and each once.
async fn check_arrivals(way: &Way, inbox: &Path, sizes: &[usize]) {
    for &size in sizes {
        let file = octets(size);
        let began = Instant::now();
        assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified), "{size}");
        println!("{size} octets in {:?}", began.elapsed());
        assert!(files(inbox) == whole(&file), "{size}");
        // Again: the same names with the same octets are a success, and nothing is written.
        let written = |name| std::fs::metadata(inbox.join(name)).unwrap().modified().unwrap();
        let before = [NAME, MANIFEST_NAME].map(written);
        assert_eq!(way.deliver(&file).await, Ok(Delivered::Verified), "{size} again");
        assert_eq!([NAME, MANIFEST_NAME].map(written), before, "{size} again");
        for name in [NAME, MANIFEST_NAME] {
            std::fs::remove_file(inbox.join(name)).unwrap();
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
