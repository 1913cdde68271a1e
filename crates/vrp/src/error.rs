//! What can be wrong with a line, in the vendor's words where they are public (BEHAVIOUR.md 2.3).

use std::fmt;

use model::record::BillStore;
use model::settings::{AuthorizationPath, ObjectName};

use crate::check::Problem;

/// The line does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misstep {
    /// No keyword begins so here.
    Unrecognized,
    /// More has to come.
    Incomplete,
    /// Several keywords begin so.
    Ambiguous,
    /// A value of the wrong type or out of range.
    WrongParameter,
    /// Nothing more may come.
    TooMany,
}

impl fmt::Display for Misstep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Misstep::Unrecognized => "Error: Unrecognized command found at '^' position.",
            Misstep::Incomplete => "Error: Incomplete command found at '^' position.",
            Misstep::Ambiguous => "Error: Ambiguous command found at '^' position.",
            Misstep::WrongParameter => "Error: Wrong parameter found at '^' position.",
            Misstep::TooMany => "Error:Too many parameters found at '^' position.",
        })
    }
}

/// The line is good, but what it asks for cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such accounting scheme.
    SchemeMissing,
    /// A built-in accounting scheme is not deleted.
    SchemeBuiltIn,
    /// A domain is bound to the scheme.
    SchemeBound(ObjectName),
    /// 256 schemes exist.
    SchemesFull,
    /// No such domain.
    DomainMissing,
    /// A built-in domain is not deleted.
    DomainBuiltIn,
    /// No such session source.
    SourceMissing,
    /// No such RADIUS server group.
    GroupMissing,
    /// A domain is bound to the group.
    GroupBound(ObjectName),
    /// No such accounting server.
    ServerMissing,
    /// No such HWTACACS template.
    TemplateMissing,
    /// A domain is bound to the template.
    TemplateBound(ObjectName),
    /// 256 templates exist.
    TemplatesFull,
    /// The template has no such server.
    TemplateServerMissing,
    /// The packet plane counts what it asks.
    PlaneCounts,
    /// No attribute of this name can be left out.
    AttributeMissing,
    /// The source address is of another family than the server's.
    SourceFamily,
    /// 16 accounting servers exist in the group.
    ServersFull,
    /// Text in the shape of a stored secret that does not open.
    SecretUnreadable,
    /// The servers speak standard RADIUS here.
    DialectUnavailable,
    /// Rates in Class are the packet plane's.
    ClassAsCarUnavailable,
    /// Authentication packets are the packet plane's, which counts them.
    AuthenticationElsewhere,
    /// Someone else committed since this candidate was begun.
    RunningChanged,
    /// The command is above the user's level.
    NotAllowed,
    /// No such session.
    SessionMissing,
    /// No bill server is configured.
    BillServerMissing,
    /// The bill server has no user name, password and port, and SFTP needs them.
    BillServerLoginMissing,
    /// The store's backup mode needs the bill server.
    BillServerUsed {
        /// Which store.
        store: BillStore,
        /// Its backup mode.
        mode: &'static str,
    },
    /// Whoever keeps the bills does not answer.
    BillStoreUnavailable,
    /// The queue of Stops holds so many users, which is more than it would take.
    CacheFilled(u64),
    /// No such authorization server.
    AuthorizationServerMissing,
    /// 16 authorization servers exist.
    AuthorizationServersFull,
    /// An authorization server has the secret of the group.
    GroupAuthorizes(AuthorizationPath),
    /// No such relay client.
    RelayClientMissing,
    /// 4,096 relay clients exist.
    RelayClientsFull,
    /// The line names no secret.
    RelayClientWithoutKey,
    /// The all-clear would come with the alarm, or before it.
    LowerLimitTooHigh,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Refusal::SchemeMissing => "The accounting scheme does not exist.",
            Refusal::SchemeBuiltIn => "A default accounting scheme cannot be deleted.",
            Refusal::SchemeBound(domain) => {
                return write!(f, "Error: The accounting scheme is used by domain {domain}.");
            }
            Refusal::SchemesFull => "The number of accounting schemes has reached the maximum (256).",
            Refusal::DomainMissing => "The domain does not exist.",
            Refusal::DomainBuiltIn => "A default domain cannot be deleted.",
            Refusal::SourceMissing => "The session source does not exist.",
            Refusal::GroupMissing => "The RADIUS server group does not exist.",
            Refusal::GroupBound(domain) => {
                return write!(f, "Error: The RADIUS server group is used by domain {domain}.");
            }
            Refusal::ServerMissing => "The accounting server does not exist.",
            Refusal::TemplateMissing => "The HWTACACS server template does not exist.",
            Refusal::TemplateBound(domain) => {
                return write!(f, "Error: The HWTACACS server template is used by domain {domain}.");
            }
            Refusal::TemplatesFull => "The number of HWTACACS server templates has reached the maximum (256).",
            Refusal::TemplateServerMissing => "The HWTACACS server template has no such server.",
            Refusal::PlaneCounts => {
                "Authentication and authorization are a matter of the packet plane, which counts them itself."
            }
            Refusal::AttributeMissing => "The attribute does not exist.",
            Refusal::SourceFamily => {
                "The source address and the server's must be of one family, both IPv4 or both IPv6."
            }
            Refusal::ServersFull => "The number of accounting servers in the group has reached the maximum (16).",
            Refusal::SecretUnreadable => "The cipher text cannot be decrypted.",
            Refusal::DialectUnavailable => "RADIUS+1.0 and RADIUS+1.1 are not available; the type is standard.",
            Refusal::ClassAsCarUnavailable => {
                "Rates in Class are a matter of the packet plane, which has them from the server; here Class is echoed."
            }
            Refusal::AuthenticationElsewhere => {
                "Authentication is a matter of the packet plane, which counts its packets; none of them pass here."
            }
            Refusal::RunningChanged => {
                "The running configuration was changed by another user; refresh or clear the configuration candidate first."
            }
            Refusal::NotAllowed => "You do not have permission to run the command or the command is incomplete.",
            Refusal::SessionMissing => "The access user does not exist.",
            Refusal::BillServerMissing => "No bill server is configured.",
            Refusal::BillServerLoginMissing => "SFTP needs the user name, password and port of the bill server.",
            Refusal::BillServerUsed { store, mode } => {
                return write!(
                    f,
                    "Error: The bill server is used by local-bill {} backup-mode {mode}.",
                    store.as_str()
                );
            }
            Refusal::CacheFilled(users) => {
                return write!(
                    f,
                    "Error: The cache holds packets of {users} users; the number cannot be lowered so far."
                );
            }
            Refusal::AuthorizationServerMissing => "The authorization server does not exist.",
            Refusal::AuthorizationServersFull => "The number of authorization servers has reached the maximum (16).",
            Refusal::GroupAuthorizes(ip) => {
                return write!(f, "Error: The RADIUS server group is used by authorization server {ip}.");
            }
            Refusal::RelayClientMissing => "The relay client does not exist.",
            Refusal::RelayClientsFull => "The number of relay clients has reached the maximum (4096).",
            Refusal::RelayClientWithoutKey => "A relay client needs a shared key.",
            Refusal::LowerLimitTooHigh => "The lower limit must be less than the upper limit.",
            Refusal::BillStoreUnavailable => "The store of local bills does not answer.",
        };
        write!(f, "Error: {sentence}")
    }
}

