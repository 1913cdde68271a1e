//! `tollgate demo`: the main job, shown with everything embedded. One process holds the daemon's own threads, a packet
//! plane and an accounting server; they speak to each other as strangers would, through the plane's shared memory and
//! through loopback UDP.
//!
//! ```text
//!   plane ──shared memory──▶ engine ──RADIUS over loopback──▶ server
//!     │                        │ ledger in a scratch directory    │
//!     └─ what it counted       └─ bills                           └─ what it heard
//!                  ╲              │              ╱
//!                    the account: octet for octet
//! ```
//!
//! **Comes in:** how many subscribers, how long. **Goes out:** a live view, then the account, and exit status 1 when a
//! single octet is missing or told twice. **Never:** privilege, an installed file, anything left behind. **How much:**
//! about a kilobyte of memory and a kilobyte of scratch disk for each subscriber.

mod account;
mod plane;
mod schedule;
mod scratch;
mod server;
mod settings;
mod stage;
mod summary;
mod view;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::args::{DemoArgs, LogFormat, RunArgs};
use crate::exit::{Failure, Outcome};
use crate::run::Engine;
use crate::run::relay::NewSockets;
use crate::run::store::Store;
use account::Account;
use plane::Plane;
use schedule::Schedule;
use scratch::Scratch;
use server::Server;
use stage::{Fate, Stage};
use view::View;

/// Plays, and judges what came of it.
pub(crate) fn demo(args: &DemoArgs) -> Outcome {
    let began = Instant::now();
    let schedule = Schedule::new(args.sessions, args.seconds);
    let scratch = Scratch::create()?;
    let store = Store::open(scratch.path())?;
    let server = Server::bind(args.datapath, schedule.clone())?;
    let settings = Arc::new(settings::settings(server.address(), &schedule));
    let (args, relay) = (engine_args(args, &schedule, scratch.path().to_owned()), NewSockets::default());
    let engine = Engine::start(&args, &store, &settings, relay)?;
    let plane = Plane::link(&engine, schedule.clone())?;

    let mut view = View::new(&schedule);
    let stage = Arc::new(Stage::open());
    let server = stage::spawn("demo-server", &stage, move |stage| server.run(stage))?;
    let plane = stage::spawn("demo-plane", &stage, move |stage| plane.run(stage))?;
    let watched = watch::watch(&engine, &stage, &schedule, &mut view);
    stage.end();
    let lives = plane.join().map_err(|_| Failure::failed("the plane broke off"))?;
    let heard = server.join().map_err(|_| Failure::failed("the server broke off"))?;
    engine.stop()?;
    let figures = match watched? {
        Fate::Played(figures) => figures,
        Fate::Interrupted => return Err(Failure::failed("interrupted; nothing is left behind")),
    };
    let bills = account::read_bills(scratch.path())?;
    let account = Account::settle(&lives, &heard, &bills);
    summary::print(&account, &figures, &schedule, began.elapsed());
    if account.is_balanced() { Ok(()) } else { Err(Failure::Said(crate::exit::FAILED)) }
}

/// The daemon's arguments, as far as an embedded one has any.
fn engine_args(args: &DemoArgs, schedule: &Schedule, state_dir: PathBuf) -> RunArgs {
    RunArgs {
        config: state_dir.join("startup.cfg"),
        control: state_dir.join("control.sock"),
        state_dir,
        card_dir: None,
        key_file: None,
        writable: Vec::new(),
        no_sandbox: true,
        shards: 1,
        cores: Vec::new(),
        sessions: schedule.lives(),
        datapath: args.datapath,
        log_format: LogFormat::Text,
    }
}
