//! The shape of a declaration, the places where commands are typed, and what a handler sees.

use std::net::{IpAddr, Ipv4Addr};

use model::ids::SessionSerial;
use model::report::{QueueSelector, UserSelector};
use model::settings::{
    AccountingScheme, AuthorizationPath, Domain, HwtacacsTemplate, InterfaceName, LocalAaaServer, ObjectName,
    RadiusGroup, Secret, Settings,
};

use crate::error::Refusal;
use crate::secret::{self, Sealer};
use crate::value::Value;

/// One command: everything that is said about it, and its handler.
#[derive(Debug)]
pub struct Command {
    /// Where it may be typed.
    pub(crate) views: &'static [View],
    /// 0 visit, 1 monitoring, 2 configuration, 3 management (BEHAVIOUR.md 2.4).
    pub(crate) level: u8,
    /// The section of BEHAVIOUR.md behind it.
    pub(crate) section: &'static str,
    /// How it is written, in the notation of `syntax`.
    pub(crate) formats: &'static [&'static str],
    /// How it is taken back; the positive forms after `undo` are understood as well.
    pub(crate) undo: Option<Undo>,
    /// A help text per keyword and argument name; words that several commands share stand in `grammar::words`.
    pub(crate) help: &'static [(&'static str, &'static str)],
    /// What it does.
    pub(crate) action: Action,
    /// How it prints in the configuration.
    pub(crate) stored: Stored,
}

impl Command {
    /// Where it may be typed.
    pub fn views(&self) -> &'static [View] {
        self.views
    }

    /// 0 visit, 1 monitoring, 2 configuration, 3 management (BEHAVIOUR.md 2.4).
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The section of BEHAVIOUR.md behind it.
    pub fn section(&self) -> &'static str {
        self.section
    }

    /// How it is written; arguments as `name:TYPE`.
    pub fn formats(&self) -> &'static [&'static str] {
        self.formats
    }

    /// What follows `undo`; empty when it cannot be taken back.
    pub fn undo_formats(&self) -> &'static [&'static str] {
        self.undo.as_ref().map_or(&[], |undo| undo.formats)
    }

    /// Whether a configuration may show it.
    pub fn is_stored(&self) -> bool {
        !matches!(self.stored, Stored::Never)
    }

    /// Whether it shows something.
    pub(crate) fn displays(&self) -> bool {
        matches!(self.action, Action::Display(_))
    }

    /// Whether a configuration file may hold it.
    pub(crate) fn configures(&self) -> bool {
        matches!(self.action, Action::Configure(_) | Action::Enter(_))
    }
}

/// Sets something in the candidate: checks first, changes last.
pub(crate) type Handler = fn(&mut Edit<'_>, &Words) -> Result<Done, Refusal>;

/// How a command is taken back.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) formats: &'static [&'static str],
    pub(crate) run: Handler,
}

