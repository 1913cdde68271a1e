//! What only the whole tree can tell: checked at `commit` and when a file has been read.

mod authorization;
mod hwtacacs;
mod relay;
mod secrets;
mod sources;

use std::fmt;
use std::net::IpAddr;

use model::record::BillStore;
use model::settings::{
    AccountingMode, AuthorizationPath, BUILT_IN_DOMAINS, CacheBackupMode, CfcardBackupMode, Domain, HostKeyPolicy,
    LocalAaaServer, ObjectName, RadiusGroup, ServerPath, Settings, SourcePlace,
};

use crate::command::Place;
pub use secrets::short_secrets;

/// Something that the tree as a whole is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The place that it is about.
    pub place: Place,
    /// What it is.
    pub problem: Problem,
}

/// What can be wrong with a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Neither the server nor its group has a secret. An error: no request could be signed.
    ServerWithoutSecret {
        /// The group.
        group: ObjectName,
        /// The server.
        server: Box<ServerPath>,
    },
    /// One server, and two groups that lead to it from different sources. An error: it is one object.
    ServerSourcesDiffer {
        /// The server, as the first group leads to it.
        server: Box<ServerPath>,
        /// The groups.
        groups: [ObjectName; 2],
    },
    /// The domain's scheme does not exist. An error.
    DomainSchemeMissing(ObjectName),
    /// The domain's group does not exist. An error.
    DomainGroupMissing(ObjectName),
    /// The domain's scheme reports to RADIUS, and the domain has no group. A warning.
    DomainWithoutGroup(ObjectName),
    /// The domain's copies go to the group that it reports to. An error: its server would have everything twice.
    DomainCopiesToItself(ObjectName),
    /// The domain's copies go to a group without an accounting server. A warning.
    DomainCopiesToNobody(ObjectName),
    /// The domain reports to a group without an accounting server. A warning.
    DomainGroupEmpty(ObjectName),
    /// Neither the accounting server nor its template has a key. An error: no request could be obfuscated.
    TemplateServerWithoutKey {
        /// The template.
        template: ObjectName,
        /// The server.
        server: Box<ServerPath>,
    },
    /// Two accounting servers of the template have one address. An error: where one fails the other does.
    TemplateServersAlike {
        /// The template.
        template: ObjectName,
        /// The server, as it comes first.
        server: Box<ServerPath>,
    },
    /// The domain's template does not exist. An error.
    DomainTemplateMissing(ObjectName),
    /// The domain's scheme reports to HWTACACS, and the domain has no template. A warning.
    DomainWithoutTemplate(ObjectName),
    /// The domain reports to a template without an accounting server. A warning.
    DomainTemplateEmpty(ObjectName),
    /// The domain reports to HWTACACS, which is disabled. A warning.
    DomainHwtacacsDisabled(ObjectName),
    /// As [`Problem::StopsUnprotected`], where the domain reports to HWTACACS. A warning (owner's decisions 2 and 9).
    HwtacacsStopsUnprotected(ObjectName),
    /// Neither the pool nor the resending is on: a Stop without an answer is abandoned. A warning (owner's decision 2).
    StopsUnprotected(ObjectName),
    /// The store's backup mode leads to a bill server, and there is none. An error.
    BackupWithoutServer {
        /// The store.
        store: BillStore,
        /// Its backup mode.
        mode: &'static str,
    },
    /// The store's backup mode is SFTP, and the bill server has no login. An error (BEHAVIOUR.md 11.14).
    BackupWithoutLogin(BillStore),
    /// The CF card is at its default, SFTP, and the bill server has no login: what is on the card stays there. A
    /// warning, for nobody chose the mode.
    CfcardKept,
    /// Bills go over SFTP, and no host key is known: every server is refused. A warning.
    HostKeyMissing,
    /// The authorization server's group does not exist. An error.
    AuthorizationGroupMissing(AuthorizationPath),
    /// Neither the authorization server nor its group has a secret. An error.
    AuthorizationWithoutSecret(AuthorizationPath),
    /// The authorization server speaks to one address of a port on which another may speak to any. An error: the one that
    /// listens to any hears all.
    AuthorizationHidden(AuthorizationPath),
    /// The relay client's domain does not exist. An error.
    RelayDomainMissing(IpAddr),
    /// The session source's domain does not exist. An error.
    SourceDomainMissing(SourcePlace),
    /// The session source's octets are counted in eBPF maps, and none is configured. An error.
    SourceWithoutMap(SourcePlace),
}

