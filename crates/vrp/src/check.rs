//! What only the whole tree can tell: checked at `commit` and when a file has been read.

use std::fmt;
use std::net::SocketAddr;

use model::settings::{AccountingMode, Domain, ObjectName, RadiusGroup, Settings};

use crate::command::Place;

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
        server: SocketAddr,
    },
    /// The domain's scheme does not exist. An error.
    DomainSchemeMissing(ObjectName),
    /// The domain's group does not exist. An error.
    DomainGroupMissing(ObjectName),
    /// The domain's scheme reports to RADIUS, and the domain has no group. A warning.
    DomainWithoutGroup(ObjectName),
    /// The domain reports to a group without an accounting server. A warning.
    DomainGroupEmpty(ObjectName),
    /// Neither the pool nor the resending is on: a Stop without an answer is abandoned. A warning (owner's decision 2).
    StopsUnprotected(ObjectName),
}

impl Problem {
    /// Whether the tree cannot be taken.
    pub fn is_error(&self) -> bool {
        match self {
            Problem::ServerWithoutSecret { .. } | Problem::DomainSchemeMissing(_) | Problem::DomainGroupMissing(_) => {
                true
            }
            Problem::DomainWithoutGroup(_) | Problem::DomainGroupEmpty(_) | Problem::StopsUnprotected(_) => false,
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
            Problem::DomainSchemeMissing(domain) => {
                write!(f, "The accounting scheme of domain {domain} does not exist.")
            }
            Problem::DomainGroupMissing(domain) => {
                write!(f, "The RADIUS server group of domain {domain} does not exist.")
            }
            Problem::DomainWithoutGroup(domain) => {
                write!(f, "Domain {domain} uses RADIUS accounting and has no RADIUS server group.")
            }
            Problem::DomainGroupEmpty(domain) => {
                write!(f, "The RADIUS server group of domain {domain} has no accounting server.")
            }
            Problem::StopsUnprotected(group) => write!(
                f,
                "With the local bill pool disabled and accounting-stop-packet resend off in RADIUS server group \
                 {group}, accounting that no server acknowledges is abandoned."
            ),
        }
    }
}

/// Everything that is wrong with `settings` as a whole, errors and warnings.
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, group) in &settings.radius_groups {
        let place = Place::RadiusGroup(name.clone());
        let unsigned = group.accounting.iter().filter(|server| group.secret_of(server).is_none());
        findings.extend(unsigned.map(|server| Finding {
            place: place.clone(),
            problem: Problem::ServerWithoutSecret { group: name.clone(), server: server.address },
        }));
        if group.stop_resend == 0 && !settings.local_aaa_server.pool_enabled && is_used(settings, name) {
            findings.push(Finding { place, problem: Problem::StopsUnprotected(name.clone()) });
        }
    }
    for (name, domain) in &settings.domains {
        let problem = check_domain(settings, name, domain);
        findings.extend(problem.map(|problem| Finding { place: Place::Domain(name.clone()), problem }));
    }
    findings
}

fn check_domain(settings: &Settings, name: &ObjectName, domain: &Domain) -> Option<Problem> {
    let scheme_name = ObjectName::from(domain.scheme_or_default(name.as_str()));
    let Some(scheme) = settings.schemes.get(&scheme_name) else {
        return Some(Problem::DomainSchemeMissing(name.clone()));
    };
    let Some(group) = &domain.radius_group else {
        // A built-in domain that nobody touched is no cause for a warning at every commit.
        let reports = scheme.mode_or_default(scheme_name.as_str()) == AccountingMode::Radius;
        let touched = domain.accounting_scheme.is_some() || !is_built_in(name);
        return (reports && touched).then(|| Problem::DomainWithoutGroup(name.clone()));
    };
    match settings.radius_groups.get(group) {
        None => Some(Problem::DomainGroupMissing(name.clone())),
        Some(RadiusGroup { accounting, .. }) if accounting.is_empty() => Some(Problem::DomainGroupEmpty(name.clone())),
        Some(_) => None,
    }
}

fn is_used(settings: &Settings, group: &ObjectName) -> bool {
    settings.domains.values().any(|domain| domain.radius_group.as_ref() == Some(group))
}

fn is_built_in(domain: &ObjectName) -> bool {
    model::settings::BUILT_IN_DOMAINS.iter().any(|name| name.eq_ignore_ascii_case(domain.as_str()))
}