/// What a command does.
#[derive(Debug)]
pub(crate) enum Action {
    /// Changes the candidate.
    Configure(Handler),
    /// Enters a view, and creates its object when there is none.
    Enter(fn(&mut Edit<'_>, &Words) -> Result<Place, Refusal>),
    /// Moves the sitting itself.
    Control(Control),
    /// Asks the daemon for something at once, judged by what is in force; the candidate stays as it is.
    Operate(fn(&Operate<'_>, &Words) -> Result<Operation, Refusal>),
    /// Shows something.
    Display(fn(&Place, &Words) -> Display),
}

/// What an action command sees.
#[derive(Debug)]
pub(crate) struct Operate<'a> {
    /// What is in force.
    pub(crate) running: &'a Settings,
    /// Whether the user agreed to the question of this line.
    pub(crate) confirmed: bool,
}

impl Operate<'_> {
    /// The local AAA server that is in force.
    pub(crate) fn local_aaa_server(&self) -> &LocalAaaServer {
        &self.running.local_aaa_server
    }
}

/// How an action command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The daemon is to do this.
    Do(ActionRequest),
    /// The user has to agree to this question first.
    Ask(String),
}

/// What the daemon is asked to do at once (BEHAVIOUR.md 2.2, action commands). Nothing of it is configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionRequest {
    /// `shutdown accounting`
    ShutdownAccounting,
    /// `local-bill cache backup`: move the pool's bills where its backup mode says, in mode `none` to the bill server
    /// if there is one, else to the CF card (BEHAVIOUR.md 11.6).
    CacheBackup,
    /// `local-bill cfcard backup`: move the CF card's bills to the bill server, which is known to be configured as far
    /// as the CF card's backup mode needs it.
    CfcardBackup {
        /// What the files are called instead of the bill server's file name, 1–30 characters without a suffix.
        file_name: Option<String>,
    },
    /// `cut access-user`: log out all who are meant; when nobody is, that is an error.
    CutAccessUser(UserSelector),
    /// `radius-server cache resend packet`: whatever waits in the queue is sent now.
    ResendQueue,
    /// `reset { radius-server | hwtacacs-server } accounting-stop-packet`: give up what waits in the queue, a bill for each.
    ResetQueue(QueueSelector),
    /// `reset hwtacacs-server statistics`: the counters of accounting by HWTACACS begin at zero again in displays.
    ResetHwtacacsStatistics,
    /// `local-bill cfcard reset`: delete the CF card's bills for good. The user has agreed.
    CfcardReset,
    /// `rollback configuration`: put the settings of an earlier commit into force. The user has agreed.
    Rollback(CommitPoint),
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Applied,
    /// Nothing is changed yet: the user has to agree to this question first.
    Ask(String),
}

/// Moves of the sitting itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    SystemView,
    Quit,
    Return,
    Commit,
    AbortTrial,
    ClearCandidate,
    RefreshCandidate,
    Lock,
    Unlock,
    ScreenLength,
    Monitor,
    Save,
}

/// What a commit is said to be (BEHAVIOUR.md 2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitTerms {
    /// It is rolled back unless it is confirmed within so many seconds, 60–65,535.
    pub trial_s: Option<u16>,
    /// A name for it, 1–256 characters, that does not begin with a digit.
    pub label: Option<String>,
    /// What it is about, 1–60 characters.
    pub description: Option<String>,
}

impl CommitTerms {
    /// `commit trial` without a time, seconds.
    pub const TRIAL_DEFAULT_S: u16 = 600;
}

/// A commit of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitPoint {
    /// By its number.
    Id(u32),
    /// By its label; the newest that has it.
    Label(String),
    /// So many commits back from what runs, from 1.
    Last(u32),
}

/// What to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Display {
    /// The settings tell it.
    Own(OwnDisplay),
    /// The engine or the ledger has the rows.
    Live(DisplayRequest),
}

/// Displays that the settings alone answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnDisplay {
    CurrentConfiguration,
    This,
    CandidateOnly,
    CandidateChanges,
    CandidateMerge,
    LocalBillConfiguration,
    Authorization,
    /// Somebody else's.
    AuthenticationPackets,
    RadiusAttributes {
        group: ObjectName,
        packet: AccountingPacket,
    },
    Schemes,
    Scheme(ObjectName),
    Domains,
    Domain(ObjectName),
    Version,
}

/// A packet that an accounting server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountingPacket {
    On,
    Off,
    Start,
    Interim,
    Stop,
}

impl AccountingPacket {
    pub(crate) const ALL: [AccountingPacket; 5] = [
        AccountingPacket::On,
        AccountingPacket::Off,
        AccountingPacket::Start,
        AccountingPacket::Interim,
        AccountingPacket::Stop,
    ];

    /// As in the command.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            AccountingPacket::On => "accounting-on",
            AccountingPacket::Off => "accounting-off",
            AccountingPacket::Start => "accounting-start",
            AccountingPacket::Interim => "accounting-interim",
            AccountingPacket::Stop => "accounting-stop",
        }
    }
}

