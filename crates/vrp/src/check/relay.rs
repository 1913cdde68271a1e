//! What only the whole tree can tell of relay clients.

use model::settings::Settings;

use super::Problem;

/// The first thing that is wrong with each client.
pub(super) fn check(settings: &Settings) -> impl Iterator<Item = Problem> {
    settings.relay.clients.iter().filter_map(|(&ip, client)| {
        let domain = client.domain.as_ref()?;
        (!settings.domains.contains_key(domain)).then_some(Problem::RelayDomainMissing(ip))
    })
}
