//! A new configuration, taken whole. Sessions keep the contract that they took at log-in; groups and servers are
//! shared by name and by path, so requests that are out go on with the secret they were sent with, and from the socket; that of a
//! path that is left closes behind them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::settings::{
    AccountingMode, AccountingScheme, Domain, Hwtacacs, HwtacacsTemplate, ObjectName, RadiusGroup, ServerPath, Settings,
};

use super::Shard;
use crate::attributes::write_nas;
use crate::contract::Contract;
use crate::group::{Group, Member};
use crate::health::Rules;
use crate::pace::Pace;
use crate::server::{PortId, Server};

/// Connections of the box to one HWTACACS server at most, where it takes one request on each; every shard has its share.
pub const TACACS_CONNECTIONS: u16 = 64;

/// The least rest of a Stop that no HWTACACS server acknowledged (BEHAVIOUR.md 6.2).
const HWTACACS_PAUSE_MIN: Duration = Duration::from_secs(5);

/// The group of sessions whose domain names none; it has no servers.
pub(super) const NO_GROUP: u16 = 0;

impl Shard {
    /// Takes a configuration that was checked. Afterwards [`Shard::unbound_ports`] tells which sockets are missing.
    pub fn configure(&mut self, settings: &Settings) {
        self.sysname.clone_from(&settings.sysname);
        self.prefix = match &settings.session_id_prefix {
            Some(prefix) => prefix.clone(),
            None => settings.sysname.chars().filter(char::is_ascii).take(7).collect(),
        };
        self.sampling.set_interval(Duration::from_secs(settings.checkpoint_interval_s.into()));
        self.planes.set_grace(Duration::from_secs(settings.plane_link.grace_s.into()));
        self.health_rules = Rules::from(&settings.radius_health);
        if settings.radius_recovery.accounting.is_some() {
            self.health_rules = self.health_rules.with_probes();
        }
        self.configure_probes(settings);
        for server in self.servers.iter_mut().filter(|server| !server.path.transport.is_tacacs()) {
            server.set_rules(self.health_rules);
        }
        self.queue.set(&settings.radius_cache, self.birth.shard_count);
        self.brake.set(settings.cut_brake);
        self.configure_lookup(!settings.radius_authorization.servers.is_empty());
        for (name, group) in &settings.radius_groups {
            self.configure_group(name, group);
        }
        for (name, template) in &settings.hwtacacs.templates {
            self.configure_template(name, template, &settings.hwtacacs);
        }
        self.has_streams = self.servers.iter().any(Server::is_stream);
        if self.has_streams {
            // Each is made or closed once in a turn, or made after it was closed.
            self.stream_orders.reserve(2 * self.ports.len());
            self.calls_waiting.reserve(self.servers.len());
        }
        self.configure_limits(settings);
        self.configure_domains(settings);
        for group in &mut self.groups[1..] {
            let name = ObjectName::from(group.name.as_str());
            group.removed = match group.method {
                AccountingMode::Hwtacacs => !settings.hwtacacs.templates.contains_key(&name),
                AccountingMode::Radius | AccountingMode::None => !settings.radius_groups.contains_key(&name),
            };
        }
        self.forget_groups();
        self.rebind_announcements();
        self.members_changed();
    }

    /// Source ports that have no socket yet, with the server that each is for. A server that no group leads to any more
    /// needs none.
    pub fn unbound_ports(&self) -> impl Iterator<Item = (PortId, ServerPath)> {
        let unbound = self.servers.iter().filter(|server| server.is_wanted && server.source.is_none());
        unbound.flat_map(|server| server.port_ids().map(|port| (port, server.path)))
    }

    /// The sockets of this server's ports are bound, and its requests come from `source`.
    pub fn handle_bound(&mut self, server: ServerPath, source: IpAddr) {
        for known in self.servers.iter_mut().filter(|known| known.path == server) {
            known.source = Some(source);
            known.nas_attributes = write_nas(source);
        }
    }

