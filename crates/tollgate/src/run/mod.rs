//! `tollgate run`: the daemon.
//!
//! ```text
//!   control thread (tokio)                 worker per shard                writer                 files, card
//!   shells, plane handshakes,  ─messages─▶ shard, datapath,  ─bill ring─▶ keeper: ledger, pool, ─▶ what takes long
//!   signals, bill server       ◀─answers── planes             ◀─durable N─ card, transfers       ◀─
//! ```
//!
//! The order of the start is the order of what may go wrong without harm: the configuration is read before anything
//! is made, the store is recovered and this life's first record is durable before a worker exists, every socket is bound
//! before the first event is taken. What is not needed any more is given up on the way (`sandbox`).

pub(crate) mod authorization;
pub(crate) mod bills;
mod certificates;
pub(crate) mod clock;
pub(crate) mod commits;
mod committing;
pub(crate) mod control;
pub(crate) mod daemon;
pub(crate) mod deliver;
pub(crate) mod disk;
pub(crate) mod link;
pub(crate) mod local_bills;
pub(crate) mod messages;
mod now_and_then;
pub(crate) mod planes;
pub(crate) mod relay;
pub(crate) mod restore;
pub(crate) mod ring;
mod sandbox;
mod server_news;
mod shutdown;
mod sources;
pub(crate) mod store;
pub(crate) mod story;
pub(crate) mod sweep;
mod tls;
pub(crate) mod users;
pub(crate) mod worker;
pub(crate) mod writer;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::relay::Relay;
use engine::{Birth, Boot, Limits, Memory, Shard};
use kernel::datapath::{self, Choice, Datapath};
use kernel::waker::Waker;
use lanes::growing::Growing;
use ledger::keeper::{Keeper, KeeperStart};
use ledger::log::LogBounds;
use ledger::recover::Life;
use ledger::segment::StoreId;
use ledger::transfer::Upload;
use model::settings::{RadiusGroup, ServerPath, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::args::{CONFIG, DatapathArg, LogFormat, RunArgs};
use crate::bills::Whereabouts;
use crate::check::configuration_errors;
use crate::exit::{Failure, Outcome};
use crate::secrets::KeySealer;
use commits::Commits;
use daemon::Daemon;
use disk::CardDirectory;
use link::Planes;
use messages::{WorkerHandle, WorkerMessage, WriterMessage};
use planes::LinkedPlanes;
use relay::{NewSockets, START_PATIENCE};
use restore::Heirs;
use ring::{ShardEnd, WriterSleep};
use sandbox::Sandbox;
use server_news::WorkerNews;
use sources::{NewSources, Sources};
use store::Store;
use worker::{Connections, RelayDoor, Seat, Worker};
use writer::{Wiring, Writer};

/// Octets of a segment, and of a batch. Every start begins a segment, so a small one makes restarts cheap.
const SEGMENT_OCTETS: u64 = 16 << 20;
const BATCH_OCTETS: usize = 1 << 20;
/// Octets of a segment on the card, which may be small.
const CARD_SEGMENT_OCTETS: u64 = 16 << 20;
/// Octets of a bill ring: some ten thousand records.
const RING_OCTETS: usize = 4 << 20;

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(args: &RunArgs) -> Outcome {
    start_log(args.log_format);
    // Every source port is a descriptor, and service managers start with few.
    if let Err(error) = kernel::limits::raise_open_files() {
        tracing::warn!("the limit of open files stays as it is: {error}");
    }
    sandbox::keep_secrets_in_memory();
    let key_file = args.key_file.clone().unwrap_or_else(|| args.state_dir.join("secret.key"));
    let mut sealer = KeySealer::load_or_draw(&key_file)?;
    let settings = Arc::new(read_configuration(&args.config, &sealer)?);
    let store = Store::open(&args.state_dir)?;
    CardDirectory::new(args.card_dir.as_deref(), &store.directory)
        .check()
        .map_err(|error| Failure::usage(format!("the CF card cannot be in {error}")))?;
    sealer.keep(&key_file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("the control thread cannot start: {error}")))?;
    let control_thread = tokio::task::LocalSet::new();
    // A life begins, and is written down, only when nothing more can be in its way.
    let doors = control_thread.block_on(&runtime, async { Doors::open(args, &settings) })?;
    let relay = NewSockets::bind(&settings, None, args.shards.into(), START_PATIENCE);
    let relay = control_thread.block_on(&runtime, relay).map_err(Failure::failed)?;
    // Every thread but this one is started from here on.
    let sandbox = Sandbox::enter(args, &key_file, &settings);
    let engine = Engine::start(args, &store, &settings, relay)?;
    let ran = control_thread.block_on(&runtime, serve(args, &store, (settings, sealer, sandbox), &engine, doors));
    let stopped = engine.stop();
    drop(store);
    ran.and(stopped)
}

