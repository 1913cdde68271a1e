//! A world for the keeper: two directories in memory that crash and fail, a bill server, an accounting server, and the loop of the
//! writer thread.

use std::collections::{BTreeMap, BTreeSet};

use model::counters::{Counters, Totals};
use model::domain::{Allowance, Terms};
use model::ids::{BillId, SessionSerial};
use model::record::{
    Announced, Bill, BillReason, BillRun, BillRuns, BillStore, Closed, Delivered, Departed, Departure, Opened, Record,
    Returned, TakenOver, ZeroStop,
};
use model::settings::{
    AccountingMode, BillFormat, BillServer, BillServerLogin, CacheBackupMode, CfcardBackupMode, LocalAaaServer,
    PinnedScheme, Secret,
};
use model::time::{Mono, Now, Wall};

use crate::card::CardReading;
use crate::keeper::{Alarm, Area, Keeper, KeeperStart, Operation, OperationId, Request};
use crate::log::{DiskFault, LogBounds};
use crate::pool::BillBook;
use crate::recover::{Life, Recovered, Recovery, RecoveryReport};
use crate::replay::Replay;
use crate::segment::BLOCK;
use crate::transfer::{Outcome, Upload, UploadFailure};

/// Numbers from a seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

#[derive(Clone, Default)]
struct File {
    durable: Vec<u8>,
    cached: Vec<(usize, Vec<u8>)>,
}

impl File {
    fn octets(&self) -> Vec<u8> {
        let mut octets = self.durable.clone();
        for (at, written) in &self.cached {
            octets[*at..at + written.len()].copy_from_slice(written);
        }
        octets
    }
}

/// One directory.
#[derive(Clone, Default)]
pub(super) struct Directory {
    files: BTreeMap<u64, File>,
    /// The numbers of files that were set aside.
    pub(super) aside: Vec<u64>,
    /// Every operation fails so.
    pub(super) fault: Option<DiskFault>,
    /// Every read fails so.
    pub(super) read_fault: Option<DiskFault>,
    /// Every write and every file made fails so.
    pub(super) write_fault: Option<DiskFault>,
}

impl Directory {
    fn execute(&mut self, request: Request<'_>) -> Result<(), DiskFault> {
        if let Some(fault) = self.fault.or(self.write_fault) {
            if let Request::Sync { segment } = request
                && let Some(file) = self.files.get_mut(&segment)
            {
                // What a failed sync leaves reaches the disk never, and nobody hears of it again.
                file.cached.clear();
            }
            return Err(fault);
        }
        match request {
            Request::CreateSegment { segment, len } => {
                let durable = vec![0; usize::try_from(len).unwrap()];
                self.files.insert(segment, File { durable, cached: Vec::new() });
            }
            Request::Write { segment, offset, bytes } => {
                let at = usize::try_from(offset).unwrap();
                let file = self.files.get_mut(&segment).expect("it was made");
                assert!(at.is_multiple_of(BLOCK) && at + bytes.len() <= file.durable.len());
                file.cached.push((at, bytes.to_vec()));
            }
            Request::Sync { segment } => {
                let file = self.files.get_mut(&segment).expect("it was made");
                file.durable = file.octets();
                file.cached.clear();
            }
            Request::RemoveSegment { segment } => {
                self.files.remove(&segment);
            }
            Request::SetAside { segment } => {
                self.aside.extend(self.files.remove(&segment).map(|_| segment));
            }
            Request::Read { .. } | Request::OpenCard => unreachable!("the world does it"),
        }
        Ok(())
    }