/// Displays whose rows the daemon fetches; it calls the function of [`crate::render`] that each names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisplayRequest {
    /// [`crate::render::commit_list`]
    CommitList {
        /// The newest so many; `None`: all.
        count: Option<u32>,
    },
    /// [`crate::render::trial_status`]
    TrialStatus,
    /// [`crate::render::access_users`]
    AccessUsers,
    /// [`crate::render::access_user`]
    AccessUser {
        /// The Acct-Session-Id, 1–44 characters.
        session_id: String,
    },
    /// [`crate::render::accounting_health`]
    AccountingHealth,
    /// [`crate::render::session_sources`]
    SessionSources,
    /// [`crate::render::accounting_phase`]
    AccountingPhase,
    /// [`crate::render::accounting_lateness`]
    AccountingLateness,
    /// [`crate::render::accounting_session`]
    AccountingSession {
        /// The Acct-Session-Id, 1–44 characters.
        session_id: String,
    },
    /// [`crate::render::accounting_policy`]
    AccountingPolicy,
    /// [`crate::render::local_bill_information`]
    LocalBillInformation,
    /// [`crate::render::local_bill_cache`]
    LocalBillCache {
        /// The number of the first bill, 0 – capacity − 1, counted from the oldest.
        start: u32,
        /// How many, 1–100; fewer when the pool ends before.
        count: u32,
    },
    /// [`crate::render::authorization_packet`]
    AuthorizationPacket {
        /// The server.
        server: AuthorizationPath,
        /// CoA-Requests, or Disconnect-Requests.
        coa: bool,
    },
    /// [`crate::render::relay`]
    Relay,
    /// [`crate::render::queued_stops`]
    QueuedStops {
        /// Those that this server was asked last; `None`: all.
        server: Option<IpAddr>,
    },
    /// [`crate::render::hwtacacs_queued_stops`]
    HwtacacsQueuedStops {
        /// The first one to show, 1–65,535, counted from 1.
        first: u16,
        /// Those that this server was asked last; `None`: all.
        server: Option<IpAddr>,
    },
    /// [`crate::render::hwtacacs_server_template`]
    HwtacacsServerTemplate {
        /// The template; `None`: all.
        template: Option<ObjectName>,
        /// With the counters of its accounting servers.
        verbose: bool,
    },
    /// [`crate::render::radius_server_backlog`]
    RadiusServerBacklog {
        /// The group; `None`: all.
        group: Option<ObjectName>,
    },
    /// [`crate::render::radius_server_packet`]
    RadiusServerPacket {
        /// The server.
        address: IpAddr,
        /// The VRF that it is in; `None`: none.
        vpn: Option<InterfaceName>,
        /// Its port; `None`: every port of the address.
        port: Option<u16>,
    },
    /// [`crate::render::radius_server_configuration`]
    RadiusServerConfiguration {
        /// The group; `None`: all.
        group: Option<ObjectName>,
    },
}

/// How a command prints in the configuration.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Not at all.
    Never,
    /// As lines of its view, none at the default.
    Lines(fn(&Settings, &Place) -> Vec<String>),
    /// As a section for each of these places.
    Sections(fn(&Settings) -> Vec<Place>),
}

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// `<HUAWEI>`
    User,
    /// `[~HUAWEI]`
    System,
    /// `[~HUAWEI-aaa]`
    Aaa,
    /// `[~HUAWEI-aaa-accounting-X]`
    Scheme,
    /// `[~HUAWEI-aaa-domain-D]`
    Domain,
    /// `[~HUAWEI-radius-G]`
    RadiusGroup,
    /// `[~HUAWEI-hwtacacs-T]`
    HwtacacsTemplate,
    /// `[~HUAWEI-local-aaa-server]`
    LocalAaaServer,
}

impl View {
    /// All of them.
    pub const ALL: [View; 8] = [
        View::User,
        View::System,
        View::Aaa,
        View::Scheme,
        View::Domain,
        View::RadiusGroup,
        View::HwtacacsTemplate,
        View::LocalAaaServer,
    ];
}

