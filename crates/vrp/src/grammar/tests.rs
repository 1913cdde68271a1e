//! Tests that are read off the declarations, so that a new command is tested as soon as it is declared.

use std::net::IpAddr;
use std::sync::Arc;

use model::settings::{
    AuthorizationPath, AuthorizationServer, BillServer, BillServerLogin, CounterMap, HwtacacsRank, HwtacacsServer,
    HwtacacsTemplate, InterfaceName, MapValues, RadiusGroup, RadiusServer, RelayClient, Settings, ShellLevel,
};

use super::commands;
use crate::command::{Action, Command, Place, Stored, View};
use crate::error::{Fault, Misstep, Refusal};
use crate::matching::{self, FORMS, Form};
use crate::secret::{SealError, Sealer};
use crate::shell::{Answer, Context, Shell};
use crate::syntax::{self, Leaf, Node};
use crate::value::Kind;
use crate::{Finding, Problem, check, config};

struct World;

impl Sealer for World {
    fn open(&self, stored: &str) -> Result<Vec<u8>, SealError> {
        let inside = &stored[4..stored.len() - 4];
        if inside.is_empty() { Err(SealError) } else { Ok(inside.bytes().rev().collect()) }
    }

    fn seal(&self, secret: &[u8]) -> String {
        let turned: String = secret.iter().rev().map(|octet| char::from(*octet)).collect();
        format!("%^%#{turned}%^%#")
    }
}

impl Context for World {
    fn sealer(&self) -> &dyn Sealer {
        self
    }

    fn bill_count(&self) -> u64 {
        0
    }

    fn queued_count(&self) -> u64 {
        0
    }
}

/// Settings in which the objects that the samples name exist, and all bills that can be asked for have a place.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.schemes.entry("x1".into()).or_default();
    settings.domains.entry("x1".into()).or_default();
    let server = |address: &str| RadiusServer::new(address.parse().unwrap());
    let group = RadiusGroup {
        accounting: [1, 65_535].map(|port| server(&format!("192.0.2.1:{port}"))).to_vec(),
        ..RadiusGroup::default()
    };
    settings.radius_groups.insert("x1".into(), group);
    let group = settings.radius_groups.get_mut(&"x1".into()).unwrap();
    group.accounting.extend([1, 65_535].map(|port| server(&format!("[2001:db8::1]:{port}"))));
    let in_vrf = |server: &RadiusServer| RadiusServer { vpn: InterfaceName::new("x1"), ..server.clone() };
    group.accounting.extend(group.accounting.iter().map(in_vrf).collect::<Vec<_>>());
    group.authentication.clone_from(&group.accounting);
    let mut template = HwtacacsTemplate::default();
    let server = |address: &str| HwtacacsServer {
        address: address.parse().unwrap(),
        vpn: None,
        shared_key: None,
        mux_mode: false,
    };
    for servers in [&mut template.authentication, &mut template.authorization, &mut template.accounting] {
        servers[HwtacacsRank::Primary as usize] = Some(server("192.0.2.91:49"));
        servers[HwtacacsRank::Fourth as usize] = Some(server("192.0.2.94:49"));
    }
    settings.hwtacacs.templates.insert("x1".into(), template);
    let password = crate::secret::read("k", None, &World).unwrap();
    for address in ["192.0.2.1", "2001:db8::1"] {
        settings.relay.clients.insert(address.parse().unwrap(), RelayClient::new(password.clone()));
        let server = AuthorizationServer { shared_key: Some(password.clone()), ..AuthorizationServer::default() };
        let ip: IpAddr = address.parse().unwrap();
        for vpn in [None, InterfaceName::new("x1")] {
            settings.radius_authorization.servers.insert(AuthorizationPath { ip, vpn }, server.clone());
        }
    }
    settings.local_aaa_server.bill_server = Some(BillServer {
        address: "192.0.2.9".parse().unwrap(),
        file_name: "x1".to_owned(),
        login: Some(BillServerLogin { user: "x1".to_owned(), password, port: 22 }),
    });
    settings.local_aaa_server.cache.capacity = 16_000_000;
    settings.counter_maps.v4 = Some(CounterMap { path: "x1".to_owned(), values: MapValues::default() });
    settings
}

