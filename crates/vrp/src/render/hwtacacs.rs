//! `display hwtacacs-server` (BEHAVIOUR.md 6.2).

use model::report::{QueuedStop, ServerReport};
use model::settings::{HwtacacsRank, HwtacacsServer, HwtacacsTemplate, ObjectName, Settings, UserNameFormat};
use serde_json::{Value, json};

use super::Shown;
use super::radius::unit_of;
use super::table::{columns, labelled, two_per_row};
use crate::error::Refusal;

/// The templates, with the server of each that is asked now. One of which there is no report is assumed to be up. `verbose`:
/// with the counters of the accounting servers.
///
/// # Errors
/// [`Refusal::TemplateMissing`] when `template` is named and does not exist.
pub fn hwtacacs_server_template(
    settings: &Settings,
    template: Option<&ObjectName>,
    verbose: bool,
    reports: &[ServerReport],
) -> Result<Shown, Refusal> {
    let wanted = |name: &ObjectName| template.is_none_or(|template| template == name);
    let numbered = settings.hwtacacs.templates.iter().enumerate();
    let templates: Vec<_> = numbered.filter(|(_, (name, _))| wanted(name)).collect();
    if template.is_some() && templates.is_empty() {
        return Err(Refusal::TemplateMissing);
    }
    let text = templates.iter().map(|(id, (name, template))| {
        let counters = if verbose { counters_text(template, reports) } else { String::new() };
        labelled(&rows_of(*id, name, template, reports)) + &counters
    });
    let json = templates.iter().map(|(id, (name, template))| json_of(*id, name, template, reports));
    Ok(Shown { text: text.collect(), json: json.collect() })
}

/// Stops of HWTACACS templates that wait to be sent again. `stops` are those of `total` from the one numbered `first` on.
pub fn hwtacacs_queued_stops(stops: &[QueuedStop], first: u16, total: u64) -> Shown {
    let numbered = || (u64::from(first)..).zip(stops);
    let sent = |stop: &QueuedStop| u32::from(stop.resend_times) + 1;
    let rows: Vec<_> = numbered()
        .map(|(number, stop)| {
            let server = stop.server.map_or_else(|| "-".to_owned(), |server| server.ip().to_string());
            let template = stop.template.clone().unwrap_or_else(|| "-".to_owned());
            [number.to_string(), sent(stop).to_string(), server, template]
        })
        .collect();
    let titles = ["NO.", "SendTime", "IP Address", "Template"];
    let text = columns(titles, &rows, &format!("Whole accounting stop packet to resend:{total}"));
    let rows = numbered().map(|(number, stop)| {
        json!({
            "number": number,
            "sent": sent(stop),
            "server": stop.server.map(|server| server.to_string()),
            "template": stop.template,
            "closed": stop.closed.as_millis() / 1000,
            "session_time_s": stop.session_time_s,
            "user": stop.user,
        })
    });
    Shown { text, json: json!({ "total": total, "stops": rows.collect::<Vec<_>>() }) }
}

type Servers = [Option<HwtacacsServer>; HwtacacsRank::COUNT];

/// The vendor's rows, and two of ours behind them.
fn rows_of(
    id: usize,
    name: &ObjectName,
    template: &HwtacacsTemplate,
    reports: &[ServerReport],
) -> Vec<(&'static str, String)> {
    let primary = |servers: &Servers| place_of(servers[HwtacacsRank::Primary as usize].as_ref());
    // Nobody here asks the packet plane's servers whether they are up.
    let first = |servers: &Servers| place_of(servers.iter().flatten().next());
    let behind = |servers: &Servers| servers.iter().skip(1).flatten().count().to_string();
    let source = template.source.map_or_else(|| "-".to_owned(), |source| source.to_string());
    vec![
        ("Template Name", name.to_string()),
        ("Template ID", id.to_string()),
        ("Primary Authentication Server", primary(&template.authentication)),
        ("Primary Authorization Server", primary(&template.authorization)),
        ("Primary Accounting Server", primary(&template.accounting)),
        ("Primary Common Server", place_of(None)),
        ("Current Authentication Server", first(&template.authentication)),
        ("Current Authorization Server", first(&template.authorization)),
        ("Current Accounting Server", place_of(current(template, reports))),
        ("Source IP Address", source),
        ("Shared Key", if template.shared_key.is_some() { "******" } else { "-" }.to_owned()),
        ("Quiet-interval (min)", template.quiet_min.to_string()),
        ("Response-timeout-Interval (sec)", template.response_timeout_s.to_string()),
        ("Domain-included", domain_included(template.user_name).to_owned()),
        ("Secondary Authen Server Count", behind(&template.authentication)),
        ("Secondary Author Server Count", behind(&template.authorization)),
        ("Secondary Account Server Count", behind(&template.accounting)),
        ("Secondary Common Server Count", "0".to_owned()),
        ("Traffic-unit", unit_of(template.traffic_unit).to_owned()),
        ("Interim-watchdog-alone", if template.watchdog_alone { "Yes" } else { "No" }.to_owned()),
    ]
}