/// The log goes to standard error; `RUST_LOG` narrows or widens it.
pub(crate) fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // A log that nobody can hear any more is no reason to stop.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// The startup configuration. Only the default file may be missing: a fresh box has none.
fn read_configuration(path: &Path, sealer: &KeySealer) -> Result<Settings, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path == Path::new(CONFIG) => {
            tracing::warn!("there is no {CONFIG}: starting with the default configuration");
            return Ok(Settings::default());
        }
        Err(error) => return Err(Failure::usage(format!("cannot read the configuration {}: {error}", path.display()))),
    };
    let settings = vrp::config::read(&text, sealer).map_err(|errors| configuration_errors(path, &errors))?;
    for finding in vrp::check(&settings) {
        tracing::warn!("{}", finding.problem);
    }
    vrp::short_secrets(&settings).iter().for_each(|problem| tracing::warn!("{problem}"));
    Ok(settings)
}

/// The threads that do the work.
pub(crate) struct Engine {
    pub(crate) workers: Vec<WorkerHandle>,
    threads: Vec<JoinHandle<()>>,
    pub(crate) writer: crossbeam::channel::Sender<WriterMessage>,
    pub(crate) bell: ring::WriterBell,
    writer_thread: JoinHandle<bool>,
    pub(crate) planes: Rc<RefCell<Planes>>,
    /// Files for the bill server, for whoever delivers them.
    uploads: RefCell<Option<UnboundedReceiver<Upload>>>,
    /// What the workers find out of servers, for whoever passes it on.
    server_news: RefCell<Option<UnboundedReceiver<WorkerNews>>>,
    card_dir: PathBuf,
    /// The store's name, and the number of this engine start on it.
    life: (StoreId, u32),
    certificates: RefCell<tls::Book>,
}

