//! `tollgate bills`: list, show, verify, export. On a running store it asks the daemon; on a stopped one, or a copy, it
//! reads what recovery reads, and writes nothing.

mod files;
mod text;
mod verdict;
pub(crate) mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use kernel::file::{DirectoryLock, LogFile};
use ledger::bill::{Bill, BillFile, BillName, Format};
use ledger::frame;
use ledger::keeper::Area;
use ledger::pool::{BillBook, BillRef};
use ledger::segment::StoreId;
use model::ids::BillId;
use model::record::{self, BillStore, Departure, Record};
use model::settings::{LocalAaaServer, Settings};

use serde::{Deserialize, Serialize};

use crate::args::{BillsAction, BillsArgs, FormatArg, StoreArgs};
use crate::cli::Client;
use crate::exit::{Failure, Outcome};
use crate::output::{complain, write_out};
use crate::run::control::Saying;
use crate::run::disk::{CardDirectory, read_card, segment_path, sync_segments};
use crate::run::store;

/// A bill, and the store that keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) area: Area,
    pub(crate) bill: BillRef,
}

impl Kept {
    /// One in the pool, or one that waits for a pool.
    pub(crate) fn in_ledger(bill: &BillRef) -> Kept {
        Kept { area: Area::Ledger, bill: *bill }
    }
}

/// Which bills are printed, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Only these; empty: all.
    ids: Vec<String>,
    form: Form,
}

/// How bills are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Form {
    /// A line each, of what is asked most.
    List,
    /// A line for each field.
    Show,
    /// As bill files hold them.
    Detail,
    Csv,
    Json,
}

/// Bills that are made into text at once.
pub(crate) const CHUNK: usize = 500;

/// Runs the command. A form that is named is the form of whole bills, whatever is done with them.
pub(crate) fn bills(args: &BillsArgs) -> Outcome {
    match &args.action {
        BillsAction::List(store) => print(store, &Shape::new(store, &[], Form::List)),
        BillsAction::Show { ids, store } => print(store, &Shape::new(store, ids, Form::Show)),
        BillsAction::Export(store) => print(store, &Shape::new(store, &[], Form::Detail)),
        BillsAction::Verify(store) if store.files.is_empty() => verdict::store(state_dir(store)?, store),
        BillsAction::Verify(store) => verdict::files(store),
    }
}

impl Shape {
    fn new(store: &StoreArgs, ids: &[String], unless_named: Form) -> Shape {
        let form = match store.format {
            Some(FormatArg::Detail) => Form::Detail,
            Some(FormatArg::Csv) => Form::Csv,
            Some(FormatArg::Json) => Form::Json,
            None => unless_named,
        };
        Shape { ids: ids.to_vec(), form }
    }

    /// The bills among these, in ascending order, that are to be printed; and the ids that none of them has.
    pub(crate) fn choose(&self, bills: Vec<Kept>, nas: &str) -> (Vec<Kept>, Missing) {
        if self.ids.is_empty() {
            return (bills, Missing(Vec::new()));
        }
        let (places, missing) = self.find(nas, |id| bills.binary_search_by_key(&id, |kept| kept.bill.id).ok());
        (places.into_iter().map(|place| bills[place]).collect(), missing)
    }

    /// Where the bills stand that are asked for by id, in ascending order, each once.
    fn find(&self, nas: &str, place_of: impl Fn(BillId) -> Option<usize>) -> (Vec<usize>, Missing) {
        let (mut places, mut missing) = (Vec::new(), Vec::new());
        for id in &self.ids {
            let name = BillName::parse(id).filter(|name| name.nas == nas);
            match name.and_then(|name| place_of(name.id)) {
                Some(place) => places.push(place),
                None => missing.push(id.clone()),
            }
        }
        places.sort_unstable();
        places.dedup();
        (places, Missing(missing))
    }
}

/// Ids that no bill has.
pub(crate) struct Missing(Vec<String>);

impl Missing {
    /// A line for the operator, when there are any.
    pub(crate) fn words(&self) -> Option<String> {
        match &self.0[..] {
            [] => None,
            [id] => Some(format!("there is no bill {id}")),
            ids => Some(format!("there are no bills {}", ids.join(", "))),
        }
    }
}