    fn read(&self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>, DiskFault> {
        if let Some(fault) = self.fault.or(self.read_fault) {
            return Err(fault);
        }
        let at = usize::try_from(offset).unwrap();
        let file = self.files.get(&segment).ok_or(DiskFault::Io)?;
        Ok(file.octets()[at..at + len].to_vec())
    }

    fn crash(&mut self, dice: &mut Dice) {
        let percent = [0, 100, 50][usize::try_from(dice.below(3)).unwrap()];
        for file in self.files.values_mut() {
            for (at, written) in std::mem::take(&mut file.cached) {
                for (number, sector) in written.chunks(BLOCK).enumerate() {
                    if dice.below(100) < percent {
                        let at = at + number * BLOCK;
                        file.durable[at..at + sector.len()].copy_from_slice(sector);
                    }
                }
            }
        }
    }

    /// A file that comes from somewhere else.
    pub(super) fn insert(&mut self, number: u64, octets: Vec<u8>) {
        self.files.insert(number, File { durable: octets, cached: Vec::new() });
    }

    /// Somebody changes a file.
    pub(super) fn change(&mut self, number: u64, change: impl FnOnce(&mut [u8])) {
        let file = self.files.get_mut(&number).unwrap();
        file.durable = file.octets();
        file.cached.clear();
        change(&mut file.durable);
    }

    pub(super) fn len(&self) -> u64 {
        self.files.values().map(|file| file.durable.len() as u64).sum()
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.files.iter().map(|(number, file)| (*number, file.octets()))
    }
}

/// The bill server and the accounting server.
#[derive(Clone, Default)]
pub(super) struct Servers {
    /// By name; a manifest is not kept.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) uploads: u64,
    pub(super) failure: Option<UploadFailure>,
    /// Uploads are left to the test.
    pub(super) is_held: bool,
    /// Bills whose Stop was acknowledged, by what they counted.
    pub(super) acknowledged: BTreeSet<u64>,
    pub(super) accounting_fails: bool,
    /// No bill is taken for a replay: nothing is sent.
    pub(super) replays_are_refused: bool,
}

/// The process died.
#[derive(Debug)]
pub(super) struct Died;

pub(super) struct World {
    pub(super) keeper: Keeper,
    pub(super) ledger: Directory,
    pub(super) card: Directory,
    pub(super) servers: Servers,
    pub(super) settings: LocalAaaServer,
    pub(super) now: Now,
    pub(super) alarms: Vec<Alarm>,
    /// Steps until the process dies; `None`: it does not.
    pub(super) fuse: Option<u64>,
    pub(super) steps: u64,
    /// What each record of source 0 in this life was: a bill that counted so much.
    written: Vec<Option<u64>>,
    announced_through: u64,
    /// Bills that were announced, by what they counted.
    pub(super) announced: BTreeSet<u64>,
    pub(super) bounds: LogBounds,
    pub(super) sources: u16,
    boots: u64,
    /// What the card does is not answered before [`World::release_card`].
    pub(super) is_card_held: bool,
    held: Vec<(OperationId, Result<(), DiskFault>)>,
}

pub(super) const SMALL: (u64, usize) = (1024 + 12 * 5120, 5120);

impl World {
    pub(super) fn new(settings: LocalAaaServer) -> World {
        World::with_bounds(settings, LogBounds::new(SMALL.0, SMALL.1).unwrap())
    }

    pub(super) fn with_bounds(settings: LocalAaaServer, bounds: LogBounds) -> World {
        let now = Now { mono: Mono::from_nanos(1_000_000_000), wall: Wall::from_millis(1_795_000_000_000) };
        let (ledger, card) = (Directory::default(), Directory::default());
        let keeper = boot(&ledger, &settings, bounds, 1, now, 0, None);
        World {
            keeper,
            ledger,
            card,
            servers: Servers::default(),
            settings,
            now,
            alarms: Vec::new(),
            fuse: None,
            steps: 0,
            written: Vec::new(),
            announced_through: 0,
            announced: BTreeSet::new(),
            bounds,
            sources: 1,
            boots: 0,
            is_card_held: false,
            held: Vec::new(),
        }
    }

    /// The power goes, and the process starts again.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        self.ledger.crash(dice);
        self.card.crash(dice);
        self.restart();
    }

    pub(super) fn restart(&mut self) {
        self.fuse = None;
        self.written.clear();
        self.announced_through = 0;
        self.held.clear();
        self.begin(None);
    }

    /// The process starts in a boot of the box that the ledger does not know; so many servers are to be told.
    pub(super) fn begin(&mut self, new_boot: Option<Vec<Announced>>) {
        self.boots += 1;
        let World { ledger, settings, bounds, sources, now, boots, .. } = self;
        self.keeper = boot(ledger, settings, *bounds, *sources, *now, *boots, new_boot);
    }

