//! The hooks of `scripts/adapters`, run as their daemons would run them: FreeRADIUS says what came of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{
    Daemon, Detail, FreeRadius, Record, SECRET, Said, Site, free_port, run_command, seconds, wait_until,
};

/// A daemon with a socket, and a server.
struct Stage {
    site: Site,
    server: PathBuf,
    _radius: FreeRadius,
    daemon: Option<Daemon>,
}

impl Stage {
    fn new() -> Stage {
        let site = Site::new();
        let (port, server) = (free_port(), site.path("radius"));
        site.configure(&format!(
            "session-source socket {}\n#\nradius-server group isp\n radius-server shared-key {SECRET}\n \
             radius-server accounting 127.0.0.1 {port}\n#\n\
             aaa\n accounting-scheme default1\n domain default1\n  accounting-scheme default1\n  radius-server group isp\n#\n\
             local-aaa-server\n local-bill-pool enable\n",
            site.path("sessions.sock").display()
        ));
        let radius = FreeRadius::start(&server, port);
        let daemon = Daemon::start(&site, "auto");
        Stage { site, server, _radius: radius, daemon: Some(daemon) }
    }

    /// Runs a hook with this environment and nothing else.
    fn hook(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let adapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/adapters");
        let mut command = Command::new(adapters.join(name));
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .args(arguments)
            .envs(environment.iter().copied());
        command.env("TOLLGATE_SESSION", adapters.join("tollgate-session"));
        command.env("TOLLGATE_SOCKET", self.site.path("sessions.sock")).env("TOLLGATE_TRIES", "2");
        run_command(&mut command)
    }

    /// Ends the daemon. A hook that runs then says so when it has tried often enough.
    fn end(mut self) {
        self.daemon.take().expect("it runs").terminate();
        self.hook("pppd-ip-up", &["ppp0"], &[("IFNAME", "ppp0")]).refused(1, &["nobody answers"]);
    }

    fn wait_for(&self, kind: &str, records: usize) -> Detail {
        let what = format!("{records} of {kind}");
        wait_until(&what, seconds(30), || FreeRadius::detail(&self.server).count(kind) == records);
        FreeRadius::detail(&self.server)
    }
}

fn of<'a>(detail: &'a Detail, kind: &str, user: &str) -> &'a Record {
    let found: Vec<&Record> = detail.of(kind).filter(|record| record.text("User-Name") == user).collect();
    assert_eq!(found.len(), 1, "{kind} of {user}: {found:?}");
    found[0]
}

#[test]
fn pppd_brings_a_line_up_and_down() {
    let stage = Stage::new();
    let line = [
        ("IFNAME", "ppp0"),
        ("IPLOCAL", "100.64.0.1"),
        ("IPREMOTE", "100.64.0.9"),
        ("PEERNAME", "al\"ice\\x"),
        ("MACREMOTE", "02:00:00:00:00:09"),
        ("PPPD_PID", "4711"),
    ];
    stage.hook("pppd-ip-up", &["ppp0", "/dev/pts/1", "0", "100.64.0.1", "100.64.0.9"], &line).well();
    let detail = stage.wait_for("Start", 1);
    let start = detail.of("Start").next().unwrap();
    assert!(start.text("User-Name").contains("al") && start.text("User-Name").contains("ice"), "{start:?}");
    assert_eq!((start.text("Framed-IP-Address"), start.text("NAS-Port-Id")), ("100.64.0.9", "ppp0"));
    assert_eq!(start.text("Calling-Station-Id"), "02:00:00:00:00:09");
    let end = [&line[..], &[("BYTES_RCVD", "1000"), ("BYTES_SENT", "70000"), ("CONNECT_TIME", "9")]].concat();
    stage.hook("pppd-ip-down", &["ppp0"], &end).well();
    let detail = stage.wait_for("Stop", 1);
    let stop = detail.of("Stop").next().unwrap();
    assert_eq!((stop.totals().in_octets, stop.totals().out_octets), (1_000, 70_000));
    assert_eq!(stop.text("Acct-Terminate-Cause"), "User-Request");
    // It is over already.
    stage.hook("pppd-ip-down", &["ppp0"], &end).refused(1, &["refused", "no such session is up"]);
    stage.end();
}

#[test]
fn leases_of_dnsmasq_are_sessions() {
    let stage = Stage::new();
    let environment = [("DNSMASQ_INTERFACE", "eth1"), ("DNSMASQ_LEASE_EXPIRES", "1795000000")];
    let lease = ["02:00:00:00:00:01", "100.64.0.1", "host"];
    stage.hook("dnsmasq-lease", &[&["add"], &lease[..]].concat(), &environment).well();
    let detail = stage.wait_for("Start", 1);
    let start = of(&detail, "Start", "02:00:00:00:00:01");
    assert_eq!((start.text("Framed-IP-Address"), start.text("NAS-Port-Id")), ("100.64.0.1", "eth1"));
    // dnsmasq has been restarted, and one lease it has only from its file.
    stage.hook("dnsmasq-lease", &[&["old"], &lease[..]].concat(), &environment).well();
    stage.hook("dnsmasq-lease", &["old", "02:00:00:00:00:02", "100.64.0.2"], &environment).well();
    stage.hook("dnsmasq-lease", &["init"], &[]).well();
    stage.hook("dnsmasq-lease", &["add", "02:00:00:00:00:03", "2001:db8::1"], &[("DNSMASQ_IAID", "7")]).well();
    stage.wait_for("Start", 2);
    stage.hook("dnsmasq-lease", &[&["del"], &lease[..]].concat(), &environment).well();
    let detail = stage.wait_for("Stop", 1);
    assert_eq!(of(&detail, "Stop", "02:00:00:00:00:01").session(), of(&detail, "Start", "02:00:00:00:00:01").session());
    assert_eq!(detail.sessions("Start"), 2);
    stage.end();
}

#[test]
fn leases_of_kea_are_sessions() {
    let stage = Stage::new();
    let committed = [
        ("QUERY4_IFACE_NAME", "eth1"),
        ("LEASES4_SIZE", "1"),
        ("LEASES4_AT0_ADDRESS", "100.64.0.1"),
        ("LEASES4_AT0_HWADDR", "02:00:00:00:00:01"),
        ("DELETED_LEASES4_SIZE", "0"),
    ];
    // A renewal is no new session.
    for _ in 0..2 {
        stage.hook("kea-lease", &["leases4_committed"], &committed).well();
    }
    stage.hook("kea-lease", &["lease4_renew"], &committed).well();
    let detail = stage.wait_for("Start", 1);
    assert_eq!(of(&detail, "Start", "02:00:00:00:00:01").text("Framed-IP-Address"), "100.64.0.1");
    let lease = [("LEASE4_ADDRESS", "100.64.0.1"), ("LEASE4_HWADDR", "02:00:00:00:00:01")];
    stage.hook("kea-lease", &["lease4_expire"], &lease).well();
    let detail = stage.wait_for("Stop", 1);
    assert_eq!(of(&detail, "Stop", "02:00:00:00:00:01").text("Acct-Terminate-Cause"), "Idle-Timeout");
    stage.end();
}