/// `ip-port:vpn`
fn place_of(server: Option<&HwtacacsServer>) -> String {
    let Some(server) = server else { return "0.0.0.0-0:-".to_owned() };
    let vpn = server.vpn.map_or_else(|| "-".to_owned(), |vpn| vpn.to_string());
    format!("{}-{}:{vpn}", server.address.ip(), server.address.port())
}

/// The first that is up; when none is the last one, for the last that remains counts as up.
fn current<'a>(template: &'a HwtacacsTemplate, reports: &[ServerReport]) -> Option<&'a HwtacacsServer> {
    let up = template.servers().find(|server| report_of(template, server, reports).is_none_or(|report| report.up));
    up.or_else(|| template.servers().last())
}

fn report_of<'a>(
    template: &HwtacacsTemplate,
    server: &HwtacacsServer,
    reports: &'a [ServerReport],
) -> Option<&'a ServerReport> {
    let path = template.path_of(server);
    reports.iter().find(|report| report.path == path)
}

fn domain_included(format: UserNameFormat) -> &'static str {
    match format {
        UserNameFormat::DomainIncluded => "Yes",
        UserNameFormat::Original => "Original",
        UserNameFormat::WithoutDomain => "No",
    }
}

fn counters_text(template: &HwtacacsTemplate, reports: &[ServerReport]) -> String {
    let reported = template.servers().filter_map(|server| report_of(template, server, reports));
    reported
        .map(|server| {
            let requests = server.starts + server.interims + server.stops;
            let rows = two_per_row(&[
                [("Account Requests", requests), ("Account Responses", server.responses)],
                [("Start Requests", server.starts), ("Realtime Requests", server.interims)],
                [("Stop Requests", server.stops), ("Timeouts", server.timeouts)],
                [("Refused Records", server.refusals), ("Pending Requests", server.pending)],
                [("Window", server.window), ("Mean Round Trip(us)", server.round_trip_ns / 1000)],
            ]);
            let state = if server.up { "UP" } else { "DOWN" };
            format!("Total hwtacacs server accounting packets of {} [{state}]:\n{rows}", server.path)
        })
        .collect()
}

fn json_of(id: usize, name: &ObjectName, template: &HwtacacsTemplate, reports: &[ServerReport]) -> Value {
    let configured = |rank: HwtacacsRank, server: &HwtacacsServer| {
        json!({
            "server": server.address.to_string(),
            "rank": rank.keyword().unwrap_or("primary"),
            "vpn": server.vpn.map(|vpn| vpn.to_string()),
            "own_shared_key": server.shared_key.is_some(),
            "mux_mode": server.mux_mode,
        })
    };
    let ranked = |servers: &Servers| -> Vec<Value> {
        let ranked = HwtacacsRank::ALL.into_iter().zip(servers);
        ranked.filter_map(|(rank, server)| server.as_ref().map(|server| configured(rank, server))).collect()
    };
    let mut accounting = ranked(&template.accounting);
    for (row, server) in accounting.iter_mut().zip(template.servers()) {
        let report = report_of(template, server, reports);
        row["up"] = json!(report.is_none_or(|report| report.up));
        row["counters"] = report.map_or(Value::Null, |report| {
            json!({
                "starts": report.starts,
                "interims": report.interims,
                "stops": report.stops,
                "responses": report.responses,
                "timeouts": report.timeouts,
                "refusals": report.refusals,
                "pending": report.pending,
                "round_trip_ns": report.round_trip_ns,
            })
        });
    }
    json!({
        "name": name.as_str(),
        "id": id,
        "authentication": ranked(&template.authentication),
        "authorization": ranked(&template.authorization),
        "accounting": accounting,
        "current": current(template, reports).map(|server| server.address.to_string()),
        "source": template.source.map(|source| source.to_string()),
        "shared_key": template.shared_key.is_some(),
        "quiet_min": template.quiet_min,
        "response_timeout_s": template.response_timeout_s,
        "user_name": template.user_name.as_str().to_ascii_lowercase(),
        "traffic_unit": template.traffic_unit.as_str(),
        "watchdog_alone": template.watchdog_alone,
    })
}

#[cfg(test)]
mod tests {
    use model::settings::{InterfaceName, Secret, ServerPath};
    use model::time::Wall;

    use super::*;

    fn server(address: &str) -> HwtacacsServer {
        HwtacacsServer { address: address.parse().unwrap(), vpn: None, shared_key: None, mux_mode: false }
    }

