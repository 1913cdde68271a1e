//! What the daemon has given up once it is ready, and that it does its work without.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::{
    Daemon, Feed, FreeRadius, Site, Totals, count, down, free_port, seconds, up, wait_for, wait_until,
};

/// What a service of systemd has, and a test takes from there.
const UNIT: &str = include_str!("../../assets/tollgate.service");

/// The values of a line of each thread's status.
fn status(daemon: &Daemon, name: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.id())).unwrap();
    let value = |thread: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
        line.trim().to_owned()
    };
    threads.map(value).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_thread_is_confined_over_io_uring() {
    every_thread_is_confined("io-uring");
}

#[test]
fn every_thread_is_confined_over_epoll() {
    every_thread_is_confined("epoll");
}

fn every_thread_is_confined(datapath: &str) {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    let daemon = Daemon::start_with(&site, datapath, 2);
    let all = |name: &str, expected: &str| {
        let found = status(&daemon, name);
        assert!(found.len() > 4, "{found:?}");
        assert!(found.iter().all(|value| value == expected), "{name} is {found:?}");
    };
    all("NoNewPrivs", "1");
    all("Seccomp", "2");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(daemon.logged("files are written only beneath"), 1, "{}", daemon.log());
    assert_eq!(daemon.logged("system calls are those that are needed"), 1, "{}", daemon.log());
    assert_eq!(daemon.logged("tollgate ready"), 1);
    assert_eq!(
        (mode(&site.control()), mode(&site.link()), mode(&site.state().join("secret.key"))),
        (0o600, 0o600, 0o600)
    );
    daemon.terminate();
}

#[test]
fn without_a_sandbox_nothing_is_confined_and_the_log_says_so() {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    let daemon = Daemon::start_told(&site, "auto", &["--no-sandbox"]);
    assert!(status(&daemon, "Seccomp").iter().all(|mode| mode == "0"));
    assert_eq!(daemon.logged("--no-sandbox: files and system calls are not confined"), 1);
    daemon.terminate();
}

/// A link's path beneath the daemon's directories is taken whenever it is configured; another one needs `--writable`.
#[test]
fn a_commit_names_paths_where_the_daemon_may_write() {
    let (site, elsewhere) = (Site::new(), tempfile::tempdir().unwrap());
    site.configure_one(free_port(), "", "");
    let [inside, outside] = [site.path("new/plane.sock"), elsewhere.path().join("plane.sock")];
    let commit = |daemon: &Daemon, path: &Path| {
        let line = format!("plane-link path {}", path.display());
        daemon.cli(&["system-view", &line, "sysname OTHER", "commit"])
    };
    let sources = format!("session-source directory {}", elsewhere.path().join("sessions").display());

    let daemon = Daemon::start(&site, "auto");
    let before = daemon.cli(&["display current-configuration"]).well();
    let said = commit(&daemon, &outside);
    assert_eq!(said.code, Some(1));
    for part in [outside.to_str().unwrap(), "is outside the directories that the daemon writes to", "--writable"] {
        assert!(said.out.contains(part), "{}", said.out);
    }
    let said = daemon.cli(&["system-view", &sources, "commit"]);
    assert!(said.out.contains("--writable"), "{}", said.out);
    assert_eq!(daemon.cli(&["display current-configuration"]).well(), before, "nothing is half done");
    assert!(!outside.exists() && !elsewhere.path().join("sessions").exists());
    commit(&daemon, &inside).well();
    assert_eq!(mode(&inside), 0o600);
    daemon.cli(&["save", "Y"]).well();
    assert!(std::fs::read_to_string(site.config()).unwrap().contains("sysname OTHER"));
    daemon.terminate();

    let daemon = Daemon::start_told(&site, "auto", &["--writable", elsewhere.path().to_str().unwrap()]);
    commit(&daemon, &outside).well();
    daemon.cli(&["system-view", &sources, "commit"]).well();
    assert!(outside.exists() && elsewhere.path().join("sessions").is_dir());
    daemon.terminate();
}

/// The names of a setting of the unit.
fn of_unit(name: &str) -> Vec<&'static str> {
    let values = UNIT.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.flat_map(str::split_whitespace).collect()
}