/// Where a user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The user view.
    User,
    /// The system view.
    System,
    /// AAA.
    Aaa,
    /// An accounting scheme.
    Scheme(ObjectName),
    /// A domain.
    Domain(ObjectName),
    /// A RADIUS server group.
    RadiusGroup(ObjectName),
    /// An HWTACACS server template.
    HwtacacsTemplate(ObjectName),
    /// The local AAA server.
    LocalAaaServer,
}

impl Place {
    /// What kind of place it is.
    pub fn view(&self) -> View {
        match self {
            Place::User => View::User,
            Place::System => View::System,
            Place::Aaa => View::Aaa,
            Place::Scheme(_) => View::Scheme,
            Place::Domain(_) => View::Domain,
            Place::RadiusGroup(_) => View::RadiusGroup,
            Place::HwtacacsTemplate(_) => View::HwtacacsTemplate,
            Place::LocalAaaServer => View::LocalAaaServer,
        }
    }

    /// One view up.
    pub(crate) fn parent(&self) -> Option<Place> {
        match self {
            Place::User => None,
            Place::System => Some(Place::User),
            Place::Aaa | Place::RadiusGroup(_) | Place::HwtacacsTemplate(_) | Place::LocalAaaServer => {
                Some(Place::System)
            }
            Place::Scheme(_) | Place::Domain(_) => Some(Place::Aaa),
        }
    }

    /// What the prompt shows after the sysname (BEHAVIOUR.md 2.1).
    pub(crate) fn prompt_suffix(&self) -> String {
        match self {
            Place::User | Place::System => String::new(),
            Place::Aaa => "-aaa".to_owned(),
            Place::Scheme(name) => format!("-aaa-accounting-{name}"),
            Place::Domain(name) => format!("-aaa-domain-{name}"),
            Place::RadiusGroup(name) => format!("-radius-{name}"),
            Place::HwtacacsTemplate(name) => format!("-hwtacacs-{name}"),
            Place::LocalAaaServer => "-local-aaa-server".to_owned(),
        }
    }

    /// The line that opens its section; the user and the system view have none.
    pub(crate) fn heading(&self) -> Option<String> {
        match self {
            Place::User | Place::System => None,
            Place::Aaa => Some("aaa".to_owned()),
            Place::Scheme(name) => Some(format!("accounting-scheme {name}")),
            Place::Domain(name) => Some(format!("domain {name}")),
            Place::RadiusGroup(name) => Some(format!("radius-server group {name}")),
            Place::HwtacacsTemplate(name) => Some(format!("hwtacacs-server template {name}")),
            Place::LocalAaaServer => Some("local-aaa-server".to_owned()),
        }
    }
}

/// What a handler sees of the sitting.
pub(crate) struct Edit<'a> {
    /// The candidate.
    pub(crate) settings: &'a mut Settings,
    /// Where the line was typed.
    pub(crate) place: &'a Place,
    pub(crate) sealer: &'a dyn Sealer,
    /// How many bills the pool holds now.
    pub(crate) bill_count: &'a dyn Fn() -> u64,
    /// How many users the queue of Stops holds now.
    pub(crate) queued_count: &'a dyn Fn() -> u64,
    /// Whether the user agreed to the question of this line.
    pub(crate) confirmed: bool,
}