impl Form {
    /// The form of bill files; `None`: for people.
    fn format(self) -> Option<Format> {
        match self {
            Form::List | Form::Show => None,
            Form::Detail => Some(Format::Detail),
            Form::Csv => Some(Format::Csv),
            Form::Json => Some(Format::Json),
        }
    }
}

/// Where a state directory's daemon is, and what of its configuration tells how its bills are to be read: what `bills`
/// needs when it has only the directory.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whereabouts {
    /// The control socket.
    control: PathBuf,
    /// The state directory itself: a copy is somewhere else.
    #[serde(default)]
    state_dir: Option<PathBuf>,
    /// The CF card.
    #[serde(default)]
    card_dir: Option<PathBuf>,
    /// The number of its engine start; 0: one of an earlier release.
    #[serde(default)]
    epoch: u32,
    /// The name that its store was given at its first start; empty: one of an earlier release.
    #[serde(default)]
    store: String,
    /// The sysname.
    nas: String,
    /// Whether given-up Stops are bills; otherwise they wait as unbilled ones.
    #[serde(default = "enabled")]
    pool_enabled: bool,
}

/// What is taken for true of a directory that does not say: then no bill is hidden.
fn enabled() -> bool {
    true
}

impl Whereabouts {
    /// Of a daemon that listens on `control`, has its store and its card there, is the engine start of this number on the store
    /// of this name, and has these settings in force.
    pub(crate) fn new(
        control: &Path,
        state_dir: &Path,
        card_dir: &Path,
        (store, epoch): (StoreId, u32),
        settings: &Settings,
    ) -> Whereabouts {
        Whereabouts {
            control: control.to_owned(),
            state_dir: std::fs::canonicalize(state_dir).ok(),
            epoch,
            store: name_of(store),
            card_dir: Some(std::path::absolute(card_dir).unwrap_or_else(|_| card_dir.to_owned())),
            nas: settings.sysname.clone(),
            pool_enabled: settings.local_aaa_server.pool_enabled,
        }
    }

    fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("daemon.json")
    }

    /// Writes it into the state directory.
    pub(crate) fn record(&self, state_dir: &Path) -> Outcome {
        let text = serde_json::to_vec(self).map_err(Failure::failed)?;
        kernel::file::replace_file(&Whereabouts::path(state_dir), &text, 0o600)
            .map_err(|error| Failure::failed(format!("cannot write to the state directory: {error}")))
    }

    fn read(state_dir: &Path) -> Option<Whereabouts> {
        serde_json::from_slice(&std::fs::read(Whereabouts::path(state_dir)).ok()?).ok()
    }

    /// Where the store's card is: where its daemon had it, whatever lies beside it. A copy may have its own beside it.
    fn card_dir(state_dir: &Path) -> PathBuf {
        let beside = CardDirectory::new(None, state_dir).path().to_owned();
        let Some(Whereabouts { state_dir: recorded, card_dir: Some(named), .. }) = Whereabouts::read(state_dir) else {
            return beside;
        };
        let is_a_copy = recorded.is_none() || recorded != std::fs::canonicalize(state_dir).ok();
        if is_a_copy && beside.exists() { beside } else { named }
    }

    /// Holds what the ledger knows of itself, its store's name and the number of its last engine start, against what was recorded
    /// beside it. The last engine start that was recorded.
    ///
    /// # Errors
    ///
    /// The ledger is empty, and it was not: were it begun anew, ids of sessions and bills would repeat. Or it is another store's.
    pub(crate) fn check(state_dir: &Path, store: Option<StoreId>, epoch_last: u32) -> Result<u32, Failure> {
        let Some(Whereabouts { epoch: recorded, store: name, .. }) = Whereabouts::read(state_dir) else { return Ok(0) };
        let (ledger, record) = (store::ledger_directory(state_dir), Whereabouts::path(state_dir));
        let (ledger, record) = (ledger.display(), record.display());
        match store {
            _ if epoch_last == 0 && recorded > 0 => Err(Failure::failed(format!(
                "the ledger in {ledger} is empty, but {recorded} engine starts were recorded in it: is its file system \
                 mounted? To begin anew, with ids that were given before, remove {record}"
            ))),
            Some(store) if !name.is_empty() && name_of(store) != name => Err(Failure::failed(format!(
                "the ledger in {ledger} is not the one whose {recorded} engine starts were recorded: is the right file system \
                 mounted? To go on with this one, remove {record}"
            ))),
            _ => Ok(recorded),
        }
    }

    /// Whether the store's given-up Stops are bills.
    fn is_pool_enabled(state_dir: &Path) -> bool {
        Whereabouts::read(state_dir).is_none_or(|whereabouts| whereabouts.pool_enabled)
    }
}

