//! `tollgate bills`: list, show, verify, export. On a running store it asks the daemon; on a stopped one, or a copy, it
//! reads what recovery reads, and writes nothing.

mod files;
mod text;
pub(crate) mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use kernel::file::{DirectoryLock, LockError, LogFile};
use ledger::bill::{Bill, BillFile, Format};
use ledger::frame;
use ledger::pool::{BillRef, Pool, Taken};
use ledger::verify::StoreCheck;
use model::record::Record;
use model::settings::LocalAaaServer;

use serde::{Deserialize, Serialize};

use crate::args::{BillsAction, BillsArgs, FormatArg, StoreArgs};
use crate::cli::Client;
use crate::exit::{Failure, Outcome};
use crate::run::control::Saying;
use crate::run::store;

/// How bills are printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// A line each.
    List,
    /// A line for each field, of these bills or of all.
    Show(Vec<String>),
    /// As bill files hold them: `detail`, `csv` or `json`.
    File(String),
}

/// Bills that are made into text at once.
pub(crate) const CHUNK: usize = 500;

/// Runs the command.
pub(crate) fn bills(args: &BillsArgs) -> Outcome {
    match &args.action {
        BillsAction::List(store) => print(store, &Shape::List, false),
        BillsAction::Show { ids, store } => print(store, &Shape::Show(ids.clone()), false),
        BillsAction::Export { format, unbilled, store } => {
            let format = match format {
                FormatArg::Detail => Format::Detail,
                FormatArg::Csv => Format::Csv,
                FormatArg::Json => Format::Json,
            };
            print(store, &Shape::File(format.as_str().to_owned()), *unbilled)
        }
        BillsAction::Verify(store) => verify(store),
    }
}

/// Where a state directory's daemon is, and what its box is called: what `bills` needs when it has only the directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Whereabouts {
    /// The control socket.
    pub(crate) control: PathBuf,
    /// The sysname.
    pub(crate) nas: String,
}

impl Whereabouts {
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
}

fn print(args: &StoreArgs, shape: &Shape, unbilled: bool) -> Outcome {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if !args.files.is_empty() {
        return files::print(&args.files, shape, &mut out);
    }
    let state_dir = state_dir(args)?;
    match running(state_dir)? {
        Some(control) => ask(&control, shape, unbilled, &mut out),
        None => read(state_dir, shape, unbilled, &mut out),
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
    // A copy, or a directory that cannot be written to, is read as it is.
    match DirectoryLock::acquire(state_dir) {
        Err(LockError::HeldBy(_)) => {
            let whereabouts = Whereabouts::read(state_dir);
            let control = whereabouts.map(|whereabouts| whereabouts.control);
            control.map(Some).ok_or_else(|| Failure::failed("a daemon has this store, but is not ready yet: try again"))
        }
        Ok(_) | Err(LockError::Io(_)) => Ok(None),
    }
}

fn ask(control: &Path, shape: &Shape, unbilled: bool, out: &mut impl Write) -> Outcome {
    let mut client = Client::connect(control)?;
    client.say(&Saying::Bills { shape: shape.clone(), unbilled })?;
    loop {
        let reply = client.hear()?;
        if reply.error {
            return Err(Failure::failed(reply.text.trim_end()));
        }
        write_out(out, &reply.text)?;
        if !reply.more {
            return Ok(());
        }
    }
}

fn read(state_dir: &Path, shape: &Shape, unbilled: bool, out: &mut impl Write) -> Outcome {
    let (recovered, _) = store::recover(state_dir)?;
    // Whether the pool is enabled is the daemon's configuration: here every bill is shown, and none is unbilled.
    let mut everything = LocalAaaServer { pool_enabled: true, ..LocalAaaServer::default() };
    everything.cache.capacity = u32::MAX;
    let mut pool = Pool::new(&everything);
    for bill in recovered.state.bills() {
        let taken = pool.handle_durable(*bill);
        debug_assert!(!matches!(taken, Taken::Overflow(_)), "the pool has room for every bill");
    }
    let bills: Vec<BillRef> = if unbilled { Vec::new() } else { pool.bills(0).copied().collect() };
    let nas = Whereabouts::read(state_dir).map_or_else(|| "HUAWEI".to_owned(), |whereabouts| whereabouts.nas);
    let mut reader = BillReader::new(state_dir, nas);
    let mut first = true;
    for chunk in bills.chunks(CHUNK) {
        write_out(out, &reader.text(chunk, shape, first)?)?;
        first = false;
    }
    if first {
        write_out(out, &reader.text(&[], shape, true)?)?;
    }
    Ok(())
}

pub(crate) fn write_out(out: &mut impl Write, text: &str) -> Outcome {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // Whoever reads had enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::Said(crate::exit::FAILED)),
        Err(error) => Err(Failure::failed(format!("cannot write: {error}"))),
    }
}