impl Edit<'_> {
    /// The name of the scheme whose view this is, and the scheme.
    pub(crate) fn scheme(&mut self) -> Result<(&str, &mut AccountingScheme), Refusal> {
        let Place::Scheme(name) = self.place else { return Err(Refusal::SchemeMissing) };
        let scheme = self.settings.schemes.get_mut(name).ok_or(Refusal::SchemeMissing)?;
        Ok((name.as_str(), scheme))
    }

    /// The name of the domain whose view this is, and the domain.
    pub(crate) fn domain(&mut self) -> Result<(&str, &mut Domain), Refusal> {
        let Place::Domain(name) = self.place else { return Err(Refusal::DomainMissing) };
        let domain = self.settings.domains.get_mut(name).ok_or(Refusal::DomainMissing)?;
        Ok((name.as_str(), domain))
    }

    /// The group whose view this is.
    pub(crate) fn group(&mut self) -> Result<&mut RadiusGroup, Refusal> {
        let Place::RadiusGroup(name) = self.place else { return Err(Refusal::GroupMissing) };
        self.settings.radius_groups.get_mut(name).ok_or(Refusal::GroupMissing)
    }

    /// The name of the template whose view this is, and the template.
    pub(crate) fn template(&mut self) -> Result<(&ObjectName, &mut HwtacacsTemplate), Refusal> {
        let Place::HwtacacsTemplate(name) = self.place else { return Err(Refusal::TemplateMissing) };
        let template = self.settings.hwtacacs.templates.get_mut(name).ok_or(Refusal::TemplateMissing)?;
        Ok((name, template))
    }

    /// The secret that the line holds, if it holds one; `current` is the one that it would replace.
    pub(crate) fn secret(&self, words: &Words, current: Option<&Secret>) -> Result<Option<Secret>, Refusal> {
        words.text_if("secret").map(|word| secret::read(word, current, self.sealer)).transpose()
    }
}

/// The words of a line that matched: keywords in full, arguments by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub(crate) keywords: Vec<&'static str>,
    pub(crate) arguments: Vec<(&'static str, Value)>,
    /// Which word of the line each argument is, in the order of `arguments`.
    pub(crate) places: Vec<usize>,
}

impl Words {
    /// Whether the keyword was there.
    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.keywords.contains(&keyword)
    }

    /// A number that the syntax demands.
    pub(crate) fn number<T: TryFrom<u32>>(&self, name: &str) -> T {
        self.number_if(name).unwrap_or_else(|| undeclared(name))
    }

    /// A number that may be left out. The declared range is within the type that the handler asks for.
    pub(crate) fn number_if<T: TryFrom<u32>>(&self, name: &str) -> Option<T> {
        match self.argument(name)? {
            Value::Number(number) => Some(T::try_from(*number).unwrap_or_else(|_| undeclared(name))),
            _ => undeclared(name),
        }
    }

    /// A word that the syntax demands.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.text_if(name).unwrap_or_else(|| undeclared(name))
    }

    /// A word that may be left out.
    pub(crate) fn text_if(&self, name: &str) -> Option<&str> {
        match self.argument(name)? {
            Value::Text(text) => Some(text),
            _ => undeclared(name),
        }
    }

    /// The name of an object that the syntax demands.
    pub(crate) fn object(&self, name: &str) -> ObjectName {
        ObjectName::from(self.text(name))
    }

    /// An address that the syntax demands.
    pub(crate) fn address(&self, name: &str) -> IpAddr {
        match self.argument(name) {
            Some(Value::Address(address)) => *address,
            _ => undeclared(name),
        }
    }

    /// An address that may be left out.
    pub(crate) fn address_if(&self, name: &str) -> Option<IpAddr> {
        match self.argument(name)? {
            Value::Address(address) => Some(*address),
            _ => undeclared(name),
        }
    }

    /// The name of an interface that may be left out.
    pub(crate) fn interface_if(&self, name: &str) -> Option<InterfaceName> {
        self.text_if(name).map(|word| InterfaceName::new(word).unwrap_or_else(|| undeclared(name)))
    }

    /// A user's id that the syntax demands.
    pub(crate) fn user_id(&self, name: &str) -> SessionSerial {
        match self.argument(name) {
            Some(Value::UserId(id)) => *id,
            _ => undeclared(name),
        }
    }

    /// An IPv4 address that the syntax demands.
    pub(crate) fn ipv4(&self, name: &str) -> Ipv4Addr {
        match self.address(name) {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => undeclared(name),
        }
    }

    /// Which word of the line the argument is.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        let index = self.arguments.iter().position(|(given, _)| *given == name)?;
        self.places.get(index).copied()
    }

    fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }
}

/// A handler asked for what its declaration does not promise: our own mistake, never the user's.
fn undeclared(name: &str) -> ! {
    panic!("the declaration promises no such argument: {name}")
}
