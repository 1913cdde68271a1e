//! The hearts of the product, each by itself: criterion's benches with little patience, whose figures are rougher than those of
//! `cargo bench`.

use anyhow::Result;

use crate::bench::Bench;
use crate::criterion::{self, Figures};
use crate::table::{Figure, Row, Target};

/// What is measured in a group of a bench, and what it is held against there.
struct Heart {
    bench: &'static str,
    what: &'static str,
    /// As criterion names it.
    own: &'static str,
    floor: Option<&'static str>,
    peer: Peer,
    target: Option<Target>,
}

enum Peer {
    None,
    Named(&'static str),
    /// The best of those whose names begin so, without our own and the floor.
    Best(&'static str),
}

const fn heart(bench: &'static str, what: &'static str, own: &'static str) -> Heart {
    Heart { bench, what, own, floor: None, peer: Peer::None, target: None }
}

const HEARTS: [Heart; 13] = [
    Heart {
        peer: Peer::Best("wheel/insert/hierarchical"),
        target: Some(Target::PeerTakes(1.0)),
        ..heart("wheel", "wheel: insert, of 1,000,000 timers", "wheel/insert/wheel")
    },
    Heart {
        peer: Peer::Best("wheel/fire-and-rearm/hierarchical"),
        target: Some(Target::PeerTakes(1.0)),
        ..heart("wheel", "wheel: fire and re-arm", "wheel/fire-and-rearm/wheel, in runs")
    },
    Heart {
        peer: Peer::Best("wheel/cancel/hierarchical"),
        target: Some(Target::PeerTakes(1.0)),
        ..heart("wheel", "wheel: cancel", "wheel/cancel/wheel")
    },
    Heart {
        target: Some(Target::AtMost(60.0)),
        ..heart("radius", "encode an interim of 255 octets, without MD5", "radius/encode interim, 255 octets")
    },
    Heart {
        peer: Peer::Named("sign request/md-5 crate"),
        target: Some(Target::PeerTakes(4.0)),
        ..heart("radius", "sign a request, in batches of 64, against the md-5 crate", "sign request/batch of 64")
    },
    Heart {
        peer: Peer::Named("verify reply/md-5 crate"),
        target: Some(Target::PeerTakes(4.0)),
        ..heart("radius", "verify a reply, in batches of 64, against the md-5 crate", "verify reply/batch of 64")
    },
    Heart {
        peer: Peer::Best("ring/128/"),
        target: Some(Target::PeerTakes(1.0)),
        ..heart("ring", "ring between two cores, 128 octets", "ring/128/lanes")
    },
    Heart {
        peer: Peer::Best("ring/512/"),
        target: Some(Target::PeerTakes(1.0)),
        ..heart("ring", "ring between two cores, 512 octets", "ring/512/lanes")
    },
    Heart {
        floor: Some("durable/bare/64"),
        target: Some(Target::PartOfFloor(0.75)),
        ..heart("durable", "a durable record, in batches of 64", "durable/keeper/64")
    },
    Heart {
        floor: Some("durable/bare/1024"),
        target: Some(Target::PartOfFloor(0.75)),
        ..heart("durable", "a durable record, in batches of 1,024", "durable/keeper/1024")
    },
    Heart {
        peer: Peer::Named("durable/SQLite/64"),
        target: Some(Target::PeerTakes(2.0)),
        ..heart("durable", "a durable record against SQLite, in batches of 64", "durable/keeper/64")
    },
    Heart {
        peer: Peer::Named("durable/SQLite/1024"),
        target: Some(Target::PeerTakes(2.0)),
        ..heart("durable", "a durable record against SQLite, in batches of 1,024", "durable/keeper/1024")
    },
    Heart {
        floor: Some("ledger/restart/floor: read, check, index"),
        target: Some(Target::TimesFloor(1.5)),
        ..heart("ledger", "restart, each session", "ledger/restart/restart")
    },
];

/// # Errors
/// The benches do not run.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let figures = criterion::run(&bench.place, bench.scale, &benches())?;
    Ok(HEARTS.iter().map(|heart| heart.row(&figures)).collect())
}

/// # Errors
/// The benches do not compile.
pub(crate) fn build(bench: &Bench) -> Result<()> {
    criterion::build(&bench.place, &benches())
}

fn benches() -> Vec<&'static str> {
    let mut benches: Vec<_> = HEARTS.iter().map(|heart| heart.bench).filter(|name| criterion::exists(name)).collect();
    benches.sort_unstable();
    benches.dedup();
    benches
}

impl Heart {
    fn row(&self, figures: &Figures) -> Row {
        let Some(own) = figures.get(self.own) else {
            let why = if criterion::exists(self.bench) {
                format!("the bench `{}` has no `{}`", self.bench, self.own)
            } else {
                format!("no bench `{}`", self.bench)
            };
            return Row::not_yet("hearts", self.what, why);
        };
        let floor = self.floor.and_then(|name| figures.get(name));
        let peer = self.peer(figures);
        let lacks_peer = !matches!(self.peer, Peer::None) && peer.is_none();
        let beside = match peer {
            Some((name, _)) => name.to_owned(),
            None if lacks_peer => "no peer in that bench".to_owned(),
            None => String::new(),
        };
        let mut row = Row::measured("hearts", self.what, ns(*own)).beside(beside);
        row.floor = floor.map(|floor| ns(*floor));
        row.peer = peer.map(|(_, peer)| ns(peer));
        row.target = self.target;
        row
    }

    fn peer<'a>(&self, figures: &'a Figures) -> Option<(&'a str, f64)> {
        let others = figures.iter().filter(|(name, _)| **name != self.own && Some(name.as_str()) != self.floor);
        let found = match self.peer {
            Peer::None => None,
            Peer::Named(wanted) => figures.get_key_value(wanted),
            Peer::Best(prefix) => {
                others.filter(|(name, _)| name.starts_with(prefix)).min_by(|one, two| one.1.total_cmp(two.1))
            }
        };
        found.map(|(name, nanoseconds)| (name.as_str(), *nanoseconds))
    }
}

fn ns(value: f64) -> Figure {
    Figure { value, unit: "ns" }
}