/// A store's name in text.
fn name_of(store: StoreId) -> String {
    format!("{:032x}", u128::from_be_bytes(store))
}

fn print(args: &StoreArgs, shape: &Shape) -> Outcome {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if !args.files.is_empty() {
        return files::print(args, shape, &mut out);
    }
    let state_dir = state_dir(args)?;
    match running(state_dir)? {
        Some(control) => ask(&control, shape, args.unbilled, &mut out),
        None => read(state_dir, shape, args.unbilled, &mut out),
    }
}

fn state_dir(args: &StoreArgs) -> Result<&Path, Failure> {
    args.state_dir.as_deref().ok_or_else(|| Failure::usage("give a state directory with --state-dir, or bill files"))
}

/// The control socket of the daemon that has this store, if one has.
fn running(state_dir: &Path) -> Result<Option<PathBuf>, Failure> {
    if !state_dir.is_dir() {
        return Err(Failure::failed(format!("there is no state directory {}", state_dir.display())));
    }
    // A copy, or a directory whose lock is somebody else's secret, is read as it is.
    match DirectoryLock::is_held(state_dir) {
        Ok(true) => {
            let whereabouts = Whereabouts::read(state_dir);
            let control = whereabouts.map(|whereabouts| whereabouts.control);
            control.map(Some).ok_or_else(|| Failure::failed("a daemon has this store, but is not ready yet: try again"))
        }
        Ok(false) | Err(_) => Ok(None),
    }
}

fn ask(control: &Path, shape: &Shape, unbilled: bool, out: &mut impl Write) -> Outcome {
    let mut client = Client::connect(control)?;
    client.say(&Saying::Bills { shape: shape.clone(), unbilled })?;
    loop {
        let reply = client.hear()?;
        if reply.error {
            return Err(Failure::failed(reply.text.trim_start_matches("Error: ").trim_end()));
        }
        write_out(out, &reply.text)?;
        if !reply.more {
            return Ok(());
        }
    }
}

fn read(state_dir: &Path, shape: &Shape, unbilled: bool, out: &mut impl Write) -> Outcome {
    let card_dir = Whereabouts::card_dir(state_dir);
    sync(&store::ledger_directory(state_dir));
    if card_dir.is_dir() {
        sync(&card_dir);
    }
    let mut read = store::recover(state_dir, complain, |_| false)?;
    let mut book = read.recovered.state.take_book();
    // How much room the pool has is the daemon's business: here every bill is shown.
    let pool_enabled = Whereabouts::is_pool_enabled(state_dir);
    let mut everything = LocalAaaServer { pool_enabled, ..LocalAaaServer::default() };
    everything.cache.capacity = u32::MAX;
    book.settings(&everything, 0);
    let bills =
        if unbilled { book.pool().unbilled().map(Kept::in_ledger).collect() } else { stored_bills(&book, &card_dir)? };
    let nas = Whereabouts::read(state_dir).map_or_else(|| "HUAWEI".to_owned(), |whereabouts| whereabouts.nas);
    let (bills, missing) = shape.choose(bills, &nas);
    let mut reader = BillReader::new(state_dir, &card_dir);
    let mut first = true;
    for chunk in bills.chunks(CHUNK) {
        write_out(out, &reader.text(chunk, &nas, shape, first)?)?;
        first = false;
    }
    match missing.words() {
        Some(words) => Err(Failure::failed(words)),
        None if first => write_out(out, &reader.text(&[], &nas, shape, true)?),
        None => Ok(()),
    }
}