impl Engine {
    /// Recovers the store, begins a life, restores its sessions and starts the threads.
    pub(crate) fn start(
        args: &RunArgs,
        store: &Store,
        settings: &Arc<Settings>,
        relay: NewSockets,
    ) -> Result<Engine, Failure> {
        let limits = Limits { sessions: (args.sessions.div_ceil(args.shards.into())) as usize, ..Limits::default() };
        let mut memories: Vec<Memory> = (0..args.shards).map(|_| Memory::new(limits)).collect();
        let shard_count = usize::from(args.shards);
        // The shards' memory is made ready while the ledger is read, for as many sessions as it turns out to have.
        let make_ready =
            |sessions: usize| memories.iter_mut().any(|memory| memory.make_ready(sessions.div_ceil(shard_count)));
        let mut read = store::recover(&store.directory, disk::to_log, make_ready)?;
        restore::report(&read.recovered);
        let epoch_last = read.recovered.epoch_last;
        let recorded = Whereabouts::check(&store.directory, read.start.store(), epoch_last)?;
        if recorded > epoch_last {
            tracing::error!(
                epoch_last,
                recorded,
                "the ledger lacks its last engine starts: it is damaged, or an older copy; ids go on behind those recorded"
            );
        }
        let unusable = |error| Failure::failed(format!("the ledger cannot be used: {error}"));
        let begin = read.start.behind(recorded).map_err(unusable)?;
        let damaged = read.recovered.report.damaged_segments();
        let bounds = LogBounds::new(SEGMENT_OCTETS, BATCH_OCTETS).expect("the bounds of this build fit the format");
        let life = begin_life()?;
        let store_id = begin.store().unwrap_or(life.fresh_store);
        let (log, started) = begin.begin(life, bounds);
        let replay = &read.recovered.state;
        let boot = Boot::new(started.boot_id, replay.booted(), replay.announced(), settings);
        let mut ends = Vec::new();
        let mut seats = Vec::new();
        for number in 0..args.shards {
            let (ring, consumer) = lanes::ring::ring(RING_OCTETS);
            let waker =
                Arc::new(Waker::new().map_err(|error| Failure::failed(format!("no descriptor left: {error}")))?);
            let (durable, needed) = (Arc::<Growing>::default(), Arc::<Growing>::default());
            let end =
                ShardEnd { ring: consumer, durable: durable.clone(), needed: needed.clone(), worker: waker.clone() };
            ends.push(end);
            seats.push(Seat { number, ring, durable, needed, waker });
        }
        let card = CardDirectory::new(args.card_dir.as_deref(), &store.directory);
        let card_bounds =
            LogBounds::new(CARD_SEGMENT_OCTETS, BATCH_OCTETS).expect("the bounds of this build fit the format");
        let keeper = KeeperStart {
            log,
            started,
            book: read.recovered.state.take_book(),
            segments: std::mem::take(&mut read.recovered.segments),
            damaged,
            sources: args.shards,
            settings: settings.local_aaa_server.clone(),
            nas: settings.sysname.clone(),
            card: Some(card_bounds),
            new_boot: boot.is_new.then(|| boot.announced.clone()),
        };
        let recovered = read.recovered;
        let sleep = WriterSleep::new();
        let bell = sleep.bell();
        let (writer, inbox) = crossbeam::channel::unbounded();
        let (uploads, uploaded) = tokio::sync::mpsc::unbounded_channel();
        let card_dir = card.path().to_owned();
        let mut settled = Writer::new(Wiring {
            keeper: Keeper::begin(keeper, clock::now()),
            state_dir: &store.directory,
            ledger: read.place,
            card,
            sources: ends,
            inbox,
            sleep,
            uploads,
        })
        .map_err(|error| Failure::failed(format!("a thread cannot start: {error}")))?;
        if !settled.settle() {
            return Err(Failure::failed("the ledger cannot be written; the log says why"));
        }

        let now = clock::now();
        let mut planes = Planes::default();
        let (news, heard) = tokio::sync::mpsc::unbounded_channel();
        let mut certificates = tls::Book::default();
        let (clients, problems) = certificates.read(settings, now.wall);
        problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        let wakers: Vec<Arc<Waker>> = seats.iter().map(|seat| seat.waker.clone()).collect();
        let relay = relay.setups(settings, &mut planes, wakers.len()).into_iter();
        let relay = relay.zip(relay::neighbours(&wakers));
        let mut built = Vec::new();
        for ((seat, memory), (setup, neighbours)) in seats.into_iter().zip(memories).zip(relay) {
            let (number, waker) = (seat.number, seat.waker.clone());
            let birth = Birth {
                epoch: started.epoch,
                key: started.key,
                started: started.at.wall,
                shard: number,
                shard_count: args.shards,
                session_hash: plane::record::session_hash,
            };
            let (messages, inbox) = crossbeam::channel::unbounded();
            let relay = Relay::new(started.key, number, args.shards, birth.session_hash);
            let mut worker = Worker::new(
                Shard::with_memory(birth, memory, now.mono),
                open_wires(args, settings)?,
                seat,
                (bell.clone(), writer.clone()),
                inbox,
                (LinkedPlanes::new(number, args.shards), RelayDoor::new(relay, neighbours)),
                news.clone(),
            );
            worker
                .datapath
                .watch(&waker)
                .map_err(|error| Failure::failed(format!("a worker's bell cannot be watched: {error}")))?;
            for problem in worker.configure(settings, clients.clone(), setup, now) {
                tracing::warn!("{problem}; it is tried again by and by");
            }
            built.push((worker, WorkerHandle { messages, waker }));
        }
        let shards = built.iter_mut().map(|(worker, _)| &mut worker.shard).collect();
        Heirs::new(shards, &mut planes, now).take(&recovered, started.boot_id)?;
        for (worker, _) in &mut built {
            worker.shard.begin_announcing(now, &boot);
        }
        // What nobody needs any more is given back beside the start, not before it.
        spawn("tollgate-heap", None, move || drop(recovered))?;
        let handles: Vec<WorkerHandle> =
            built.iter().map(|(_, handle): &(Worker, WorkerHandle)| handle.clone()).collect();
        let writer_thread = spawn("tollgate-writer", None, move || settled.run(handles))?;
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for (number, (worker, handle)) in built.into_iter().enumerate() {
            let core = args.cores.get(number).copied();
            threads.push(spawn("tollgate-worker", core, move || worker.run())?);
            workers.push(handle);
        }
        Ok(Engine {
            workers,
            threads,
            writer,
            bell,
            writer_thread,
            planes: Rc::new(RefCell::new(planes)),
            uploads: RefCell::new(Some(uploaded)),
            server_news: RefCell::new(Some(heard)),
            card_dir,
            life: (store_id, started.epoch),
            certificates: RefCell::new(certificates),
        })
    }