/// Why a line was not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not follow the grammar.
    Misstep(Misstep),
    /// What it asks for cannot be.
    Refusal(Refusal),
    /// The tree as a whole cannot be taken.
    Problem(Box<Problem>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Misstep(misstep) => misstep.fmt(f),
            Fault::Refusal(refusal) => refusal.fmt(f),
            Fault::Problem(problem) => problem.fmt(f),
        }
    }
}

/// A line that was not obeyed, as it may be shown: whatever could be a secret is six asterisks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The line as it may be shown.
    pub line: String,
    /// Where the caret stands, in characters from the start of `line`; only a [`Misstep`] has one.
    pub caret: Option<usize>,
    /// The same in the line as it was typed, where a secret is as long as it is.
    pub caret_typed: Option<usize>,
    /// What is wrong.
    pub fault: Fault,
}

impl CommandError {
    /// Without a line to point at.
    pub(crate) fn plain(fault: Fault) -> CommandError {
        CommandError { line: String::new(), caret: None, caret_typed: None, fault }
    }

    /// For a terminal, where the line stands on the screen already, after a prompt of `indent` characters.
    pub fn to_terminal(&self, indent: usize) -> String {
        self.pointed(self.caret_typed.map(|caret| indent + caret))
    }

    fn pointed(&self, column: Option<usize>) -> String {
        match column {
            Some(column) => format!("{}^\n{}", " ".repeat(column), self.fault),
            None => self.fault.to_string(),
        }
    }

    /// For a script, where the line is not to be seen: the line, the caret below it, the message.
    pub fn to_script(&self) -> String {
        match self.caret {
            Some(_) => format!("{}\n{}", self.line, self.pointed(self.caret)),
            None => self.fault.to_string(),
        }
    }
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> CommandError {
        CommandError::plain(Fault::Refusal(refusal))
    }
}