/// A bill is shown only after its sync; a daemon that was killed may have left one without.
fn sync(segments: &Path) {
    if let Err(error) = sync_segments(segments) {
        complain(&format!("the newest bills may not have reached the disk: {error}"));
    }
}

/// Every bill of a store that lies still.
pub(crate) fn stored(state_dir: &Path) -> Result<Vec<Kept>, Failure> {
    let mut read = store::recover(state_dir, complain, |_| false)?;
    stored_bills(&read.recovered.state.take_book(), &Whereabouts::card_dir(state_dir))
}

/// The bills of a store that lies still: those in the pool, and those on the card that the ledger does not say are gone.
fn stored_bills(book: &BillBook, card_dir: &Path) -> Result<Vec<Kept>, Failure> {
    let mut bills: Vec<Kept> = book.pool().bills(0).map(Kept::in_ledger).collect();
    if card_dir.is_dir() {
        let cannot = |error: &dyn std::fmt::Display| Failure::failed(format!("cannot read the CF card: {error}"));
        let card = read_card(card_dir, complain).map_err(|error| cannot(&error))?.map_err(|error| cannot(&error))?;
        let is_gone = |bill: &BillRef| {
            let gone = book.departures().find(bill.id);
            gone.is_some_and(|way| way != (BillStore::Cache, Departure::Moved))
        };
        let there = card.bills().filter(|bill| !is_gone(bill));
        bills.extend(there.map(|bill| Kept { area: Area::Card, bill: *bill }));
    }
    // One whose move was cut off stands in both, and the pool's counts.
    bills.sort_by_key(|kept| kept.bill.id);
    bills.dedup_by_key(|kept| kept.bill.id);
    Ok(bills)
}

/// Reads bills from their places in the logs.
pub(crate) struct BillReader {
    ledger: PathBuf,
    card: PathBuf,
    open: Option<(Area, u64, LogFile)>,
    frame: Vec<u8>,
}

impl BillReader {
    pub(crate) fn new(state_dir: &Path, card: &Path) -> BillReader {
        let (ledger, card) = (store::ledger_directory(state_dir), card.to_owned());
        BillReader { ledger, card, open: None, frame: Vec::new() }
    }

    /// These bills as text; `first`: nothing was printed before them. `nas`: the sysname, for bills that do not say.
    pub(crate) fn text(&mut self, bills: &[Kept], nas: &str, shape: &Shape, first: bool) -> Result<String, Failure> {
        let mut printed = match (shape.form, shape.form.format()) {
            (_, Some(format)) => text::Printed::file(BillFile::new(format, nas), first),
            (Form::Show, None) => text::Printed::show(),
            (_, None) => text::Printed::list(first),
        };
        for kept in bills {
            printed.push(&Bill::new(nas, self.bill(kept)?));
        }
        Ok(printed.finish())
    }

    /// One bill as a line of JSON.
    pub(crate) fn json(&mut self, kept: &Kept) -> Result<String, Failure> {
        let shape = Shape { ids: Vec::new(), form: Form::Json };
        self.text(std::slice::from_ref(kept), "", &shape, true)
    }

