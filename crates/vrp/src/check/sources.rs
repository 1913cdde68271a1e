//! What only the whole tree can tell of session sources.

use model::settings::{CountedBy, CounterMaps, SessionSource, Settings, SourcePlace};

use super::Problem;

/// The first thing that is wrong with each source.
pub(super) fn check(settings: &Settings) -> impl Iterator<Item = Problem> {
    settings.session_sources.iter().filter_map(|(place, source)| check_source(settings, place, source))
}

fn check_source(settings: &Settings, place: &SourcePlace, source: &SessionSource) -> Option<Problem> {
    if source.domain.as_ref().is_some_and(|domain| !settings.domains.contains_key(domain)) {
        return Some(Problem::SourceDomainMissing(place.clone()));
    }
    let is_by_map = settings.counters_of(place, source).from == CountedBy::Ebpf;
    let has_map = settings.counter_maps != CounterMaps::default();
    (is_by_map && !has_map).then(|| Problem::SourceWithoutMap(place.clone()))
}