    fn settings() -> Settings {
        let mut template = HwtacacsTemplate {
            shared_key: Some(Secret::new(b"top".to_vec(), "%^%#top%^%#".to_owned())),
            ..HwtacacsTemplate::default()
        };
        template.accounting[0] = Some(HwtacacsServer { vpn: InterfaceName::new("red"), ..server("192.0.2.1:49") });
        template.accounting[2] = Some(HwtacacsServer { mux_mode: true, ..server("192.0.2.2:4949") });
        template.authentication[1] = Some(server("192.0.2.3:49"));
        let mut settings = Settings::default();
        settings.hwtacacs.templates.insert("ht".into(), template);
        settings
    }

    /// What is told of every accounting server of the template, in the order of their ranks.
    fn reports(up: [bool; 2]) -> Vec<ServerReport> {
        let settings = settings();
        let template = &settings.hwtacacs.templates[&"ht".into()];
        let report =
            |(server, up)| ServerReport { up, starts: 3, stops: 2, responses: 4, ..report(template.path_of(server)) };
        template.servers().zip(up).map(report).collect()
    }

    fn report(path: ServerPath) -> ServerReport {
        ServerReport { round_trip_ns: 1_500_000, ..ServerReport::new(path) }
    }

    #[test]
    fn a_template_has_the_vendors_labels() {
        let expected = "\
---------------------------------------------------------------------------
  Template Name                         : ht
  Template ID                           : 0
  Primary Authentication Server         : 0.0.0.0-0:-
  Primary Authorization Server          : 0.0.0.0-0:-
  Primary Accounting Server             : 192.0.2.1-49:red
  Primary Common Server                 : 0.0.0.0-0:-
  Current Authentication Server         : 192.0.2.3-49:-
  Current Authorization Server          : 0.0.0.0-0:-
  Current Accounting Server             : 192.0.2.1-49:red
  Source IP Address                     : -
  Shared Key                            : ******
  Quiet-interval (min)                  : 5
  Response-timeout-Interval (sec)       : 5
  Domain-included                       : Yes
  Secondary Authen Server Count         : 1
  Secondary Author Server Count         : 0
  Secondary Account Server Count        : 1
  Secondary Common Server Count         : 0
  Traffic-unit                          : B
  Interim-watchdog-alone                : No
---------------------------------------------------------------------------
";
        let shown = hwtacacs_server_template(&settings(), Some(&"HT".into()), false, &[]).unwrap();
        assert_eq!(shown.text, expected);
        assert_eq!(hwtacacs_server_template(&settings(), None, false, &[]).unwrap(), shown);
        let missing = hwtacacs_server_template(&settings(), Some(&"other".into()), false, &[]);
        assert_eq!(missing, Err(Refusal::TemplateMissing));
    }

    #[test]
    fn the_current_server_is_the_first_that_is_up_and_the_last_when_none_is() {
        for (up, current) in [
            ([true, true], "192.0.2.1:49"),
            ([false, true], "192.0.2.2:4949"),
            ([true, false], "192.0.2.1:49"),
            ([false, false], "192.0.2.2:4949"),
        ] {
            let shown = hwtacacs_server_template(&settings(), None, false, &reports(up)).unwrap();
            assert_eq!(shown.json[0]["current"], current, "{up:?}");
        }
    }

    #[test]
    fn verbose_has_the_counters_of_each_accounting_server() {
        let shown = hwtacacs_server_template(&settings(), None, true, &reports([false, true])).unwrap();
        for line in [
            "Total hwtacacs server accounting packets of 192.0.2.1:49 vpn-instance red [DOWN]:",
            "Total hwtacacs server accounting packets of 192.0.2.2:4949 [UP]:",
            "  Account Requests        : 5                     Account Responses       : 4",
            "  Refused Records         : 0                     Pending Requests        : 0",
            "  Window                  : 0                     Mean Round Trip(us)     : 1500",
        ] {
            assert!(shown.text.lines().any(|shown| shown == line), "{line}\n{}", shown.text);
        }
        assert_eq!(shown.json[0]["accounting"][1]["counters"]["stops"], 2);
        let brief = hwtacacs_server_template(&settings(), None, false, &reports([false, true])).unwrap();
        assert!(!brief.text.contains("Total hwtacacs"), "{}", brief.text);
    }

    #[test]
    fn queued_stops_have_the_vendors_columns_and_trailer() {
        let stop = |resend_times| QueuedStop {
            template: Some("ht".to_owned()),
            closed: Wall::from_millis(1_767_225_600_000),
            resend_times,
            session_time_s: 3_600,
            user: "alice@isp".to_owned(),
            server: Some("192.0.2.1:49".parse().unwrap()),
        };
        let expected = "\
---------------------------------------
  NO.  SendTime  IP Address  Template
---------------------------------------
  3    1         192.0.2.1   ht
  4    10        192.0.2.1   ht
---------------------------------------
  Whole accounting stop packet to resend:4
";
        let shown = hwtacacs_queued_stops(&[stop(0), stop(9)], 3, 4);
        assert_eq!(shown.text, expected);
        assert_eq!(shown.json["stops"][1]["number"], 4);
    }
}