/// The user and the capabilities that the unit gives, and no more, are enough: also for a port below 1024.
#[test]
fn an_ordinary_user_with_the_capabilities_of_the_unit_accounts() {
    assert!(rustix::process::geteuid().is_root(), "this test becomes another user: it has to be run as root");
    let capabilities = of_unit("CapabilityBoundingSet");
    assert_eq!(capabilities, of_unit("AmbientCapabilities"));
    let named: Vec<String> =
        capabilities.iter().map(|name| format!("+{}", name.strip_prefix("CAP_").unwrap().to_lowercase())).collect();
    let (site, port) = (Site::new(), free_port());
    let server = site.path("radius");
    let _radius = FreeRadius::start(&server, port);
    site.configure_one(port, "", "  accounting interim interval 3 second\n");
    let relay = (600..1024).find(|port| std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let text = std::fs::read_to_string(site.config()).unwrap();
    let relay =
        format!("#\nrelay listen 127.0.0.1 {relay}\nrelay client 127.0.0.1 shared-key a-long-shared-secret\n#\n");
    std::fs::write(site.config(), text.replacen("#\n", &relay, 1)).unwrap();

    // The site becomes that user's, and the program lies where it can read it.
    let (nobody, program) = (65_534, site.path("tollgate"));
    std::fs::copy(env!("CARGO_BIN_EXE_tollgate"), &program).unwrap();
    for path in [site.directory.path(), &site.config(), &program] {
        std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).unwrap();
    }
    let mut command = Command::new("setpriv");
    let [bounding, others] =
        ["--bounding-set=-all", "--inh-caps=-all"].map(|none| [&[none.to_owned()], &*named].concat().join(","));
    let ambient = others.replace("--inh-caps", "--ambient-caps");
    command.args([&bounding, &others, &ambient]);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]).arg(&program);
    let daemon = Daemon::start_by(&mut command, &site, "auto", &[]);
    assert!(status(&daemon, "CapEff").iter().all(|set| set == "0000000000000400"), "{:?}", status(&daemon, "CapEff"));
    let mut feed = Feed::listen(&site);
    feed.say([up("s1", "isp"), count("s1", Totals::of(3, 1))]);
    wait_until("an interim", seconds(30), || FreeRadius::count(&server, "Interim-Update") > 0);
    feed.say([down("s1", 1)]);
    feed.finish(seconds(30));
    wait_until("the Stop", seconds(30), || FreeRadius::count(&server, "Stop") == 1);
    daemon.cli(&["system-view", "sysname OTHER", "commit", "quit", "save", "Y"]).well();
    assert!(std::fs::read_to_string(site.config()).unwrap().contains("sysname OTHER"));
    daemon.terminate();
}

#[test]
fn a_short_secret_and_an_open_key_file_are_told_of() {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    let daemon = Daemon::start(&site, "auto");
    let short = ["system-view", "radius-server group short", "radius-server shared-key Zq9-short", "commit"];
    let said = daemon.cli(&short).well();
    let warning = "the shared key of RADIUS server group short has 9 octets";
    assert!(said.contains(&format!("Warning: {warning}")), "{said}");
    assert!(!daemon.cli(&["system-view", "sysname OTHER", "commit"]).well().contains(warning), "once is enough");
    daemon.cli(&["save", "Y"]).well();
    daemon.terminate();
    let key = site.state().join("secret.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    let daemon = Daemon::start(&site, "auto");
    assert_eq!((daemon.logged(warning), daemon.logged("has mode 640, so others than its owner may read it")), (1, 1));
    assert_eq!(daemon.logged("Zq9"), 0);
    daemon.terminate();
}

#[test]
fn a_bill_server_that_hangs_costs_a_transfer_and_no_accounting() {
    let (site, silent) = (Site::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    silent.set_nonblocking(true).unwrap();
    let lines = format!(
        " bill-server 127.0.0.1 filename night user-name u password cipher a-password {}\n \
         bill-server host-key accept-first\n local-bill cache backup-mode sftp\n",
        silent.local_addr().unwrap().port()
    );
    let group = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
    site.configure_bills(free_port(), group, "  accounting start-fail online keep-accounting\n", &lines);
    let daemon = Daemon::start(&site, "auto");
    let session = |name: &str, bills: usize| {
        let mut feed = Feed::listen(&site);
        feed.say([up(name, "isp"), count(name, Totals::of(2, 0)), down(name, 1)]);
        feed.finish(seconds(30));
        wait_until("the session has its bill", seconds(30), || daemon.bills().len() == bills);
    };
    session("before", 1);
    daemon.cli(&["system-view", "local-aaa-server", "local-bill cache backup"]).well();
    let mut held = wait_for("the daemon calls the bill server", seconds(20), || silent.accept().ok()).0;
    held.set_nonblocking(false).unwrap();
    let mut greeting = [0; 4];
    held.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-");
    let threads = status(&daemon, "Name");
    assert!(threads.iter().any(|name| name == "tollgate-delive"), "{threads:?}");
    session("meanwhile", 2);
    assert!(status(&daemon, "Seccomp").iter().all(|mode| mode == "2"), "the thread that delivers as well");
    drop(held);
    wait_until("the transfer has failed", seconds(30), || daemon.logged("a bill file was not delivered") > 0);
    assert_eq!(daemon.bills().len(), 2, "bills stay until a server has them");
    daemon.terminate();
}
