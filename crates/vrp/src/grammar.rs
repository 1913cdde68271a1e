//! The declarations, a file per view. To add a command, add its declaration and its handler to one of them.
//!
//! The order is the order of the saved text: within a view, and among the sections of a view.

mod aaa;
mod announcement;
mod authentication;
mod authorization;
mod bill;
mod bill_action;
mod bill_server;
mod display;
mod domain;
mod hwtacacs;
mod hwtacacs_server;
mod hwtacacs_template;
mod limits;
mod packets;
mod queue;
mod radius;
mod recovery;
mod relay;
mod scheme;
mod servers;
mod sitting;
mod sources;
mod system;
pub(crate) mod terms;
#[cfg(test)]
mod tests;
mod user;
pub(crate) mod words;

use crate::command::{Command, View};

/// Every view but the user view: where configuration is typed.
const CONFIGURATION: &[View] = &[
    View::System,
    View::Aaa,
    View::Scheme,
    View::Domain,
    View::RadiusGroup,
    View::HwtacacsTemplate,
    View::LocalAaaServer,
];

/// Every command there is, in order of declaration.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    let views: [&[Command]; 25] = [
        sitting::COMMANDS,
        system::COMMANDS,
        limits::COMMANDS,
        recovery::COMMANDS,
        queue::COMMANDS,
        authorization::COMMANDS,
        relay::COMMANDS,
        sources::COMMANDS,
        hwtacacs::COMMANDS,
        aaa::COMMANDS,
        scheme::COMMANDS,
        domain::COMMANDS,
        authentication::COMMANDS,
        radius::COMMANDS,
        packets::COMMANDS,
        announcement::COMMANDS,
        terms::COMMANDS,
        hwtacacs_server::COMMANDS,
        hwtacacs_template::COMMANDS,
        bill::POOL,
        // The backup modes behind it ask for a bill server, when a file is read as well.
        bill_server::COMMANDS,
        bill::STORES,
        bill_action::COMMANDS,
        user::COMMANDS,
        display::COMMANDS,
    ];
    views.into_iter().flatten()
}
