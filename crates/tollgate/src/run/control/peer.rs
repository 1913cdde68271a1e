//! Who is at the other end of the control socket, and what that user may do (BEHAVIOUR.md 2.4).
//!
//! The kernel says which user connected. The superuser and whoever the daemon runs as may do everything. Others get in when
//! they belong to a group that is configured, with the highest level that one of their groups has; without such a group the
//! socket is its owner's only, in the file system as well.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;

use model::settings::ShellLevel;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use tokio::net::unix::UCred;

/// Somebody at the control socket.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    /// The user's name, or number where it has none.
    pub(crate) user: String,
    pub(crate) uid: u32,
    pub(crate) pid: i32,
    pub(crate) level: ShellLevel,
}

impl Operator {
    /// Whether this user may do everything whatever is configured: the superuser, and whoever the daemon runs as.
    pub(crate) fn is_owner(uid: u32) -> bool {
        let uid = Uid::from_raw(uid);
        uid.is_root() || uid == Uid::effective()
    }

    /// Who `peer` is; `None`: somebody who may not come in. It may ask the system's user database and take its time.
    pub(crate) fn identify(peer: &UCred, groups: &BTreeMap<String, ShellLevel>) -> Option<Operator> {
        let uid = Uid::from_raw(peer.uid());
        let known = User::from_uid(uid).ok().flatten();
        let level = if Operator::is_owner(peer.uid()) {
            ShellLevel::Management
        } else {
            let belongs = known.as_ref().map(gids_of).unwrap_or_default();
            level_of(groups, |group| {
                let gid = Group::from_name(group).ok().flatten().map(|group| group.gid);
                gid.is_some_and(|gid| belongs.contains(&gid) || gid.as_raw() == peer.gid())
            })?
        };
        let user = known.map_or_else(|| uid.to_string(), |known| known.name);
        Some(Operator { user, uid: uid.as_raw(), pid: peer.pid().unwrap_or_default(), level })
    }
}

/// Lets nobody but the owner knock at the socket, or anybody: then the daemon asks who it is.
pub(crate) fn guard(socket: &Path, groups: &BTreeMap<String, ShellLevel>) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if groups.is_empty() { 0o600 } else { 0o666 };
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(mode))
}

fn gids_of(user: &User) -> Vec<Gid> {
    CString::new(user.name.as_str()).ok().and_then(|name| getgrouplist(&name, user.gid).ok()).unwrap_or_default()
}

fn level_of(groups: &BTreeMap<String, ShellLevel>, belongs: impl Fn(&str) -> bool) -> Option<ShellLevel> {
    groups.iter().filter(|(group, _)| belongs(group)).map(|(_, level)| *level).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_level_of_ones_groups_counts() {
        let groups = BTreeMap::from([
            ("noc".to_owned(), ShellLevel::Monitoring),
            ("ops".to_owned(), ShellLevel::Configuration),
            ("root".to_owned(), ShellLevel::Management),
        ]);
        assert_eq!(level_of(&groups, |group| group != "root"), Some(ShellLevel::Configuration));
        assert_eq!(level_of(&groups, |_| false), None);
    }
}