impl Problem {
    /// Whether the tree cannot be taken.
    pub fn is_error(&self) -> bool {
        match self {
            Problem::ServerWithoutSecret { .. }
            | Problem::ServerSourcesDiffer { .. }
            | Problem::DomainSchemeMissing(_)
            | Problem::DomainGroupMissing(_)
            | Problem::DomainCopiesToItself(_)
            | Problem::TemplateServerWithoutKey { .. }
            | Problem::TemplateServersAlike { .. }
            | Problem::DomainTemplateMissing(_)
            | Problem::BackupWithoutServer { .. }
            | Problem::BackupWithoutLogin(_)
            | Problem::AuthorizationGroupMissing(_)
            | Problem::AuthorizationWithoutSecret(_)
            | Problem::AuthorizationHidden(_)
            | Problem::RelayDomainMissing(_)
            | Problem::SourceDomainMissing(_)
            | Problem::SourceWithoutMap(_) => true,
            Problem::DomainCopiesToNobody(_)
            | Problem::DomainWithoutGroup(_)
            | Problem::DomainGroupEmpty(_)
            | Problem::DomainWithoutTemplate(_)
            | Problem::DomainTemplateEmpty(_)
            | Problem::DomainHwtacacsDisabled(_)
            | Problem::HwtacacsStopsUnprotected(_)
            | Problem::StopsUnprotected(_)
            | Problem::CfcardKept
            | Problem::HostKeyMissing => false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_error() { "Error: " } else { "Warning: " })?;
        match self {
            Problem::ServerWithoutSecret { group, server } => {
                write!(f, "Accounting server {server} of RADIUS server group {group} has no shared key.")
            }
            Problem::ServerSourcesDiffer { server, groups: [one, other] } => {
                let server = server.server();
                write!(
                    f,
                    "Accounting server {server} has one source in RADIUS server group {one} and another in {other}."
                )
            }
            Problem::DomainSchemeMissing(domain) => {
                write!(f, "The accounting scheme of domain {domain} does not exist.")
            }
            Problem::DomainGroupMissing(domain) => {
                write!(f, "The RADIUS server group of domain {domain} does not exist.")
            }
            Problem::DomainCopiesToItself(domain) => {
                write!(f, "Domain {domain} has its accounting copied to the RADIUS server group that it reports to.")
            }
            Problem::DomainCopiesToNobody(domain) => {
                write!(
                    f,
                    "The RADIUS server group that domain {domain} has its accounting copied to has no accounting server."
                )
            }
            Problem::DomainWithoutGroup(domain) => {
                write!(f, "Domain {domain} uses RADIUS accounting and has no RADIUS server group.")
            }
            Problem::DomainGroupEmpty(domain) => {
                write!(f, "The RADIUS server group of domain {domain} has no accounting server.")
            }
            Problem::TemplateServerWithoutKey { template, server } => {
                write!(f, "Accounting server {server} of HWTACACS server template {template} has no shared key.")
            }
            Problem::TemplateServersAlike { template, server } => {
                let (ip, vpn) = (server.address.ip(), server.vpn.map(|vpn| format!(" vpn-instance {vpn}")));
                let vpn = vpn.unwrap_or_default();
                write!(f, "Two accounting servers of HWTACACS server template {template} have the address {ip}{vpn}.")
            }
            Problem::DomainTemplateMissing(domain) => {
                write!(f, "The HWTACACS server template of domain {domain} does not exist.")
            }
            Problem::DomainWithoutTemplate(domain) => {
                write!(f, "Domain {domain} uses HWTACACS accounting and has no HWTACACS server template.")
            }
            Problem::DomainTemplateEmpty(domain) => {
                write!(f, "The HWTACACS server template of domain {domain} has no accounting server.")
            }
            Problem::DomainHwtacacsDisabled(domain) => {
                write!(f, "Domain {domain} uses HWTACACS accounting, and HWTACACS is disabled.")
            }
            Problem::HwtacacsStopsUnprotected(domain) => write!(
                f,
                "With the local bill pool disabled and hwtacacs-server accounting-stop-packet resend disabled, accounting \
                 of domain {domain} that no server acknowledges is abandoned."
            ),
            Problem::StopsUnprotected(group) => write!(
                f,
                "With the local bill pool disabled and accounting-stop-packet resend off in RADIUS server group \
                 {group}, accounting that no server acknowledges is abandoned."
            ),
            Problem::BackupWithoutServer { store, mode } => {
                write!(f, "local-bill {} backup-mode {mode} needs a bill server.", store.as_str())
            }
            Problem::BackupWithoutLogin(store) => write!(
                f,
                "local-bill {} backup-mode sftp needs the user name, password and port of the bill server.",
                store.as_str()
            ),
            Problem::AuthorizationGroupMissing(ip) => {
                write!(f, "The RADIUS server group of authorization server {ip} does not exist.")
            }
            Problem::AuthorizationWithoutSecret(ip) => write!(f, "Authorization server {ip} has no shared key."),
            Problem::AuthorizationHidden(ip) => write!(
                f,
                "The destination-ip of authorization server {ip} needs one at every other server of its port, too."
            ),
            Problem::RelayDomainMissing(ip) => write!(f, "The domain of relay client {ip} does not exist."),
            Problem::SourceDomainMissing(place) => write!(f, "The domain of session-source {place} does not exist."),
            Problem::SourceWithoutMap(place) => {
                write!(f, "session-source {place} is counted by counter-source ebpf, and there is no counter-map.")
            }
            Problem::CfcardKept => f.write_str(
                "Bills stay on the CF card: local-bill cfcard backup-mode sftp needs the user name, password and port \
                 of the bill server.",
            ),
            Problem::HostKeyMissing => {
                f.write_str("Without bill-server host-key no SFTP server is trusted, and bills are not transferred.")
            }
        }
    }
}

