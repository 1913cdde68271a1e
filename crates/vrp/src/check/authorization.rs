//! What only the whole tree can tell of authorization servers.

use std::net::IpAddr;

use model::settings::{AuthorizationServer, Settings};

use super::Problem;

/// The first thing that is wrong with each server.
pub(super) fn check(settings: &Settings) -> impl Iterator<Item = Problem> {
    settings.radius_authorization.servers.iter().filter_map(|(&ip, server)| check_server(settings, ip, server))
}

fn check_server(settings: &Settings, ip: IpAddr, server: &AuthorizationServer) -> Option<Problem> {
    if server.server_group.as_ref().is_some_and(|group| !settings.radius_groups.contains_key(group)) {
        return Some(Problem::AuthorizationGroupMissing(ip));
    }
    if settings.authorization_secret(ip, server).is_none() {
        return Some(Problem::AuthorizationWithoutSecret(ip));
    }
    // Who listens to any address of a port takes what is meant for one.
    let port = server.destination(ip).port();
    let takes_all = |(other, known): (&IpAddr, &AuthorizationServer)| {
        let of_port = known.destination(*other);
        known.destination_ip.is_none() && of_port.port() == port && of_port.is_ipv4() == ip.is_ipv4()
    };
    let is_hidden = server.destination_ip.is_some() && settings.radius_authorization.servers.iter().any(takes_all);
    is_hidden.then_some(Problem::AuthorizationHidden(ip))
}