    /// Ends the workers, then the writer when everything is durable.
    ///
    /// # Errors
    ///
    /// The disk did not take the last records.
    pub(crate) fn stop(self) -> Outcome {
        self.workers.iter().for_each(|worker| worker.tell(WorkerMessage::Shutdown));
        for thread in self.threads {
            let _ = thread.join();
        }
        let _ = self.writer.send(WriterMessage::Shutdown);
        self.bell.ring();
        match self.writer_thread.join() {
            Ok(true) => Ok(()),
            _ => Err(Failure::failed(
                "the ledger's disk does not take the last records; their events stay with the packet planes",
            )),
        }
    }
}

fn begin_life() -> Result<Life, Failure> {
    let mut drawn = [0; 32];
    kernel::random::fill(&mut drawn).map_err(|error| Failure::failed(format!("no randomness: {error}")))?;
    let (store, key) = drawn.split_at(16);
    Ok(Life {
        boot_id: kernel::clock::boot_id()
            .map_err(|error| Failure::failed(format!("the box has no boot id: {error}")))?,
        at: clock::now(),
        fresh_store: store.try_into().expect("half of 32 octets"),
        fresh_key: key.try_into().expect("half of 32 octets"),
    })
}

/// Room for sockets and connections of one worker: for every server's ports, and as many again for servers that are configured
/// later.
fn wires_of(settings: &Settings) -> [u16; 2] {
    let ports_of = |over_tls: bool| {
        let ports = |group: &RadiusGroup| {
            let servers = group.accounting.iter().filter(|server| server.tls.is_some() == over_tls).count();
            servers * usize::from(group.source_ports)
        };
        settings.radius_groups.values().map(ports).sum::<usize>()
    };
    let hwtacacs: usize = settings.hwtacacs.templates.values().map(|template| template.servers().count()).sum();
    let connections = ports_of(true) + hwtacacs * usize::from(engine::TACACS_CONNECTIONS);
    [ports_of(false), connections].map(|count| u16::try_from((2 * count).clamp(1024, 16_384)).unwrap_or(16_384))
}

fn open_wires(args: &RunArgs, settings: &Settings) -> Result<(Datapath, Connections), Failure> {
    let choice = match args.datapath {
        DatapathArg::Auto => Choice::Auto,
        DatapathArg::IoUring => Choice::IoUring,
        DatapathArg::Epoll => Choice::Epoll,
    };
    let [sockets, streams] = wires_of(settings);
    let limits = datapath::Limits { sockets, watches: 256, ..datapath::Limits::default() };
    let opened = Datapath::open(choice, limits).map_err(|error| Failure::failed(format!("no datapath: {error}")))?;
    match opened.fallback {
        Some(fallback) => tracing::warn!("{fallback}"),
        None => tracing::info!(datapath = opened.datapath.engine_name(), "the datapath is open"),
    }
    let mut datapath = opened.datapath;
    let connections =
        Connections::open(streams, &mut datapath).map_err(|error| Failure::failed(format!("no streams: {error}")))?;
    Ok((datapath, connections))
}

fn spawn<T: Send + 'static>(
    name: &str,
    core: Option<usize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    let pinned = move || {
        if let Some(core) = core
            && let Err(error) = kernel::cores::pin_current_thread(core)
        {
            tracing::warn!(core, "a worker is not pinned: {error}");
        }
        // A broken invariant stops the whole process, and the ledger rebuilds it (DESIGN.md section 3, rule 7).
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| std::process::abort())
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(pinned)
        .map_err(|error| Failure::failed(format!("a thread cannot start: {error}")))
}