fn place(view: View) -> Vec<&'static str> {
    match view {
        View::User => vec![],
        View::System => vec!["system-view"],
        View::Aaa => vec!["system-view", "aaa"],
        View::Scheme => vec!["system-view", "aaa", "accounting-scheme x1"],
        View::Domain => vec!["system-view", "aaa", "domain x1"],
        View::RadiusGroup => vec!["system-view", "radius-server group x1"],
        View::HwtacacsTemplate => vec!["system-view", "hwtacacs-server template x1"],
        View::LocalAaaServer => vec!["system-view", "local-aaa-server"],
    }
}

fn sitting(view: View) -> Shell {
    let mut shell = Shell::new(Arc::new(settings()), ShellLevel::Management);
    for line in place(view) {
        shell.execute(line, &World);
    }
    assert_eq!(shell.place().view(), view);
    shell
}

/// Words that fill an argument: the ends of its range.
fn fillings(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Integer { min, max } => vec![min.to_string(), max.to_string()],
        Kind::Text { max, .. } | Kind::Path { max, .. } => vec!["a".to_owned(), "a".repeat(max as usize)],
        Kind::Label { max, .. } => vec!["a".to_owned(), "a".repeat(max as usize)],
        Kind::Line { max, .. } => vec!["a b  c".to_owned(), "a".repeat(max as usize)],
        Kind::Name { .. } => vec!["x1".to_owned()],
        Kind::Stem { max, .. } => vec!["x1".to_owned(), "a".repeat(max as usize)],
        Kind::Interface => vec!["x1".to_owned()],
        Kind::Fingerprint => vec![format!("SHA256:{}", "A".repeat(43))],
        Kind::Secret { max, .. } => vec!["k".to_owned(), "k".repeat(max as usize), "%^%#yek%^%#".to_owned()],
        Kind::UserId => vec!["0-0".to_owned(), format!("{}-{}", u32::MAX, u64::MAX)],
        Kind::Ipv4 => vec!["192.0.2.1".to_owned()],
        Kind::Ipv6 => vec!["2001:db8::1".to_owned()],
    }
}

/// Lines that the node admits: every choice, every option, every order of at most three members of a set.
fn samples(node: &Node) -> Vec<String> {
    match node {
        Node::Word(word) => vec![(*word).to_owned()],
        Node::Argument(argument) => fillings(argument.kind),
        Node::Sequence(nodes) => nodes.iter().map(samples).reduce(|left, right| product(&left, &right)).unwrap(),
        Node::Choice(nodes) => nodes.iter().flat_map(samples).collect(),
        Node::Optional(node) => [vec![String::new()], samples(node)].concat(),
        Node::AnyOrder { items, required } => {
            let mut found = if *required { vec![] } else { vec![String::new()] };
            let one = |item: &Node| samples(item).swap_remove(0);
            found.extend(items.iter().flat_map(samples));
            found.push(items.iter().map(one).collect::<Vec<_>>().join(" "));
            found.push(items.iter().rev().map(one).collect::<Vec<_>>().join(" "));
            found
        }
    }
}

fn product(left: &[String], right: &[String]) -> Vec<String> {
    let join = |one: &String, other: &String| format!("{one} {other}").trim().to_owned();
    left.iter().flat_map(|one| right.iter().map(move |other| join(one, other))).collect()
}

fn every_form() -> impl Iterator<Item = (View, &'static Form)> {
    FORMS.iter().flat_map(|form| form.command.views.iter().map(move |view| (*view, form)))
}

#[test]
fn every_line_that_a_declaration_admits_reaches_its_own_command() {
    for (view, form) in every_form() {
        for line in samples(&form.node) {
            let matched = matching::parse(view, &line, |_| true).unwrap_or_else(|error| panic!("{line}: {error:?}"));
            assert!(std::ptr::eq(matched.command, form.command), "{line} in {view:?} is another command");
            assert_eq!(matched.negated, form.negated, "{line}");
        }
    }
}

