//! Which file speaks for which session, and what has come of a look at the files.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::time::Wall;
use serde_json::{Map, Value};

use crate::run::sources::source_plane::is_about_the_line;
use crate::script::Told;

/// What a file says.
pub(super) struct Content {
    pub(super) session: String,
    pub(super) said: Map<String, Value>,
    pub(super) at: Option<Wall>,
    pub(super) counted: Option<Told>,
    pub(super) cause: u8,
}

/// A session that files name.
pub(super) struct Claim {
    /// Which one speaks for it.
    pub(super) file: String,
    /// Those that wait until it has gone.
    pub(super) others: BTreeSet<String>,
    /// It could not be told of.
    pub(super) failed: bool,
    /// What the session was brought up with, until that is judged.
    pub(super) asked: Option<Map<String, Value>>,
    /// The session is over by a verdict, and stays so while this is what is said of the subscriber.
    pub(super) over: Option<Map<String, Value>>,
}

/// What files have come to say in one look.
#[derive(Default)]
pub(super) struct News {
    /// Files that were read, in the order of their names.
    pub(super) read: BTreeSet<String>,
    /// Sessions that something is to be said of.
    pub(super) touched: BTreeSet<String>,
    /// Sessions that no file names any more, with their causes.
    pub(super) ended: BTreeMap<String, u8>,
}

impl Content {
    /// What it says of the subscriber, which says nothing of what was counted.
    pub(super) fn subscriber(&self) -> Map<String, Value> {
        let is_of_it = |key: &str| !is_about_the_line(key) && !is_counter(key);
        self.said.iter().filter(|(key, _)| is_of_it(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Claim {
    pub(super) fn of(file: &str) -> Claim {
        Claim { file: file.to_owned(), others: BTreeSet::new(), failed: false, asked: None, over: None }
    }
}

impl News {
    /// A file names this session now.
    pub(super) fn claim(&mut self, claims: &mut HashMap<String, Claim>, session: &str, file: &str) {
        self.ended.remove(session);
        self.touched.insert(session.to_owned());
        let claim = claims.entry(session.to_owned()).or_insert_with(|| Claim::of(file));
        if claim.file != file {
            claim.others.insert(file.to_owned());
        }
    }

    /// A file does not name this session any more. Gives back who speaks for it instead.
    pub(super) fn release(
        &mut self,
        claims: &mut HashMap<String, Claim>,
        content: &Content,
        file: &str,
    ) -> Option<String> {
        let claim = claims.get_mut(&content.session)?;
        if claim.file != file {
            claim.others.remove(file);
            return None;
        }
        let Some(next) = claim.others.pop_first() else {
            claims.remove(&content.session);
            self.touched.remove(&content.session);
            self.ended.insert(content.session.clone(), content.cause);
            return None;
        };
        claim.file.clone_from(&next);
        self.touched.insert(content.session.clone());
        Some(next)
    }
}

fn is_counter(key: &str) -> bool {
    key.ends_with("_octets") || key.ends_with("_packets")
}