/// The sockets that others come to, and the signals.
struct Doors {
    control: tokio::net::UnixListener,
    _control_file: control::SocketFile,
    link: Option<kernel::seqpacket::Listener>,
    authorization: authorization::NewDoors,
    sources: NewSources,
    terminated: Signal,
    interrupted: Signal,
}

impl Doors {
    fn open(args: &RunArgs, settings: &Settings) -> Result<Doors, Failure> {
        let failed = |error: std::io::Error| Failure::failed(format!("signals cannot be awaited: {error}"));
        let terminated = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let (control, control_file) =
            control::bind(&args.control).map_err(|error| Failure::failed(format!("{error:#}")))?;
        control::peer::guard(&args.control, &settings.shell_groups)
            .map_err(|error| Failure::failed(format!("cannot guard {}: {error}", args.control.display())))?;
        let bind = |path: &String| {
            let cannot = |error| Failure::failed(format!("the plane link cannot be bound to {path}: {error}"));
            link::bind(path.as_ref()).map_err(cannot)
        };
        let link = settings.plane_link.path.as_ref().map(bind).transpose()?;
        let authorization = authorization::NewDoors::first(settings).map_err(Failure::failed)?;
        let sources = NewSources::first(settings).map_err(Failure::failed)?;
        Ok(Doors { control, _control_file: control_file, link, authorization, sources, terminated, interrupted })
    }
}

/// The control thread: everything that may wait.
async fn serve(
    args: &RunArgs,
    store: &Store,
    (settings, sealer, sandbox): (Arc<Settings>, KeySealer, Sandbox),
    engine: &Engine,
    doors: Doors,
) -> Outcome {
    let Doors { control, _control_file, link, authorization, sources, mut terminated, mut interrupted } = doors;
    let control_path = std::path::absolute(&args.control).unwrap_or_else(|_| args.control.clone());
    let daemon = Rc::new(Daemon {
        settings: RefCell::new(settings),
        sealer,
        config: args.config.clone(),
        control: control_path,
        state_dir: store.directory.clone(),
        card_dir: engine.card_dir.clone(),
        life: engine.life,
        workers: engine.workers.clone(),
        writer: engine.writer.clone(),
        bell: engine.bell.clone(),
        planes: engine.planes.clone(),
        link: RefCell::new(None),
        authorization: authorization::Listener::new(engine.workers.clone()),
        sources: Sources::new(&store.directory, engine.planes.clone(), engine.workers.clone()),
        certificates: RefCell::new(engine.certificates.take()),
        turn: tokio::sync::Mutex::default(),
        stories: tokio::sync::Mutex::default(),
        hwtacacs_counted: RefCell::default(),
        commits: Commits::open(&store.directory),
        sandbox,
    });
    daemon.whereabouts(&daemon.running()).record(&store.directory)?;
    daemon.write_down_startup().await;
    daemon.replace_link(link);
    daemon.authorization.configure(&daemon.running(), authorization);
    for problem in daemon.sources.configure(&daemon.running(), sources).await {
        tracing::error!("{problem}");
    }
    tokio::task::spawn_local(control::serve(control, daemon.clone()));
    tokio::task::spawn_local(daemon.clone().watch_certificates());
    if let Some(uploads) = engine.uploads.take() {
        tokio::task::spawn_local(deliver::serve(uploads, daemon.clone()));
    }
    if let Some(news) = engine.server_news.take() {
        let configured = daemon.clone();
        let is_silent = move |server: &ServerPath| configured.running().is_alarm_disabled(server);
        tokio::task::spawn_local(server_news::serve(news, engine.workers.clone(), is_silent));
    }
    daemon.sandbox.close();
    tracing::info!("tollgate ready");
    if let Err(error) = kernel::notify::sd_notify("READY=1") {
        tracing::warn!("the service manager was not told: {error}");
    }
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    tracing::info!("stopping: live sessions stay in the ledger");
    daemon.replace_link(None);
    daemon.sources.leave();
    Ok(())
}