#[test]
fn every_line_that_a_declaration_admits_is_obeyed_and_survives_the_file() {
    for (view, form) in every_form() {
        for line in samples(&form.node) {
            let mut shell = sitting(view);
            match shell.execute(&line, &World) {
                Answer::Error(error) => {
                    let known = [
                        // The fixture has two servers of four that can be named.
                        Refusal::TemplateServerMissing,
                        Refusal::PlaneCounts,
                        Refusal::DialectUnavailable,
                        Refusal::ClassAsCarUnavailable,
                        Refusal::AuthenticationElsewhere,
                        // Two of its ends do not go together.
                        Refusal::LowerLimitTooHigh,
                        Refusal::SourceFamily,
                        // The fixture has none.
                        Refusal::SourceMissing,
                    ];
                    let refused = |refusal: &Refusal| known.contains(refusal);
                    assert!(matches!(&error.fault, Fault::Refusal(r) if refused(r)), "{line}: {error:?}");
                }
                _ => {
                    let may_ask = ["save", "local-bill cfcard reset", "shutdown accounting", "rollback"]
                        .iter()
                        .any(|asking| line.starts_with(asking));
                    assert!(!shell.is_asking() || may_ask, "{line} asks");
                }
            }
            assert!(!(form.command.displays() && shell.uncommitted()), "{line}");
            // What was not changed has been through the file with other lines.
            if !shell.uncommitted() {
                continue;
            }
            let mut candidate = shell.candidate().clone();
            let key = crate::secret::read("k", None, &World).unwrap();
            for group in candidate.radius_groups.values_mut() {
                group.shared_key.get_or_insert(key.clone());
            }
            for template in candidate.hwtacacs.templates.values_mut() {
                template.shared_key.get_or_insert(key.clone());
            }
            assert_eq!(config::read(&config::write(&candidate), &World).as_ref(), Ok(&candidate), "{line}");
        }
    }
}

