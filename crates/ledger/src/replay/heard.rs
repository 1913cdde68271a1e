//! How far each plane's rings have been heard.

use model::record::Heard;

/// The newest word of every shard on every ring. There are few: planes × rings × shards, for each memory and each number of
/// shards since the last compaction.
#[derive(Debug, Default)]
pub(super) struct HeardRings(Vec<HeardRing>);

#[derive(Debug)]
struct HeardRing {
    plane: Box<str>,
    plane_epoch: u64,
    ring: u16,
    through: u64,
    shard: u16,
    shard_count: u16,
}

impl HeardRing {
    fn heard(&self) -> Heard<'_> {
        let HeardRing { ref plane, plane_epoch, ring, through, shard, shard_count } = *self;
        Heard { plane, plane_epoch, ring, through, shard, shard_count }
    }
}

impl HeardRings {
    /// What was heard stays heard, so the furthest of one shard on one ring counts. Of another number of shards it is another
    /// statement, about other sessions, and both hold.
    pub(super) fn hear(&mut self, heard: &Heard<'_>) {
        let known = self.0.iter_mut().find(|known| Heard { through: heard.through, ..known.heard() } == *heard);
        match known {
            Some(known) => known.through = known.through.max(heard.through),
            None => self.0.push(HeardRing {
                plane: heard.plane.into(),
                plane_epoch: heard.plane_epoch,
                ring: heard.ring,
                through: heard.through,
                shard: heard.shard,
                shard_count: heard.shard_count,
            }),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Heard<'_>> {
        self.0.iter().map(HeardRing::heard)
    }
}
