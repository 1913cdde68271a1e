//! What only the whole tree can tell of authorization servers.

use model::settings::{AuthorizationPath, AuthorizationServer, Settings};

use super::Problem;

/// The first thing that is wrong with each server.
pub(super) fn check(settings: &Settings) -> impl Iterator<Item = Problem> {
    settings.radius_authorization.servers.iter().filter_map(|(&path, server)| check_server(settings, path, server))
}

fn check_server(settings: &Settings, path: AuthorizationPath, server: &AuthorizationServer) -> Option<Problem> {
    if server.server_group.as_ref().is_some_and(|group| !settings.radius_groups.contains_key(group)) {
        return Some(Problem::AuthorizationGroupMissing(path));
    }
    if settings.authorization_secret(path, server).is_none() {
        return Some(Problem::AuthorizationWithoutSecret(path));
    }
    // In one VRF, who listens to any address of a port takes what is meant for one.
    let port = server.destination(path.ip).port();
    let takes_all = |(other, known): (&AuthorizationPath, &AuthorizationServer)| {
        let of_port = known.destination(other.ip);
        let is_beside = other.vpn == path.vpn && of_port.is_ipv4() == path.ip.is_ipv4();
        known.destination_ip.is_none() && of_port.port() == port && is_beside
    };
    let is_hidden = server.destination_ip.is_some() && settings.radius_authorization.servers.iter().any(takes_all);
    is_hidden.then_some(Problem::AuthorizationHidden(path))
}