    fn step(&mut self) -> Result<(), Died> {
        self.steps += 1;
        match &mut self.fuse {
            Some(0) => Err(Died),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// One turn of the writer's loop. True when something was done.
    pub(super) fn turn(&mut self) -> Result<bool, Died> {
        self.keeper.handle_timeout(self.now);
        let mut any = false;
        while self.operate()? {
            any = true;
        }
        self.announce();
        while !self.servers.is_held
            && let Some(upload) = self.keeper.poll_upload()
        {
            any = true;
            self.upload(&upload)?;
        }
        while let Some((id, record)) = self.keeper.poll_replay() {
            any = true;
            self.replay(id, &record)?;
        }
        while let Some(alarm) = self.keeper.poll_alarm() {
            self.alarms.push(alarm);
        }
        Ok(any || self.keeper.waiting() > 0 || self.keeper.poll_timeout() == Some(Mono::ZERO))
    }

    pub(super) fn operate(&mut self) -> Result<bool, Died> {
        let Some(Operation { id, area, request }) = self.keeper.poll_operation() else { return Ok(false) };
        let directory = match area {
            Area::Ledger => &mut self.ledger,
            Area::Card => &mut self.card,
        };
        let dies = self.fuse == Some(0);
        match request {
            Request::Read { segment, offset, len } => {
                let octets = directory.read(segment, offset, len);
                self.step()?;
                self.keeper.handle_read(id, octets.as_deref().map_err(|fault| *fault), self.now);
            }
            Request::OpenCard => {
                let found = match directory.fault {
                    Some(fault) => Err(fault),
                    None => {
                        let mut reading = CardReading::new();
                        for (number, octets) in directory.segments() {
                            reading.segment(number, &octets);
                        }
                        Ok(reading.finish())
                    }
                };
                self.step()?;
                self.keeper.handle_card(id, found, self.now);
            }
            request => {
                // The process may die before or after the disk has done it.
                let outcome = if dies && self.steps.is_multiple_of(2) { Ok(()) } else { directory.execute(request) };
                self.step()?;
                if area == Area::Card && self.is_card_held {
                    self.held.push((id, outcome));
                } else {
                    self.keeper.handle_completed(id, outcome, self.now);
                }
            }
        }
        Ok(true)
    }

    /// The card answers, also what it was asked for before.
    pub(super) fn release_card(&mut self) {
        self.is_card_held = false;
        for (id, outcome) in std::mem::take(&mut self.held) {
            self.keeper.handle_completed(id, outcome, self.now);
        }
    }

    fn announce(&mut self) {
        let through = self.keeper.durable_through(0);
        for number in self.announced_through..through {
            self.announced.extend(self.written[usize::try_from(number).unwrap()]);
        }
        self.announced_through = through;
    }

    fn upload(&mut self, upload: &Upload) -> Result<(), Died> {
        self.step()?;
        self.servers.uploads += 1;
        if let Some(failure) = self.servers.failure {
            self.keeper.handle_uploaded(upload.number, Outcome::Failed(failure), self.now);
            return Ok(());
        }
        let known = self.servers.files.insert(upload.name.clone(), upload.octets.clone());
        assert!(known.is_none_or(|known| known == upload.octets), "a retry has the same octets");
        let manifest = crate::bill::Manifest::parse(&upload.manifest).unwrap();
        let verdict = crate::verify::bill_file(&upload.octets, &manifest);
        assert_eq!(verdict.faults, [], "a file without faults");
        assert_eq!(manifest.file, upload.name);
        self.step()?;
        self.keeper.handle_uploaded(upload.number, Outcome::Delivered, self.now);
        Ok(())
    }

    fn replay(&mut self, id: BillId, record: &[u8]) -> Result<(), Died> {
        self.step()?;
        let Ok(Record::Billed(bill)) = crate::frame::decode(record) else { panic!("a bill") };
        assert_eq!(bill.id, id);
        let counted = bill.closed.counters.v4.in_octets;
        if self.servers.replays_are_refused {
            self.keeper.handle_replay_refused(id, self.now);
        } else if self.servers.accounting_fails {
            self.append(&Record::Returned(Returned { id, was_sent: true }));
        } else {
            let is_first = self.servers.acknowledged.insert(counted);
            assert!(
                is_first || bill.delivered == Delivered::Unknown,
                "a bill is acknowledged once, as far as is known"
            );
            self.step()?;
            let mut runs = Vec::new();
            BillRun { first: id, count: 1 }.push_to(&mut runs);
            let bills = BillRuns::from_octets(&runs).unwrap();
            let departed = Departed {
                store: BillStore::Cache,
                departure: Departure::Replayed,
                transfer: 0,
                at: self.now.wall,
                bills,
                in_octets: counted,
                out_octets: 0,
            };
            self.append(&Record::Departed(departed));
        }
        Ok(())
    }

    pub(super) fn append(&mut self, record: &Record<'_>) {
        let octets = super::super::own::octets(record);
        while self.keeper.append(0, &octets).is_err() {
            assert!(self.operate().unwrap(), "room comes with completions");
        }
        let counted = match record {
            Record::Billed(bill) => Some(bill.closed.counters.v4.in_octets),
            _ => None,
        };
        self.written.push(counted);
    }

    /// A Stop that was given up; `counted` names it in these tests.
    pub(super) fn bill(&mut self, counted: u64) {
        self.append(&Record::Billed(bill(counted)));
    }

    /// The same of a session that HWTACACS accounts for.
    pub(super) fn bill_of_hwtacacs(&mut self, counted: u64) {
        let mut bill = bill(counted);
        bill.opened.scheme.mode = AccountingMode::Hwtacacs;
        self.append(&Record::Billed(bill));
    }

    /// Turns until nothing is done any more.
    pub(super) fn settle(&mut self) -> Result<(), Died> {
        for _ in 0..20_000 {
            if !self.turn()? {
                return Ok(());
            }
        }
        panic!("it never comes to rest: {} wait, {:?}", self.keeper.waiting(), self.keeper.poll_timeout());
    }

    /// Time passes, as the keeper asks for it, up to so many seconds.
    pub(super) fn pass(&mut self, seconds: u64) -> Result<(), Died> {
        let end = Mono::from_nanos(self.now.mono.as_nanos() + seconds * 1_000_000_000);
        loop {
            self.settle()?;
            let next = self.keeper.poll_timeout().filter(|next| *next <= end);
            let to = next.unwrap_or(end).max(Mono::from_nanos(self.now.mono.as_nanos() + 1_000_000));
            let millis = to.as_millis() - self.now.mono.as_millis();
            self.now = Now { mono: to, wall: Wall::from_millis(self.now.wall.as_millis() + millis) };
            if to >= end {
                return self.settle();
            }
        }
    }

    pub(super) fn configure(&mut self, change: impl FnOnce(&mut LocalAaaServer)) {
        change(&mut self.settings);
        let settings = self.settings.clone();
        self.keeper.configure(&settings, "BNG1", self.now);
    }

    /// Records of source 0 in this life.
    pub(super) fn written(&self) -> u64 {
        self.written.len() as u64
    }

    /// Becomes another box, with another key.
    pub(super) fn rekey(&mut self, key: [u8; 16]) {
        let (recovered, start) = read(&self.ledger);
        let life = Life { boot_id: [7; 16], at: self.now, fresh_store: [3; 16], fresh_key: key };
        let (log, started) = start.begin(life, self.bounds);
        let start = KeeperStart {
            log,
            started,
            damaged: recovered.report.damaged_segments(),
            book: recovered.state,
            segments: recovered.segments,
            sources: self.sources,
            settings: self.settings.clone(),
            nas: "BNG2".to_owned(),
            card: Some(self.bounds),
            new_boot: None,
        };
        self.keeper = Keeper::begin(start, self.now);
    }

    /// What is in the pool, by what it counted.
    pub(super) fn pool(&self) -> Vec<u64> {
        self.keeper.book().pool().bills(0).map(|bill| bill.in_octets).collect()
    }

    pub(super) fn on_card(&self) -> Vec<u64> {
        self.keeper.card_bills().map(|bill| bill.in_octets).collect()
    }

    /// Bills in files, with whether they say `delivered: unknown`. One in two files is an error.
    pub(super) fn in_files(&self) -> BTreeMap<u64, bool> {
        let mut found = BTreeMap::new();
        for (name, octets) in &self.servers.files {
            for line in std::str::from_utf8(octets).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let counted = line["in_octets"].as_u64().unwrap();
                let before = found.insert(counted, line["delivered"] == "unknown");
                assert!(before.is_none(), "bill {counted} is in two files, one of them {name}");
            }
        }
        found
    }

    /// Every announced bill is somewhere, and in one place only.
    pub(super) fn check(&self) {
        let files = self.in_files();
        let pool: BTreeSet<u64> = self.pool().into_iter().collect();
        let card: BTreeSet<u64> = self.on_card().into_iter().collect();
        for counted in &self.announced {
            let acknowledged = self.servers.acknowledged.contains(counted);
            let places = [files.contains_key(counted), pool.contains(counted), card.contains(counted)];
            let count = places.into_iter().filter(|is_there| *is_there).count();
            assert!(count + usize::from(acknowledged) >= 1, "bill {counted} is lost");
            assert!(
                count <= 1,
                "bill {counted} is in several places: {places:?} {:?} {:?} {:?}",
                self.alarms,
                self.keeper.book().departures().runs().collect::<Vec<_>>(),
                self.keeper.card_bills().find(|bill| bill.in_octets == *counted),
            );
            if acknowledged && count > 0 {
                let in_pool = self.keeper.book().pool().bills(0).find(|bill| bill.in_octets == *counted);
                let says_so = files.get(counted).copied().unwrap_or(false)
                    || in_pool.is_some_and(|bill| bill.delivered == Delivered::Unknown)
                    || self
                        .keeper
                        .card_bills()
                        .any(|bill| bill.in_octets == *counted && bill.delivered == Delivered::Unknown);
                assert!(
                    says_so,
                    "bill {counted} was acknowledged and does not say that it may have been: {places:?} {in_pool:?}"
                );
            }
        }
    }

    /// What the proof of completeness says of both directories now.
    pub(super) fn proof(&self) -> crate::verify::Proof {
        let mut reading = CardReading::new();
        for (number, octets) in self.card.segments() {
            reading.segment(number, &octets);
        }
        crate::verify::prove(&self.recovered(), Some(&reading.finish().unwrap()))
    }

    /// The book as recovery would make it now.
    pub(super) fn recovered(&self) -> BillBook {
        read(&self.ledger).0.state
    }

    /// What the records of the ledger add up to now.
    pub(super) fn replayed(&self) -> Replay {
        let mut recovery = Recovery::new(Replay::new());
        for (number, octets) in self.ledger.segments() {
            recovery.segment(number, &octets);
        }
        recovery.finish().unwrap().0.state
    }

    /// What recovery would say of the ledger now.
    pub(super) fn report(&self) -> RecoveryReport {
        read(&self.ledger).0.report
    }
}

fn read(ledger: &Directory) -> (Recovered<BillBook>, crate::recover::LogStart) {
    let mut recovery = Recovery::new(BillBook::new());
    for (number, octets) in ledger.segments() {
        recovery.segment(number, &octets);
    }
    recovery.finish().unwrap()
}

fn boot(
    ledger: &Directory,
    settings: &LocalAaaServer,
    bounds: LogBounds,
    sources: u16,
    now: Now,
    boots: u64,
    new_boot: Option<Vec<Announced>>,
) -> Keeper {
    let (recovered, start) = read(ledger);
    let life = Life { boot_id: [7; 16], at: now, fresh_store: [8; 16], fresh_key: [9; 16] };
    let (log, started) = start.begin(life, bounds);
    assert!(u64::from(started.epoch) <= boots + 1);
    let start = KeeperStart {
        log,
        started,
        damaged: recovered.report.damaged_segments(),
        book: recovered.state,
        segments: recovered.segments,
        sources,
        settings: settings.clone(),
        nas: "BNG1".to_owned(),
        card: Some(bounds),
        new_boot,
    };
    Keeper::begin(start, now)
}

pub(super) fn bill(counted: u64) -> Bill<'static> {
    let serial = SessionSerial { epoch: 1, sequence: counted };
    let v4 = Totals { in_octets: counted, ..Totals::default() };
    let counters = Counters { v4, v6: Totals::default() };
    let at = Now { mono: Mono::from_nanos(counted), wall: Wall::from_millis(1_795_000_000_000 + counted) };
    let taken_over = TakenOver { plane_epoch: 3, ring: 1, position: counted };
    Bill {
        id: BillId::default(),
        reason: BillReason::StopUnanswered,
        delivered: Delivered::No,
        zero_stop: ZeroStop::Unknown,
        server: None,
        nas_address: None,
        opened: Opened {
            serial,
            taken_over,
            plane: "vpp0",
            session: b"s1",
            domain: "isp",
            group: "g1",
            scheme: PinnedScheme::default(),
            interim_s: 600,
            terms: Terms::default(),
            allowance: Allowance::default(),
            session_timeout_s: 0,
            at,
            counters: Default::default(),
            baseline: Counters::ZERO,
            attributes: b"\x01\x0balice@isp",
        },
        closed: Closed { serial, taken_over, at, cause: 1, session_time_s: 9, counters },
    }
}

/// A pool of 100, a card of 200, SFTP with a log-in, files of 5 bills as json.
pub(super) fn settings(mode: CacheBackupMode) -> LocalAaaServer {
    let mut settings = LocalAaaServer { pool_enabled: true, format: BillFormat::Json, ..LocalAaaServer::default() };
    settings.bill_server = Some(BillServer {
        address: [192, 0, 2, 9].into(),
        file_name: "bills".to_owned(),
        login: Some(BillServerLogin {
            user: "u1".to_owned(),
            password: Secret::new(b"p".to_vec(), String::new()),
            port: 22,
        }),
    });
    settings.file_size = 5;
    settings.cache.capacity = 100;
    settings.cache.backup_mode = mode;
    settings.cfcard.capacity = 200;
    settings.cfcard.backup_mode = CfcardBackupMode::Sftp;
    settings
}