    /// The sockets of this server's ports could not be bound: there is no such interface, or no such address.
    pub fn handle_not_bound(&mut self, server: ServerPath) {
        for known in self.servers.iter_mut().filter(|known| known.path == server) {
            known.counts.no_source_ip_blocks += 1;
        }
    }

    fn configure_group(&mut self, name: &ObjectName, settings: &RadiusGroup) {
        let mut members = Vec::with_capacity(settings.accounting.len());
        for server in &settings.accounting {
            // A server without a secret cannot be spoken to; the commit warned of it.
            let Some(secret) = settings.secret_of(server) else { continue };
            let index = self.server_index(settings.path_of(server), settings.source_ports);
            members.push(Member {
                server: index,
                secret: Arc::new(secret.clone()),
                message_authenticator: server.message_authenticator,
                weight: server.weight,
            });
        }
        let index = self.group_index(AccountingMode::Radius, name.as_str());
        let group = &mut self.groups[usize::from(index)];
        group.members = members;
        group.algorithm = settings.algorithm;
        group.strict = settings.strict;
        group.retransmit = settings.retransmit;
        group.timeout = Duration::from_secs(settings.timeout_s.into());
        group.send_force = settings.send_force;
        group.stop_resend = settings.stop_resend;
        group.start_resend = settings.start_resend;
        group.interim_resend = settings.interim_resend;
        group.accounting_on = settings.accounting_on;
    }

    /// A template is a group whose servers are asked in their order, once each (BEHAVIOUR.md section 6).
    fn configure_template(&mut self, name: &ObjectName, settings: &HwtacacsTemplate, all: &Hwtacacs) {
        let timeout = Duration::from_secs(settings.response_timeout_s.into());
        let mut members = Vec::new();
        for server in settings.servers().filter(|_| !all.is_disabled) {
            // A server without a key cannot be spoken to; the commit warned of it.
            let Some(key) = settings.key_of(server) else { continue };
            let index = self.server_index(settings.path_of(server), TACACS_CONNECTIONS);
            let known = &mut self.servers[usize::from(index)];
            known.set_rules(Rules::of_hwtacacs(settings.quiet_min));
            known.call_timeout = timeout;
            members.push(Member {
                server: index,
                secret: Arc::new(key.clone()),
                message_authenticator: false,
                weight: 0,
            });
        }
        let index = self.group_index(AccountingMode::Hwtacacs, name.as_str());
        let group = &mut self.groups[usize::from(index)];
        group.members = members;
        group.strict = true;
        group.retransmit = 1;
        group.timeout = timeout;
        group.pause = Some(timeout.max(HWTACACS_PAUSE_MIN));
        group.watchdog_alone = settings.watchdog_alone;
        let (stop_resend, stop_once) = (all.stop_resend.unwrap_or(0), all.stop_resend.is_none());
        let is_changed = (group.stop_resend, group.stop_once) != (stop_resend, stop_once);
        (group.stop_resend, group.stop_once) = (stop_resend, stop_once);
        if is_changed {
            self.stop_resend_changed(index);
        }
    }

    /// Each shard has its share of what the box may ask a server.
    fn configure_limits(&mut self, settings: &Settings) {
        let shards = self.birth.shard_count;
        for server in &mut self.servers {
            let limits = settings.limits_of(&server.path);
            let share = |count: u16| u32::from((count / shards).max(1));
            let pace = limits.speed.map(|limit| Pace::new(share(limit.count), limit.seconds.into()));
            server.set_limits(limits.pending.map(share), pace);
        }
    }

    /// The group of this kind and name, made without servers if there is none.
    pub(super) fn group_index(&mut self, method: AccountingMode, name: &str) -> u16 {
        let known = self.groups.iter().position(|group| group.is(method, name));
        let index = known.unwrap_or_else(|| {
            self.groups.push(Group::new(method, name.to_owned()));
            self.groups.len() - 1
        });
        u16::try_from(index).expect("a configuration has fewer than 65,536 groups")
    }

