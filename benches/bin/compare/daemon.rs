//! A `tollgate` process: its configuration, and what it says of itself.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::{Desk, Place, Program, Tollgate};
use serde_json::Value;

use crate::crowd::APART;
use crate::servers::{Kind, SECRET, Server};

/// What it is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) interval_s: u32,
    /// A subscriber is let in when the server has heard of it.
    pub(crate) start_fail_offline: bool,
    /// A server for a domain apart, whose subscribers wait for it.
    pub(crate) apart: Option<SocketAddr>,
}

#[derive(Debug)]
pub(crate) struct Daemon {
    tollgate: Tollgate,
    accounts: Accounts,
}

/// Where a daemon can be asked what it counts of its server.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    desk: Desk,
    display: String,
}

/// What it counts of its server, from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) responses: u64,
    pub(crate) interims: u64,
    /// Mean of lately.
    pub(crate) round_trip: Duration,
}

/// Resident, in octets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Nobody else's: anonymous, and of files.
    pub(crate) own: u64,
    /// Shared with packet planes.
    pub(crate) shared: u64,
    /// All of it at its highest.
    pub(crate) peak: u64,
}

/// Some seconds of its life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Processor time of all threads for each response.
    pub(crate) us_each: f64,
    /// Responses a second.
    pub(crate) rate: f64,
}

impl Daemon {
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start(place: &Arc<Place>, server: &Server, setup: Setup) -> Result<Daemon> {
        Daemon::start_towards(place, server.kind, server.address, &server.ca, setup)
    }

    /// The same, towards a server of this kind that may be anything. `ca` matters over TLS only.
    ///
    /// # Errors
    /// It does not become ready.
    pub(crate) fn start_towards(
        place: &Arc<Place>,
        kind: Kind,
        server: SocketAddr,
        ca: &Path,
        setup: Setup,
    ) -> Result<Daemon> {
        let tollgate = Tollgate::start(place, &configuration(kind, server, ca, setup))?;
        let display = match kind {
            Kind::Tacacs => "display hwtacacs-server template name h1 verbose".to_owned(),
            _ => format!("display radius-server packet ip-address {} {} accounting", server.ip(), server.port()),
        };
        let accounts = Accounts { desk: tollgate.desk.clone(), display };
        Ok(Daemon { tollgate, accounts })
    }

    /// Where packet planes link in.
    pub(crate) fn link(&self) -> &Path {
        &self.tollgate.link
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.tollgate.desk
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// # Errors
    /// It does not answer.
    pub(crate) fn counted(&self) -> Result<Counted> {
        self.accounts.counted()
    }

    /// # Errors
    /// It has ended.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.tollgate.program.id()))?;
        let octets = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            kilobytes.map(|kilobytes| kilobytes * 1024).with_context(|| format!("the kernel does not tell {name}"))
        };
        Ok(Memory { own: octets("RssAnon")? + octets("RssFile")?, shared: octets("RssShmem")?, peak: octets("VmHWM")? })
    }

    /// Watches it for so long.
    ///
    /// # Errors
    /// No response came.
    pub(crate) fn window(&self, time: Duration) -> Result<Window> {
        let (used, before, began) = (self.processor_time()?, self.counted()?.responses, Instant::now());
        std::thread::sleep(time);
        let (used_then, after, took) = (self.processor_time()?, self.counted()?.responses, began.elapsed());
        ensure!(after > before, "no interim was acknowledged");
        let responses = (after - before) as f64;
        let used = used_then.saturating_sub(used);
        Ok(Window { us_each: used.as_secs_f64() * 1e6 / responses, rate: responses / took.as_secs_f64() })
    }

    /// Of all its threads, since its start.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        Ok(benches::processor_time(self.tollgate.program.id())?)
    }

    /// How long its threads were ready to run while others had their core, itself among them.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) fn waiting_time(&self) -> Result<Duration> {
        Ok(benches::waiting_time(self.tollgate.program.id())?)
    }

    pub(crate) fn program(&self) -> &Program {
        &self.tollgate.program
    }
}

impl Accounts {
    /// # Errors
    /// It does not answer.
    pub(crate) fn counted(&self) -> Result<Counted> {
        let [shown] = self.desk.displays([&self.display])?;
        let counters = holder(&shown, "responses");
        let counters = counters.with_context(|| format!("tollgate tells nothing of its server: {shown}"))?;
        let count = |name: &str| counters[name].as_u64().with_context(|| format!("tollgate does not tell {name}"));
        Ok(Counted {
            responses: count("responses")?,
            interims: count("interims")?,
            round_trip: Duration::from_nanos(count("round_trip_ns")?),
        })
    }
}

/// The innermost object that has this member.
pub(crate) fn holder<'a>(value: &'a Value, member: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) if members.contains_key(member) => Some(value),
        Value::Object(members) => members.values().find_map(|value| holder(value, member)),
        Value::Array(values) => values.iter().find_map(|value| holder(value, member)),
        _ => None,
    }
}

fn configuration(kind: Kind, server: SocketAddr, ca: &Path, setup: Setup) -> String {
    let (ip, port) = (server.ip(), server.port());
    let servers = match kind {
        Kind::Plain | Kind::Batching => format!(
            "radius-server group g1\n radius-server shared-key {SECRET}\n radius-server accounting {ip} {port}\n"
        ),
        Kind::Tls => {
            format!("radius-server group g1\n radius-server accounting {ip} {port} tls ca {}\n", ca.display())
        }
        Kind::Tacacs => format!(
            "hwtacacs-server template h1\n hwtacacs-server shared-key cipher {SECRET}\n \
             hwtacacs-server accounting {ip} {port} mux-mode\n"
        ),
    };
    let (method, used) = match kind {
        Kind::Tacacs => ("  accounting-mode hwtacacs\n", "  hwtacacs-server h1\n"),
        _ => ("", "  radius-server group g1\n"),
    };
    let offline = if setup.start_fail_offline { "  accounting start-fail offline\n" } else { "" };
    let [apart_server, apart_scheme, apart_domain] = setup.apart.map_or_else(Default::default, apart);
    format!(
        "sysname BENCH\n#\n{servers}#\n{apart_server}aaa\n accounting-scheme s1\n{method}  \
         accounting interim interval {} second hash\n{offline}{apart_scheme} domain isp\n  accounting-scheme s1\n{used}\
         {apart_domain}#\nreturn\n",
        setup.interval_s
    )
}

/// Its group, its scheme and itself.
fn apart(server: SocketAddr) -> [String; 3] {
    let (ip, port) = (server.ip(), server.port());
    [
        format!(
            "radius-server group g2\n radius-server shared-key {SECRET}\n radius-server accounting {ip} {port}\n#\n"
        ),
        " accounting-scheme s2\n  accounting start-fail offline\n".to_owned(),
        format!(" domain {APART}\n  accounting-scheme s2\n  radius-server group g2\n"),
    ]
}
