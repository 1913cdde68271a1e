//! What planes are turned away for, told by its name.

use std::collections::BTreeMap;

use model::time::Mono;

use super::super::now_and_then::NowAndThen;

/// How often each reason was met, and when it was last told. Reasons are words of our own, so there are few.
#[derive(Default)]
pub(super) struct TurnedAway(BTreeMap<&'static str, NowAndThen>);

impl TurnedAway {
    /// One more; `plane` is empty when it did not come to say its name.
    pub(super) fn note(&mut self, plane: &str, why: &'static str, now: Mono) {
        if let Some(count) = self.0.entry(why).or_default().note(now) {
            tracing::warn!(plane, count, "the packet plane was refused: {why}");
        }
    }
}