/// Reads bills from their places in the log.
pub(crate) struct BillReader {
    ledger: PathBuf,
    nas: String,
    open: Option<(u64, LogFile)>,
    frame: Vec<u8>,
}

impl BillReader {
    pub(crate) fn new(state_dir: &Path, nas: String) -> BillReader {
        BillReader { ledger: store::ledger_directory(state_dir), nas, open: None, frame: Vec::new() }
    }

    /// These bills as text; `first`: nothing was printed before them.
    pub(crate) fn text(&mut self, bills: &[BillRef], shape: &Shape, first: bool) -> Result<String, Failure> {
        let nas = self.nas.clone();
        let mut printed = match shape {
            Shape::List => text::Printed::list(first),
            Shape::Show(ids) => text::Printed::show(ids),
            Shape::File(word) => {
                let format = Format::from_word(word).ok_or_else(|| Failure::usage("no such bill format"))?;
                text::Printed::file(BillFile::new(format, &nas), first)
            }
        };
        for bill in bills {
            let record = self.record(bill)?;
            let Ok(Record::Billed(record)) = frame::decode(record) else {
                return Err(Failure::failed(format!("no bill stands at its place in segment {}", bill.place.segment)));
            };
            printed.push(&Bill::new(&nas, record));
        }
        Ok(printed.finish())
    }

    /// The record of a bill, as it stands in the log.
    pub(crate) fn record(&mut self, bill: &BillRef) -> Result<&[u8], Failure> {
        let place = bill.place;
        let cannot = |error| Failure::failed(format!("cannot read a bill: {error}"));
        let file = match self.open.take() {
            Some((segment, file)) if segment == place.segment => file,
            _ => LogFile::open_read_only(&store::segment_path(&self.ledger, place.segment)).map_err(cannot)?,
        };
        let file = &self.open.insert((place.segment, file)).1;
        self.frame.resize(place.len.into(), 0);
        file.read_at(place.offset.into(), &mut self.frame).map_err(cannot)?;
        place
            .record(&self.frame)
            .ok_or_else(|| Failure::failed(format!("segment {} is damaged where a bill stands", place.segment)))
    }
}

/// Proves a store, or bill files, and says what is wrong.
#[expect(clippy::print_stdout, reason = "the answer of the command")]
fn verify(args: &StoreArgs) -> Outcome {
    if !args.files.is_empty() {
        return files::verify(&args.files);
    }
    let state_dir = state_dir(args)?;
    let mut check = StoreCheck::new();
    let mut octets = Vec::new();
    for (number, path) in store::segments(&store::ledger_directory(state_dir))? {
        store::read_whole(&path, &mut octets)?;
        check.segment(number, &octets);
    }
    let verdict = check.finish().map_err(|error| Failure::failed(format!("the store cannot be judged: {error}")))?;
    for finding in &verdict.report.findings {
        println!("{}", words::finding(finding));
    }
    for gap in &verdict.gaps {
        println!("{}", words::gap(gap));
    }
    println!(
        "{} segments, {} records, {} bills, {} octets in, {} octets out",
        verdict.report.segments,
        verdict.report.records,
        verdict.bills,
        verdict.octets.in_octets,
        verdict.octets.out_octets
    );
    if verdict.is_sound() {
        println!("the store is complete and undamaged");
        Ok(())
    } else {
        Err(Failure::failed("the store is damaged or incomplete"))
    }
}
