//! The relay beside FreeRADIUS as a relay: the same NAS, the same server behind, in turns. Ours has each request on the disk
//! before it answers it; FreeRADIUS answers when the server behind has answered.

#[path = "../../../../crates/tollgate/tests/free_radius/mod.rs"]
mod setup;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use benches::{Place, Program, Tollgate, grouped};

use crate::bench::{Bench, median};
use crate::daemon::holder;
use crate::servers::{Kind, SECRET, Server};
use crate::table::{Row, Target, us};
use setup::{FreeRadiusSetup, READY};

const SESSIONS: u32 = 20_000;
/// Requests in flight.
const WINDOW: u32 = 1024;
/// As many a second as both relays and the server behind bear.
const PACED: u32 = 8000;
const TURNS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a relay runs before it is watched.
const SETTLING: Duration = Duration::from_secs(2);

/// # Errors
/// One of them could not be measured.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let what = format!("{} in flight, as fast as they are answered", grouped(WINDOW));
    let freely = row(bench, u32::MAX, &what)?;
    let paced = row(bench, PACED, &format!("{}/s", grouped(PACED)))?;
    Ok(vec![freely, paced])
}

fn row(bench: &Bench, rate: u32, how: &str) -> Result<Row> {
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        peer.push(watch(bench, rate, FreeRadius::start)?);
        own.push(watch(bench, rate, Own::start)?);
    }
    let middle = |watched: &[Watched], of: fn(&Watched) -> f64| median(&watched.iter().map(of).collect::<Vec<_>>());
    let rates = [&own, &peer].map(|watched| middle(watched, |watched| watched.rate));
    let what = format!(
        "the relay, durable before answered, against FreeRADIUS as a relay; {} sessions, {how}",
        grouped(SESSIONS)
    );
    let row = Row::measured("relay", what, us(middle(&own, |watched| watched.us_each)));
    let row = row.target(Target::PeerTakes(8.0)).peer(us(middle(&peer, |watched| watched.us_each)));
    let told = 100.0 * middle(&own, |watched| watched.told);
    Ok(row.beside(format!("{:.0}/s, {told:.0} % told the server, FreeRADIUS {:.0}/s", rates[0], rates[1])))
}

/// What a relay did while it was watched.
struct Watched {
    us_each: f64,
    rate: f64,
    /// The part of the requests that the server behind has answered as well: a newer interim replaces one that waits.
    told: f64,
}

/// A relay that runs.
trait Relay: Sized {
    fn start(place: &Arc<Place>, relay: SocketAddr, server: SocketAddr) -> Result<Self>;
    fn id(&self) -> u32;
    /// What the server behind has answered so far, if it says that.
    fn told(&self) -> Result<Option<u64>>;
}

fn watch<R: Relay>(
    bench: &Bench,
    rate: u32,
    start: impl Fn(&Arc<Place>, SocketAddr, SocketAddr) -> Result<R>,
) -> Result<Watched> {
    let place = &bench.place;
    let server = Server::start(place, Kind::Plain)?;
    let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let relay = start(place, address, server.address)?;
    let mut nas = Nas::start(place, address, bench.length, rate)?;
    std::thread::sleep(SETTLING);
    let told = relay.told()?;
    let (used, before, began) = (benches::processor_time(relay.id())?, nas.answered()?, Instant::now());
    std::thread::sleep(bench.scale.window() * 2);
    let (used_then, after, took) = (benches::processor_time(relay.id())?, nas.answered()?, began.elapsed());
    ensure!(after > before, "nothing was answered");
    let answers = (after - before) as f64;
    let told = told.zip(relay.told()?).map_or(1.0, |(before, after)| (after - before) as f64 / answers);
    let us_each = used_then.saturating_sub(used).as_secs_f64() * 1e6 / answers;
    Ok(Watched { us_each, rate: answers / took.as_secs_f64(), told })
}

/// The program that asks.
struct Nas {
    program: Program,
    asked: usize,
}