    fn server_index(&mut self, path: ServerPath, source_ports: u16) -> u16 {
        // Each shard has its share of the server's source ports, and at least one. They are made once: a changed
        // number takes effect for servers that are configured later.
        let share = usize::from(source_ports.div_ceil(self.birth.shard_count).max(1));
        let known = self.servers.iter().position(|server| server.path == path);
        let index = known.or_else(|| self.closed_path(&path, share)).unwrap_or_else(|| {
            self.servers.push(Server::new(path, self.health_rules));
            self.servers.len() - 1
        });
        if self.servers[index].path != path {
            self.servers[index].become_another(path, self.health_rules);
            self.journal.forget_server(number_of(index));
        }
        self.want_path(index);
        let number = number_of(index);
        while known.is_none() && self.servers[index].port_count() < share {
            let id = PortId(u32::try_from(self.ports.len()).expect("ports are counted with 32 bits"));
            let port = self.servers[index].add_port(id);
            self.ports.push((number, port));
        }
        number
    }

    fn configure_domains(&mut self, settings: &Settings) {
        let mut domains = BTreeMap::new();
        for (name, domain) in &settings.domains {
            let scheme_name = ObjectName::from(domain.scheme_or_default(name.as_str()));
            let default = AccountingScheme::default();
            let scheme = settings.schemes.get(&scheme_name).unwrap_or(&default).pinned(scheme_name.as_str());
            let reports_to = match scheme.mode {
                AccountingMode::None => None,
                AccountingMode::Radius => domain.radius_group.as_ref(),
                AccountingMode::Hwtacacs => domain.hwtacacs_template.as_ref(),
            };
            let group = reports_to.map_or(NO_GROUP, |group| self.group_index(scheme.mode, group.as_str()));
            let contract = Contract {
                scheme,
                terms: domain.terms(scheme.mode, settings),
                quota_out: domain.quota_out.action(),
                group,
                copy_group: self.copy_group_of(domain, scheme.mode),
                domain: name.clone(),
            };
            if let Some(number) = self.contracts.hold(contract) {
                domains.insert(name.as_str().to_ascii_lowercase(), number);
            }
        }
        let copied = domains.values().map(|&number| usize::from(self.contracts.get(number).copy_group));
        for group in copied.filter(|&group| group != usize::from(NO_GROUP)).collect::<Vec<_>>() {
            self.copies.reserve(self.table.capacity());
            self.groups[group].copies.reserve(self.table.capacity());
        }
        let old = std::mem::take(&mut self.domains);
        for (name, number) in domains {
            self.domains.insert(name.into_bytes().into_boxed_slice(), number);
        }
        for number in old.into_values() {
            self.contracts.release(number);
        }
    }

    /// The group that a domain's sessions are copied to; who is not accounted is not copied.
    fn copy_group_of(&mut self, domain: &Domain, mode: AccountingMode) -> u16 {
        match (&domain.accounting_copy, mode) {
            (Some(group), AccountingMode::Radius) => self.group_index(AccountingMode::Radius, group.as_str()),
            (None, _) | (_, AccountingMode::None | AccountingMode::Hwtacacs) => NO_GROUP,
        }
    }

    /// A group that is configured no more keeps its servers while a session reports to it, and loses them then.
    pub(super) fn forget_groups(&mut self) {
        let mut is_any = false;
        for (index, group) in self.groups.iter_mut().enumerate().filter(|(_, group)| group.removed) {
            #[expect(clippy::cast_possible_truncation, reason = "groups are numbered with 16 bits")]
            if !group.members.is_empty() && !self.contracts.names_group(index as u16) {
                group.members.clear();
                is_any = true;
            }
        }
        if is_any {
            self.members_changed();
        }
    }
}

fn number_of(server: usize) -> u16 {
    u16::try_from(server).expect("a configuration has fewer than 65,536 servers")
}
