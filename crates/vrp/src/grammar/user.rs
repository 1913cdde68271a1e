//! Commands on users that are online. They are obeyed at once, are no configuration and are never saved.

use model::report::UserSelector;

use crate::command::{Action, ActionRequest, Command, Operate, Operation, Stored, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[Command {
    views: &[View::User, View::System],
    level: 3,
    section: "2.2",
    formats: &["cut access-user { user-id id:USERID | username user:STRING<1-253> | ip-address ip:X.X.X.X \
                | ipv6-address ip:X:X::X:X | session-id session:STRING<1-44> }"],
    undo: None,
    help: &[
        ("cut", "Log users out"),
        ("access-user", "Users that are online"),
        ("user-id", "The user with this id"),
        ("id", "Its id, as display access-user shows it"),
        ("username", "All users of this name"),
        ("user", "Name of the user, with its domain where it has one"),
        ("ip-address", "All users with this IPv4 address"),
        ("ipv6-address", "All users with this IPv6 address, or a prefix that it lies in"),
        ("ip", "Address of the user"),
        ("session-id", "The user with this Acct-Session-Id"),
        ("session", "The Acct-Session-Id"),
    ],
    action: Action::Operate(cut),
    stored: Stored::Never,
}];

fn cut(_: &Operate<'_>, words: &Words) -> Result<Operation, Refusal> {
    let selector = if let Some(user) = words.text_if("user") {
        UserSelector::UserName(user.to_owned())
    } else if let Some(session) = words.text_if("session") {
        UserSelector::SessionId(session.to_owned())
    } else if let Some(ip) = words.address_if("ip") {
        UserSelector::Address(ip)
    } else {
        UserSelector::UserId(words.user_id("id"))
    };
    Ok(Operation::Do(ActionRequest::CutAccessUser(selector)))
}