    /// A bill, with what is known by now of its delivery.
    pub(crate) fn bill(&mut self, kept: &Kept) -> Result<record::Bill<'_>, Failure> {
        let (place, delivered) = (kept.bill.place, kept.bill.delivered);
        let cannot = |error| Failure::failed(format!("cannot read a bill: {error}"));
        let directory = match kept.area {
            Area::Ledger => &self.ledger,
            Area::Card => &self.card,
        };
        let file = match self.open.take() {
            Some((area, segment, file)) if (area, segment) == (kept.area, place.segment) => file,
            _ => LogFile::open_read_only(&segment_path(directory, place.segment)).map_err(cannot)?,
        };
        let file = &self.open.insert((kept.area, place.segment, file)).2;
        self.frame.resize(place.len.into(), 0);
        file.read_at(place.offset.into(), &mut self.frame).map_err(cannot)?;
        let damaged = || Failure::failed(format!("segment {} is damaged where a bill stands", place.segment));
        match place.record(&self.frame).map(frame::decode) {
            Some(Ok(Record::Billed(bill))) => Ok(record::Bill { delivered, ..bill }),
            _ => Err(damaged()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bills_are_chosen_by_their_whole_names() {
        let known = [3, 5, 9].map(|sequence| BillId { epoch: 7, sequence });
        for (ids, places, missing) in [
            (&["BNG1-7-5"][..], &[1][..], None),
            (&["BNG1-7-9", "BNG1-7-3", "BNG1-7-9"], &[0, 2], None),
            (&["BNG1-7-4"], &[], Some("there is no bill BNG1-7-4")),
            (&["BNG2-7-5", "BNG1-7-3", "5", "nonesuch"], &[0], Some("there are no bills BNG2-7-5, 5, nonesuch")),
        ] {
            let shape = Shape { ids: ids.iter().map(ToString::to_string).collect(), form: Form::Show };
            let (found, unknown) = shape.find("BNG1", |id| known.binary_search(&id).ok());
            assert_eq!(found, places, "{ids:?}");
            assert_eq!(unknown.words().as_deref(), missing, "{ids:?}");
        }
    }

    #[test]
    fn an_empty_ledger_is_a_first_start_only_when_there_was_none() {
        let directory = tempfile::tempdir().unwrap();
        let check = |store, epoch_last| Whereabouts::check(directory.path(), store, epoch_last).ok();
        assert_eq!(check(None, 0), Some(0));
        let (ours, other) = (Some([7; 16]), Some([8; 16]));
        for (epoch, empty, known, is_other) in [(0, Some(0), Some(0), None), (3, None, Some(3), None)] {
            let settings = Settings::default();
            let record =
                Whereabouts::new(Path::new("/c"), directory.path(), Path::new("/k"), ([7; 16], epoch), &settings);
            record.record(directory.path()).unwrap();
            assert_eq!([check(None, 0), check(ours, 0)], [empty; 2], "{epoch}");
            assert_eq!([check(ours, 2), check(ours, 3), check(other, 9)], [known, known, is_other], "{epoch}");
        }
        // An earlier release did not say which store it was.
        std::fs::write(directory.path().join("daemon.json"), "{\"control\":\"/c\",\"nas\":\"B\",\"epoch\":3}").unwrap();
        assert_eq!([check(None, 0), check(other, 2)], [None, Some(3)]);
    }

    #[test]
    fn a_card_that_was_named_is_read_whatever_lies_beside_the_store() {
        let scratch = tempfile::tempdir().unwrap();
        let [state, copy, bare, card] = ["state", "copy", "bare", "card"].map(|name| scratch.path().join(name));
        for made in [&state, &state.join("cfcard"), &copy, &copy.join("cfcard"), &bare] {
            std::fs::create_dir(made).unwrap();
        }
        let whereabouts = Whereabouts::new(Path::new("/c"), &state, &card, ([7; 16], 1), &Settings::default());
        for directory in [&state, &copy, &bare] {
            whereabouts.record(directory).unwrap();
        }
        let found = [&state, &copy, &bare].map(|directory| Whereabouts::card_dir(directory));
        assert_eq!(found, [card.clone(), copy.join("cfcard"), card]);
    }

    #[test]
    fn a_directory_of_an_earlier_release_hides_no_bill() {
        let directory = tempfile::tempdir().unwrap();
        let written = |text: &str| {
            std::fs::write(directory.path().join("daemon.json"), text).unwrap();
            Whereabouts::is_pool_enabled(directory.path())
        };
        assert!(Whereabouts::is_pool_enabled(directory.path()));
        assert!(written("{\"control\":\"/c\",\"nas\":\"BNG1\"}"));
        assert!(!written("{\"control\":\"/c\",\"nas\":\"BNG1\",\"pool_enabled\":false}"));
    }
}