/// Everything that is wrong with `settings` as a whole, errors and warnings.
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut paths: Vec<(&ObjectName, ServerPath)> = Vec::new();
    for (name, group) in &settings.radius_groups {
        let place = Place::RadiusGroup(name.clone());
        let unsigned = group.accounting.iter().filter(|server| group.secret_of(server).is_none());
        findings.extend(unsigned.map(|server| Finding {
            place: place.clone(),
            problem: Problem::ServerWithoutSecret {
                group: name.clone(),
                server: Box::new(group.path_of(server).server()),
            },
        }));
        for path in group.accounting.iter().map(|server| group.path_of(server)) {
            let known = paths.iter().find(|(_, known)| known.is_same_server(&path));
            match known {
                Some((other, known)) if *known != path => findings.push(Finding {
                    place: place.clone(),
                    problem: Problem::ServerSourcesDiffer {
                        server: Box::new(*known),
                        groups: [(*other).clone(), name.clone()],
                    },
                }),
                Some(_) => {}
                None => paths.push((name, path)),
            }
        }
        if group.stop_resend == 0 && !settings.local_aaa_server.pool_enabled && is_used(settings, name) {
            findings.push(Finding { place, problem: Problem::StopsUnprotected(name.clone()) });
        }
    }
    for (name, domain) in &settings.domains {
        let problems = [check_domain(settings, name, domain), check_copy(settings, name, domain)];
        findings.extend(
            problems.into_iter().flatten().map(|problem| Finding { place: Place::Domain(name.clone()), problem }),
        );
    }
    findings.extend(hwtacacs::check(settings));
    findings.extend(authorization::check(settings).map(|problem| Finding { place: Place::System, problem }));
    findings.extend(relay::check(settings).map(|problem| Finding { place: Place::System, problem }));
    findings.extend(sources::check(settings).map(|problem| Finding { place: Place::System, problem }));
    let bills = check_bills(&settings.local_aaa_server).into_iter();
    findings.extend(bills.map(|problem| Finding { place: Place::LocalAaaServer, problem }));
    findings
}

