//! What only the whole tree can tell of HWTACACS.

use model::settings::{AccountingMode, Domain, HwtacacsServer, HwtacacsTemplate, ObjectName, Settings};

use super::{Finding, Problem, is_touched};
use crate::command::Place;

pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, template) in &settings.hwtacacs.templates {
        let place = Place::HwtacacsTemplate(name.clone());
        findings.extend(
            check_template(name, template).into_iter().map(|problem| Finding { place: place.clone(), problem }),
        );
    }
    for (name, domain) in &settings.domains {
        let place = Place::Domain(name.clone());
        findings.extend(check_domain(settings, name, domain).map(|problem| Finding { place, problem }));
    }
    findings
}

fn check_template(name: &ObjectName, template: &HwtacacsTemplate) -> Vec<Problem> {
    let servers: Vec<&HwtacacsServer> = template.servers().collect();
    let mut problems = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let path = || Box::new(template.path_of(server).server());
        if template.key_of(server).is_none() {
            problems.push(Problem::TemplateServerWithoutKey { template: name.clone(), server: path() });
        }
        let is_alike = |other: &&HwtacacsServer| server.address.ip() == other.address.ip() && server.vpn == other.vpn;
        if servers[index + 1..].iter().any(is_alike) {
            problems.push(Problem::TemplateServersAlike { template: name.clone(), server: path() });
        }
    }
    problems
}

fn check_domain(settings: &Settings, name: &ObjectName, domain: &Domain) -> Option<Problem> {
    let scheme_name = ObjectName::from(domain.scheme_or_default(name.as_str()));
    let mode = settings.schemes.get(&scheme_name)?.mode_or_default(scheme_name.as_str());
    let template = domain.hwtacacs_template.as_ref().map(|template| settings.hwtacacs.templates.get(template));
    let (hwtacacs, pool_enabled) = (&settings.hwtacacs, settings.local_aaa_server.pool_enabled);
    match template {
        Some(None) => Some(Problem::DomainTemplateMissing(name.clone())),
        _ if mode != AccountingMode::Hwtacacs => None,
        None => is_touched(name, domain).then(|| Problem::DomainWithoutTemplate(name.clone())),
        Some(Some(template)) if template.servers().next().is_none() => Some(Problem::DomainTemplateEmpty(name.clone())),
        Some(Some(_)) if hwtacacs.is_disabled => Some(Problem::DomainHwtacacsDisabled(name.clone())),
        Some(Some(_)) => {
            (hwtacacs.stop_resend.is_none() && !pool_enabled).then(|| Problem::HwtacacsStopsUnprotected(name.clone()))
        }
    }
}
