//! The command line (INTERFACES.md section 1). Reading it does nothing else.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Where the daemon looks when nothing else is said.
pub(crate) const CONFIG: &str = "/etc/tollgate/startup.cfg";
const STATE_DIR: &str = "/var/lib/tollgate";
const CONTROL: &str = "/run/tollgate/control.sock";

/// Accounting engine for x86 BNGs.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon in the foreground
    Run(RunArgs),
    /// Talk to a running daemon: a VRP shell
    Cli(CliArgs),
    /// Play a plane script over the native link, as a packet plane would
    Feed(FeedArgs),
    /// Show the main job with everything embedded: no privilege, nothing to install
    Demo(DemoArgs),
    /// List, show, verify or export local bills, of a running or a stopped store
    Bills(BillsArgs),
    /// Validate a configuration file
    Check(CheckArgs),
    /// Explain commands of the shell and the configuration
    Help(HelpArgs),
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct RunArgs {
    /// Startup configuration; `save` writes it
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub(crate) config: PathBuf,
    /// Where the ledger lives
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub(crate) state_dir: PathBuf,
    /// The CF card [default: cfcard in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) card_dir: Option<PathBuf>,
    /// Socket of the shell
    #[arg(long, value_name = "PATH", default_value = CONTROL)]
    pub(crate) control: PathBuf,
    /// Key of stored secrets [default: secret.key in the state directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// A directory to write to beside those of the arguments and the startup configuration; for paths that are
    /// configured later. May be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) writable: Vec<PathBuf>,
    /// Confine neither files nor system calls: to look for a fault
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    /// Worker threads, each with its own sessions
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) shards: u16,
    /// Cores to pin the workers to, such as 2,3
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) cores: Vec<usize>,
    /// Session slots over all shards
    #[arg(long, value_name = "N", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) sessions: u32,
    /// How datagrams reach the kernel
    #[arg(long, value_enum, default_value_t = DatapathArg::Auto)]
    pub(crate) datapath: DatapathArg,
    /// Form of the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatapathArg {
    /// io_uring where the kernel allows it, else epoll
    Auto,
    /// io_uring or nothing
    IoUring,
    /// epoll with sendmmsg and recvmmsg
    Epoll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Parser)]
pub(crate) struct CliArgs {
    /// Socket of the daemon
    #[arg(long, value_name = "PATH", default_value = CONTROL)]
    pub(crate) control: PathBuf,
    /// A command to run; may be given several times, in one sitting
    #[arg(short = 'c', value_name = "COMMAND")]
    pub(crate) commands: Vec<String>,
    /// Print every display as one JSON value
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Parser)]
pub(crate) struct FeedArgs {
    /// The daemon's plane link
    #[arg(long, value_name = "PATH", default_value = "/run/tollgate/plane.sock")]
    pub(crate) link: PathBuf,
    /// The plane's name [default: a hash of the script's path]
    #[arg(long, value_name = "NAME")]
    pub(crate) plane: Option<String>,
    /// Announce the sessions that are up at the start as known ones: the plane was restarted
    #[arg(long)]
    pub(crate) resync: bool,
    /// Leave sessions live that are still up at the end
    #[arg(long)]
    pub(crate) keep: bool,
    /// Play faster (2) or slower (0.5) than written
    #[arg(long, value_name = "X", conflicts_with = "asap")]
    pub(crate) speed: Option<f64>,
    /// Play as fast as the link takes it
    #[arg(long)]
    pub(crate) asap: bool,
    /// The script, `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Parser)]
pub(crate) struct DemoArgs {
    /// Subscribers
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sessions: u32,
    /// How long the play takes
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(10..=3600))]
    pub(crate) seconds: u32,
    /// How datagrams reach the kernel
    #[arg(long, value_enum, default_value_t = DatapathArg::Auto)]
    pub(crate) datapath: DatapathArg,
}

#[derive(Debug, Parser)]
pub(crate) struct BillsArgs {
    #[command(subcommand)]
    pub(crate) action: BillsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BillsAction {
    /// One line for each bill
    List(StoreArgs),
    /// Everything about the bills with these ids, or about all
    Show {
        /// Bill ids, such as BNG1-7-42
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Prove that a store, or bill files with their manifests, are complete and undamaged
    Verify(StoreArgs),
    /// Write all bills to standard output, as detail text unless another form is named
    Export(StoreArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// What a RADIUS server's detail reader replays
    Detail,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Parser)]
pub(crate) struct StoreArgs {
    /// Whole bills in this form, and the verdict of `verify`
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatArg>,
    /// Bills that wait for a pool instead; `verify` counts them
    #[arg(long)]
    pub(crate) unbilled: bool,
    /// The state directory of a daemon, running or not, or a copy of one
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Bill files; their manifests lie beside them
    #[arg(value_name = "FILE", conflicts_with = "state_dir")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Parser)]
pub(crate) struct HelpArgs {
    /// First words of a command, abbreviated as in the shell; none: list all commands
    #[arg(value_name = "COMMAND")]
    pub(crate) words: Vec<String>,
}

#[derive(Clone, Debug, Parser)]
pub(crate) struct CheckArgs {
    /// Key of the stored secrets in the file; without it they are taken as they are
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The configuration
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
