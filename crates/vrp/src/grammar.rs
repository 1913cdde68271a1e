//! The declarations, a file per view. To add a command, add its declaration and its handler to one of them.
//!
//! The order is the order of the saved text: within a view, and among the sections of a view.

mod aaa;
mod bill;
mod display;
mod domain;
mod radius;
mod scheme;
mod sitting;
mod system;
#[cfg(test)]
mod tests;
pub(crate) mod words;

use crate::command::{Command, View};

/// Every view but the user view: where configuration is typed.
const CONFIGURATION: &[View] =
    &[View::System, View::Aaa, View::Scheme, View::Domain, View::RadiusGroup, View::LocalAaaServer];

/// Every command there is, in order of declaration.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    let views: [&[Command]; 8] = [
        sitting::COMMANDS,
        system::COMMANDS,
        aaa::COMMANDS,
        scheme::COMMANDS,
        domain::COMMANDS,
        radius::COMMANDS,
        bill::COMMANDS,
        display::COMMANDS,
    ];
    views.into_iter().flatten()
}