/// Whether the backup modes can be obeyed. The CF card is at SFTP by default, so that mode alone demands nothing.
fn check_bills(server: &LocalAaaServer) -> Option<Problem> {
    let (cache, cfcard) = (server.cache.backup_mode, server.cfcard.backup_mode);
    let Some(bill_server) = &server.bill_server else {
        return match (cache, cfcard) {
            (CacheBackupMode::Tftp | CacheBackupMode::Sftp, _) => {
                Some(Problem::BackupWithoutServer { store: BillStore::Cache, mode: cache.as_str() })
            }
            (_, CfcardBackupMode::Tftp) => {
                Some(Problem::BackupWithoutServer { store: BillStore::Cfcard, mode: cfcard.as_str() })
            }
            (CacheBackupMode::Cfcard | CacheBackupMode::None, CfcardBackupMode::Sftp) => None,
        };
    };
    let over_sftp = cache == CacheBackupMode::Sftp || cfcard == CfcardBackupMode::Sftp;
    match &bill_server.login {
        None if cache == CacheBackupMode::Sftp => Some(Problem::BackupWithoutLogin(BillStore::Cache)),
        None => (server.pool_enabled && over_sftp).then_some(Problem::CfcardKept),
        Some(_) => (over_sftp && server.host_key == HostKeyPolicy::Refuse).then_some(Problem::HostKeyMissing),
    }
}

fn check_domain(settings: &Settings, name: &ObjectName, domain: &Domain) -> Option<Problem> {
    let scheme_name = ObjectName::from(domain.scheme_or_default(name.as_str()));
    let Some(scheme) = settings.schemes.get(&scheme_name) else {
        return Some(Problem::DomainSchemeMissing(name.clone()));
    };
    let Some(group) = &domain.radius_group else {
        let reports = scheme.mode_or_default(scheme_name.as_str()) == AccountingMode::Radius;
        return (reports && is_touched(name, domain)).then(|| Problem::DomainWithoutGroup(name.clone()));
    };
    match settings.radius_groups.get(group) {
        None => Some(Problem::DomainGroupMissing(name.clone())),
        Some(RadiusGroup { accounting, .. }) if accounting.is_empty() => Some(Problem::DomainGroupEmpty(name.clone())),
        Some(_) => None,
    }
}

fn check_copy(settings: &Settings, name: &ObjectName, domain: &Domain) -> Option<Problem> {
    let copy = domain.accounting_copy.as_ref()?;
    match settings.radius_groups.get(copy) {
        _ if domain.radius_group.as_ref() == Some(copy) => Some(Problem::DomainCopiesToItself(name.clone())),
        None => Some(Problem::DomainGroupMissing(name.clone())),
        Some(group) if group.accounting.is_empty() => Some(Problem::DomainCopiesToNobody(name.clone())),
        Some(_) => None,
    }
}

/// Whether Stops are reported to it that somebody would miss.
fn is_used(settings: &Settings, group: &ObjectName) -> bool {
    settings.domains.values().any(|domain| domain.radius_group.as_ref() == Some(group))
}

/// A built-in domain that nobody touched is no cause for a warning at every commit.
fn is_touched(name: &ObjectName, domain: &Domain) -> bool {
    let is_built_in = BUILT_IN_DOMAINS.iter().any(|built_in| built_in.eq_ignore_ascii_case(name.as_str()));
    domain.accounting_scheme.is_some() || !is_built_in
}
