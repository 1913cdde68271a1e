//! `display domain` (BEHAVIOUR.md section 4).

use model::domain::{DualStack, QuotaOut};
use model::settings::{Domain, ObjectName, Settings};
use serde_json::{Value, json};

use super::Shown;
use super::table::{columns, labelled, total};
use crate::grammar::terms::{delay_words, quota_out_words};

/// One domain.
pub(super) fn detail(name: &ObjectName, domain: &Domain) -> Shown {
    let group = domain.radius_group.as_ref().map_or("-", ObjectName::as_str);
    let template = domain.hwtacacs_template.as_ref().map(ObjectName::as_str);
    let copy = domain.accounting_copy.as_ref().map(ObjectName::as_str);
    let delay = domain.start_delay.map(delay_words);
    let text = labelled(&[
        ("Domain-name", name.to_string()),
        ("Accounting-scheme-name", domain.scheme_or_default(name.as_str()).to_owned()),
        ("RADIUS-server-template", group.to_owned()),
        ("Two-acct-template", copy.unwrap_or("-").to_owned()),
        ("HWTACACS-server-template", template.unwrap_or("-").to_owned()),
        ("Flow-Statistic-Up", yes(domain.flow_statistic.up)),
        ("Flow-Statistic-Down", yes(domain.flow_statistic.down)),
        ("Quota-out", label_of(&domain.quota_out).to_owned()),
        // The vendor's example has no row for the rest.
        ("Quota-out-redirect-url", url_of(&domain.quota_out).unwrap_or("-").to_owned()),
        ("Accounting-dual-stack", dual_stack(domain.dual_stack).to_owned()),
        ("Accounting-start-delay", delay.clone().unwrap_or_else(|| "-".to_owned())),
        ("Accounting-start-ipv4-immediately", yes(domain.ipv4_starts)),
    ]);
    let json = json!({
        "name": name.as_str(),
        "accounting_scheme": domain.scheme_or_default(name.as_str()),
        "radius_group": domain.radius_group.as_ref().map(ObjectName::as_str),
        "accounting_copy": copy,
        "hwtacacs_template": template,
        "flow_statistic_up": domain.flow_statistic.up,
        "flow_statistic_down": domain.flow_statistic.down,
        "quota_out": quota_out_words(&domain.quota_out),
        "dual_stack": dual_stack(domain.dual_stack).to_ascii_lowercase(),
        "start_delay": delay,
        "start_ipv4_immediately": domain.ipv4_starts,
    });
    Shown { text, json }
}

/// All domains.
pub(super) fn list(settings: &Settings) -> Shown {
    let row = |(name, domain): (&ObjectName, &Domain)| {
        let group = domain.radius_group.as_ref().map_or("-", ObjectName::as_str);
        [name.to_string(), domain.scheme_or_default(name.as_str()).to_owned(), group.to_owned()]
    };
    let rows: Vec<_> = settings.domains.iter().map(row).collect();
    let titles = ["Domain-name", "Accounting-scheme-name", "RADIUS-server-template"];
    let text = columns(titles, &rows, &total(rows.len(), rows.len()));
    let json = settings.domains.iter().map(|(name, domain)| detail(name, domain).json).collect::<Vec<Value>>().into();
    Shown { text, json }
}

fn yes(is_so: bool) -> String {
    if is_so { "Yes" } else { "No" }.to_owned()
}

fn label_of(quota_out: &QuotaOut) -> &'static str {
    match quota_out {
        QuotaOut::Offline => "Offline",
        QuotaOut::Online => "Online",
        QuotaOut::Redirect { stop_accounting: false, .. } => "Redirect",
        QuotaOut::Redirect { stop_accounting: true, .. } => "Redirect(stop-accounting)",
        QuotaOut::SendRealtimeAccounting => "Send-realtime-accounting",
    }
}

fn url_of(quota_out: &QuotaOut) -> Option<&str> {
    match quota_out {
        QuotaOut::Redirect { url, .. } => Some(url),
        QuotaOut::Offline | QuotaOut::Online | QuotaOut::SendRealtimeAccounting => None,
    }
}

fn dual_stack(dual_stack: DualStack) -> &'static str {
    match dual_stack {
        DualStack::Separate => "Separate",
        DualStack::Identical => "Identical",
    }
}

#[cfg(test)]
mod tests {
    use model::domain::{FlowStatistic, StartDelay, UserTypes};
    use model::event::Access;

    use super::*;

    #[test]
    fn a_domain_is_shown_whole() {
        let domain = Domain {
            radius_group: Some("g1".into()),
            accounting_copy: Some("g2".into()),
            hwtacacs_template: Some("ht".into()),
            flow_statistic: FlowStatistic { up: true, down: false },
            dual_stack: DualStack::Identical,
            quota_out: QuotaOut::Redirect { url: "http://pay.example/".to_owned(), stop_accounting: true },
            start_delay: Some(StartDelay {
                seconds: 10,
                offline: true,
                user_types: UserTypes::NONE.with(Access::Ipoe).with(Access::Static),
            }),
            ..Domain::default()
        };
        let expected = "\
---------------------------------------------------------------------------
  Domain-name                           : isp
  Accounting-scheme-name                : default1
  RADIUS-server-template                : g1
  Two-acct-template                     : g2
  HWTACACS-server-template              : ht
  Flow-Statistic-Up                     : Yes
  Flow-Statistic-Down                   : No
  Quota-out                             : Redirect(stop-accounting)
  Quota-out-redirect-url                : http://pay.example/
  Accounting-dual-stack                 : Identical
  Accounting-start-delay                : 10 offline user-type ipoe static
  Accounting-start-ipv4-immediately     : No
---------------------------------------------------------------------------
";
        let shown = detail(&"isp".into(), &domain);
        assert_eq!(shown.text, expected);
        assert_eq!(shown.json["quota_out"], "redirect url http://pay.example/ redirect-stop-accounting");
    }

    #[test]
    fn the_list_has_the_built_in_domains() {
        let shown = list(&Settings::default());
        assert!(shown.text.contains("  default0       default0                -\n"), "{}", shown.text);
        assert_eq!(shown.json[0]["quota_out"], "offline");
        assert!(shown.text.ends_with("  Total 3,3 printed\n"));
    }
}