#[test]
fn one_beyond_each_end_of_each_range_is_a_wrong_parameter() {
    let mut tried = 0;
    for (view, form) in every_form() {
        for (index, leaf) in form.node.leaves().into_iter().enumerate() {
            let Leaf::Argument(argument) = leaf else { continue };
            let beyond = match argument.kind {
                Kind::Integer { min, max } => {
                    vec![(u64::from(max) + 1).to_string(), (i64::from(min) - 1).to_string(), "x".to_owned()]
                }
                Kind::Text { max, .. }
                | Kind::Line { max, .. }
                | Kind::Path { max, .. }
                | Kind::Name { max, .. }
                | Kind::Stem { max, .. } => vec!["a".repeat(max as usize + 1)],
                Kind::Label { max, .. } => vec!["a".repeat(max as usize + 1), "1a".to_owned(), "-".to_owned()],
                Kind::Fingerprint => [42, 44].map(|length| format!("SHA256:{}", "A".repeat(length))).to_vec(),
                Kind::Interface => ["..", "a/b", "a:b", "sixteen-octets-x"].map(str::to_owned).to_vec(),
                Kind::Secret { max, .. } => vec!["a".repeat(max as usize + 1)],
                Kind::UserId => ["1", "-1", "1-", "1--1", "+1-1", "4294967296-0"].map(str::to_owned).to_vec(),
                Kind::Ipv4 | Kind::Ipv6 => vec!["1.2.3".to_owned(), "0.0.0.0".to_owned(), "::".to_owned()],
            };
            for word in beyond {
                let Some(line) = line_up_to(&form.node, index, &word) else { continue };
                let error = matching::parse(view, &line, |_| true).expect_err(&line);
                assert_eq!(error.misstep, Misstep::WrongParameter, "{line}");
                assert_eq!(error.word, line.split(' ').count() - 1, "{line}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} ranges were tried");
}

/// The line with each keyword cut as far as the words that may stand in its place allow.
fn abbreviated(view: View, line: &str) -> String {
    let mut paths = matching::start(view, |_| true);
    let mut words = Vec::new();
    for word in line.split(' ') {
        let mut leaves = Vec::new();
        for path in &paths {
            syntax::expand(path.rest.clone(), &mut leaves);
        }
        let is_keyword = leaves.iter().any(|(leaf, _)| matches!(leaf, Leaf::Word(full) if *full == word));
        let fits_another = |short: &str| {
            leaves.iter().any(|(leaf, _)| match leaf {
                Leaf::Word(full) => *full != word && matching::begins(full, short),
                Leaf::Argument(argument) => argument.kind.accept(short).is_some(),
            })
        };
        let cut = (1..word.len()).map(|length| &word[..length]).find(|short| is_keyword && !fits_another(short));
        words.push(cut.unwrap_or(word));
        let Ok(next) = matching::step(&paths, word) else { panic!("{line} stops at {word}") };
        paths = next;
    }
    words.join(" ")
}

#[test]
fn every_keyword_can_be_cut_as_far_as_it_is_the_only_one() {
    let mut shorter = 0;
    for (view, form) in every_form() {
        // A text that takes the line to its end has no words.
        let lines = samples(&form.node).into_iter().filter(|line| !line.contains("  "));
        for line in lines {
            let short = abbreviated(view, &line);
            let [whole, cut] = [&line, &short]
                .map(|line| matching::parse(view, line, |_| true).unwrap_or_else(|error| panic!("{line}: {error:?}")));
            assert!(std::ptr::eq(whole.command, cut.command), "{short} is not {line}");
            assert_eq!(whole.words.keywords, cut.words.keywords, "{short}");
            assert_eq!((whole.words.arguments, whole.negated), (cut.words.arguments, cut.negated), "{short}");
            shorter += usize::from(short.len() < line.len());
        }
    }
    assert!(shorter > 1000, "only {shorter} lines were cut");
}

/// A line in which the argument `index`, counted over the leaves of the form, comes last and is `word`.
fn line_up_to(node: &Node, index: usize, word: &str) -> Option<String> {
    fn reach(node: &Node, index: usize, word: &str) -> Option<String> {
        let count = node.leaves().len();
        match node {
            Node::Argument(_) if index == 0 => Some(word.to_owned()),
            Node::Word(_) | Node::Argument(_) => None,
            Node::Sequence(nodes) => {
                let mut before = Vec::new();
                let mut passed = 0;
                for node in nodes {
                    let here = node.leaves().len();
                    if index < passed + here {
                        before.push(reach(node, index - passed, word)?);
                        return Some(before.join(" ").trim().to_owned());
                    }
                    passed += here;
                    before.push(samples(node).into_iter().find(|sample| !sample.is_empty()).unwrap_or_default());
                }
                None
            }
            Node::Optional(node) => reach(node, index, word),
            Node::Choice(nodes) | Node::AnyOrder { items: nodes, .. } => {
                let mut passed = 0;
                for node in nodes {
                    let here = node.leaves().len();
                    if index < passed + here {
                        return reach(node, index - passed, word);
                    }
                    passed += here;
                }
                debug_assert!(index >= count);
                None
            }
        }
    }
    reach(node, index, word)
}

#[test]
fn every_stored_setting_can_be_taken_back() {
    for command in commands().filter(|command| matches!(command.stored, Stored::Lines(_))) {
        let undo = command.undo.as_ref().unwrap_or_else(|| panic!("{:?} has no undo", command.formats));
        let views = command.views.iter();
        for (view, format) in views.flat_map(|view| undo.formats.iter().map(move |format| (*view, *format))) {
            check_undo(command, view, format);
        }
    }
}

/// One line of the form is enough: what the others take back need not have been set.
fn check_undo(command: &Command, view: View, undo: &'static str) {
    let before = config::write(sitting(view).candidate());
    let undone = |line: &str| {
        let mut shell = sitting(view);
        for format in command.formats {
            let line = samples(&syntax::parse(format).unwrap()).pop().unwrap();
            shell.execute(&line, &World);
        }
        let answer = shell.execute(&format!("undo {line}"), &World);
        (answer == Answer::Silent).then(|| config::write(shell.candidate()))
    };
    let lines = samples(&syntax::parse(undo).unwrap());
    let found = lines.iter().rev().find_map(|line| Some((line, undone(line)?)));
    let (line, after) = found.unwrap_or_else(|| panic!("no line of it is obeyed: undo {undo}"));
    // Some do not go back to where they were: a server or client that was there before is gone or remains, the resending of
    // Stops, the counting and the domain in names are switched off, and the pool is larger than by default.
    let goes_elsewhere = [
        "counter-map",
        "radius-server accounting",
        "radius-server authentication 2001",
        "radius-server authorization 2001",
        "radius-server user-name",
        "hwtacacs enable",
        "hwtacacs-server accounting",
        "hwtacacs-server authentication",
        "hwtacacs-server authorization",
        "hwtacacs-server user-name",
        "relay client",
        "bill-server",
        "local-bill cfcard capacity",
        "flow-statistic",
    ];
    if !goes_elsewhere.iter().any(|beginning| line.starts_with(beginning)) {
        assert_eq!(after, before, "undo {line}");
    }
}

#[test]
fn every_stored_setting_is_printed_when_it_is_set() {
    for command in commands().filter(|command| matches!(command.stored, Stored::Lines(_))) {
        // Only their default can be had.
        let is_fixed = ["radius-server type", "radius-server class-as-car"].contains(&beginning(command.formats[0]));
        for view in command.views {
            let is_printed = |line: &String| {
                let mut shell = sitting(*view);
                let before = config::write(shell.candidate());
                shell.execute(line, &World);
                config::write(shell.candidate()) != before
            };
            let lines = || command.formats.iter().flat_map(|format| samples(&syntax::parse(format).unwrap()));
            let undone = lines().map(|line| format!("undo {line}"));
            let undone = undone.chain(command.undo_formats().iter().flat_map(|format| {
                samples(&syntax::parse(format).unwrap()).into_iter().map(|line| format!("undo {line}"))
            }));
            let mut lines = lines().chain(undone);
            assert_eq!(lines.any(|line| is_printed(&line)), !is_fixed, "{:?} in {view:?}", command.formats);
        }
    }
}

/// The keywords that a form begins with.
fn beginning(format: &str) -> &str {
    let end = format.find([':', '{', '[']).map_or(format.len(), |end| format[..end].rfind(' ').unwrap_or(0));
    &format[..end]
}

#[test]
fn declarations_are_complete() {
    for command in commands() {
        assert!(!command.views.is_empty() && !command.formats.is_empty() && command.level <= 3);
        assert!(command.section.split(", ").all(is_reference), "{:?} of {:?}", command.section, command.formats);
        let changes = matches!(command.action, Action::Configure(_));
        let printed = matches!(command.stored, Stored::Lines(_));
        assert_eq!(changes, printed, "what is set must print, and only that: {:?}", command.formats);
        for format in command.formats.iter().chain(command.undo_formats()) {
            assert!(syntax::parse(format).is_ok(), "{format}");
        }
    }
}

/// A section of BEHAVIOUR.md or INTERFACES.md, or a decision of the owner.
fn is_reference(text: &str) -> bool {
    let numbers = text.strip_prefix("owner's decision ").or_else(|| text.strip_prefix("INTERFACES ")).unwrap_or(text);
    numbers.split('.').all(|number| number.parse().is_ok_and(|number: u8| number > 0))
}

#[test]
fn the_cache_of_radius_packets_is_not_told_to_be_the_pool_of_bills() {
    for command in commands().filter(|command| beginning(command.formats[0]).starts_with("radius-server")) {
        let mut words = command.formats.iter().flat_map(|format| format.split(' '));
        if words.any(|word| word == "cache") {
            let told = command.help.iter().find(|(word, _)| *word == "cache").map(|(_, text)| *text);
            assert_eq!(told, Some("Packets that no server acknowledged"), "{:?}", command.formats);
        }
    }
}

#[test]
fn retransmit_of_accounting_is_taken_back_whole() {
    let mut shell = sitting(View::RadiusGroup);
    let before = config::write(shell.candidate());
    shell.execute("radius-server accounting retransmit 5 timeout 25", &World);
    assert_ne!(config::write(shell.candidate()), before);
    assert_eq!(shell.execute("undo radius-server accounting retransmit", &World), Answer::Silent);
    assert_eq!(config::write(shell.candidate()), before);
}

#[test]
fn no_help_text_is_left_over() {
    let leaves = |command: &Command| -> Vec<&str> {
        let forms = FORMS.iter().filter(|form| std::ptr::eq(form.command, command));
        let name = |leaf| match leaf {
            Leaf::Word(word) => word,
            Leaf::Argument(argument) => argument.name,
        };
        forms.flat_map(|form| form.node.leaves()).map(name).collect()
    };
    for command in commands() {
        let used = leaves(command);
        for (word, _) in command.help {
            assert!(used.contains(word), "{word} of {:?}", command.formats);
        }
    }
    for (word, _) in super::words::SHARED {
        assert!(commands().any(|command| leaves(command).contains(word)), "{word}");
    }
}

#[test]
fn the_settings_of_these_tests_lack_nothing_but_secrets_and_a_host_key() {
    let found = check(&settings());
    let about_servers =
        |place: &Place| matches!(place, Place::RadiusGroup(_) | Place::HwtacacsTemplate(_) | Place::Domain(_));
    let lacks = |finding: &Finding| finding.problem == Problem::HostKeyMissing || about_servers(&finding.place);
    assert!(found.iter().all(lacks), "{found:?}");
}