impl Nas {
    fn start(place: &Arc<Place>, relay: SocketAddr, length: u16, rate: u32) -> Result<Nas> {
        let mut command = place.program("nas");
        command.args([
            &relay.to_string(),
            SECRET,
            &SESSIONS.to_string(),
            &WINDOW.to_string(),
            &length.to_string(),
            &rate.to_string(),
        ]);
        let mut program = Program::start(place, &mut command)?;
        program.await_line("all sessions are up", PATIENCE)?;
        Ok(Nas { program, asked: 0 })
    }

    /// Requests so far.
    fn answered(&mut self) -> Result<u64> {
        self.program.input().context("it does not listen")?.write_all(b"\n")?;
        self.asked += 1;
        let began = Instant::now();
        loop {
            let said = self.program.said();
            let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let answers: Vec<&str> = whole.lines().filter_map(|line| line.strip_prefix("answered ")).collect();
            if let Some(answer) = answers.get(self.asked - 1) {
                return Ok(answer.parse()?);
            }
            ensure!(began.elapsed() < PATIENCE, "it does not say how many were answered");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Ours, and what shows its server.
struct Own(Tollgate, String);

impl Relay for Own {
    fn start(place: &Arc<Place>, relay: SocketAddr, server: SocketAddr) -> Result<Own> {
        let configuration = format!(
            "sysname BENCH\n#\nrelay listen {} {}\nrelay client 127.0.0.1 shared-key {SECRET}\n#\n\
             radius-server group g1\n radius-server shared-key {SECRET}\n radius-server accounting {} {}\n#\n\
             aaa\n accounting-scheme s1\n domain isp\n  accounting-scheme s1\n  radius-server group g1\n#\nreturn\n",
            relay.ip(),
            relay.port(),
            server.ip(),
            server.port()
        );
        let display = format!("display radius-server packet ip-address {} {} accounting", server.ip(), server.port());
        Ok(Own(Tollgate::start(place, &configuration)?, display))
    }

    fn id(&self) -> u32 {
        self.0.program.id()
    }

    fn told(&self) -> Result<Option<u64>> {
        let [shown] = self.0.desk.displays([&self.1])?;
        let responses = holder(&shown, "responses").and_then(|counters| counters["responses"].as_u64());
        responses.map(Some).context("tollgate does not tell what was acknowledged")
    }
}

struct FreeRadius(Program);

/// What is done with a request before it is accounted for.
const TO_THE_SERVER: &str = r#"update control {
            &Proxy-To-Realm := "behind"
        }"#;

/// Nothing, when it is sent on and when its answer comes.
const ON_THE_WAY: &str = "    pre-proxy {
        ok
    }
    post-proxy {
        ok
    }
";

impl Relay for FreeRadius {
    fn start(place: &Arc<Place>, relay: SocketAddr, server: SocketAddr) -> Result<FreeRadius> {
        let setup = FreeRadiusSetup {
            directory: &place.path("freeradius"),
            listen: relay,
            secret: SECRET,
            left_out: None,
            preacct: TO_THE_SERVER,
            settings: &proxying(server),
            sections: ON_THE_WAY,
        };
        let mut program = Program::start(place, &mut setup.command()?)?;
        program.await_line(READY, PATIENCE)?;
        Ok(FreeRadius(program))
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    fn told(&self) -> Result<Option<u64>> {
        // It answers behind the server.
        Ok(None)
    }
}

/// As a relay: what it hears it asks the server, and answers when that has answered.
fn proxying(server: SocketAddr) -> String {
    format!(
        r"max_requests = 131072
cleanup_delay = 2
proxy_requests = yes
proxy server {{
    default_fallback = no
}}
home_server behind {{
    type = acct
    ipaddr = {}
    port = {}
    secret = {SECRET}
    response_window = 20
    zombie_period = 40
    max_outstanding = 65536
    status_check = none
}}
home_server_pool pool {{
    type = fail-over
    home_server = behind
}}
realm behind {{
    acct_pool = pool
    nostrip
}}
",
        server.ip(),
        server.port()
    )
}
