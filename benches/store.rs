//! What benches of the ledger begin with: a record, and a store that nothing was written to.

use ledger::frame;
use ledger::keeper::KeeperStart;
use ledger::log::LogBounds;
use ledger::recover::{Life, Recovery};
use ledger::replay::Replay;
use model::counters::{CounterSlot, Counters};
use model::domain::{Allowance, Terms};
use model::ids::SessionSerial;
use model::record::{Opened, Record, TakenOver};
use model::settings::{LocalAaaServer, PinnedScheme};
use model::time::Now;

/// The boot of the box that a new store begins in.
pub const BOOT_ID: [u8; 16] = [9; 16];

/// A life that begins at `at` in a store that was empty.
pub const fn new_life(at: Now) -> Life {
    Life { boot_id: BOOT_ID, at, fresh_store: [1; 16], fresh_key: [2; 16] }
}

/// What a keeper of one source, without a card, begins with in an empty store.
pub fn new_store(bounds: LogBounds, at: Now) -> KeeperStart {
    let (mut recovered, start) = Recovery::new(Replay::new()).finish().expect("nothing is wrong with nothing");
    let (log, started) = start.begin(new_life(at), bounds);
    KeeperStart {
        new_boot: None,
        log,
        started,
        book: recovered.state.take_book(),
        segments: Vec::new(),
        damaged: Vec::new(),
        sources: 1,
        settings: LocalAaaServer::default(),
        nas: String::new(),
        card: None,
    }
}

/// A record of exactly so many octets: a session came up.
pub fn record(len: usize) -> Vec<u8> {
    let came_up = |attributes| Record::Opened(opened(1, b"session", attributes));
    let attributes = vec![0x5A; len - frame::encoded_len(&came_up(b""))];
    let mut octets = vec![0; len];
    assert_eq!(frame::encode(&came_up(&attributes), &mut octets), Ok(len));
    octets
}

/// A session that came up: the `sequence`th of the first start.
pub fn opened<'a>(sequence: u64, session: &'a [u8], attributes: &'a [u8]) -> Opened<'a> {
    Opened {
        serial: SessionSerial { epoch: 1, sequence },
        taken_over: TakenOver { plane_epoch: 1, ring: 0, position: sequence },
        plane: "vpp0",
        session,
        domain: "isp",
        group: "g1",
        scheme: PinnedScheme::default(),
        interim_s: 600,
        terms: Terms::default(),
        allowance: Allowance::default(),
        session_timeout_s: 0,
        at: Now::default(),
        counters: CounterSlot::default(),
        baseline: Counters::ZERO,
        attributes,
    }
}
