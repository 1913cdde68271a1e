//! The displays as text, in the vendor's lay-out where it is public, and as one JSON value each.
//!
//! Whoever has the rows calls one function here; none of them looks anything up. Integers beyond 2⁵³ are exact in
//! the JSON text. Times are printed in UTC; in JSON they are epoch seconds.

mod access_user;
mod attributes;
mod authorization;
mod bill;
mod bill_configuration;
mod commits;
mod domain;
mod health;
mod hwtacacs;
mod policy;
mod queue;
mod radius;
mod relay;
mod scheme;
mod sources;
mod story;
mod table;

pub use access_user::{access_user, access_users};
pub use authorization::authorization_packet;
pub use bill::{local_bill_cache, local_bill_information};
pub use commits::{commit_list, trial_status};
pub use health::{Health, accounting_health, accounting_lateness, accounting_phase};
pub use hwtacacs::{hwtacacs_queued_stops, hwtacacs_server_template};
pub use policy::accounting_policy;
pub use queue::{queued_stops, radius_server_backlog};
pub use radius::{radius_server_configuration, radius_server_packet};
pub use relay::relay;
pub use sources::session_sources;
pub use story::accounting_session;

use model::settings::Settings;
use serde_json::{Value, json};

use crate::command::{OwnDisplay, Place};
use crate::error::Refusal;
use crate::listing;
use crate::secret;

/// One display in both dresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Lines, each with its end; empty when there is nothing to show.
    pub text: String,
    /// The same for a program.
    pub json: Value,
}

/// A display that the settings alone answer. All of them show what is in force but those of the candidate. Stored secrets stand
/// in a configuration only when it `shows_ciphers`.
pub(crate) fn own(
    display: &OwnDisplay,
    running: &Settings,
    candidate: &Settings,
    place: &Place,
    shows_ciphers: bool,
) -> Result<Shown, Refusal> {
    let configuration = |text: String| configuration(if shows_ciphers { text } else { secret::masked(&text) });
    Ok(match display {
        OwnDisplay::CurrentConfiguration => configuration(listing::whole(running)),
        OwnDisplay::This => configuration(listing::one(running, place)),
        OwnDisplay::CandidateOnly => configuration(listing::additions(running, candidate)),
        OwnDisplay::CandidateChanges => configuration(listing::changes(running, candidate)),
        OwnDisplay::CandidateMerge => configuration(listing::whole(candidate)),
        OwnDisplay::LocalBillConfiguration => bill_configuration::local_bill_configuration(&running.local_aaa_server),
        OwnDisplay::Authorization => authorization::configuration(&running.radius_authorization),
        OwnDisplay::AuthenticationPackets => return Err(Refusal::AuthenticationElsewhere),
        OwnDisplay::RadiusAttributes { group, packet } => {
            attributes::sent(running.radius_groups.get(group).ok_or(Refusal::GroupMissing)?, *packet)
        }
        OwnDisplay::Schemes => scheme::list(running),
        OwnDisplay::Scheme(name) => {
            let (name, found) = running.schemes.get_key_value(name).ok_or(Refusal::SchemeMissing)?;
            scheme::detail(name, found)
        }
        OwnDisplay::Domains => domain::list(running),
        OwnDisplay::Domain(name) => {
            let (name, found) = running.domains.get_key_value(name).ok_or(Refusal::DomainMissing)?;
            domain::detail(name, found)
        }
        OwnDisplay::Version => version(),
    })
}

fn configuration(text: String) -> Shown {
    let lines: Vec<&str> = text.lines().collect();
    let json = json!({ "configuration": lines });
    Shown { text, json }
}

fn version() -> Shown {
    let version = env!("CARGO_PKG_VERSION");
    Shown { text: format!("Tollgate {version}\n"), json: json!({ "product": "Tollgate", "version": version }) }
}
