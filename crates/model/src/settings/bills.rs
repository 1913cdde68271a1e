//! Local bills: where they wait, and how they leave (BEHAVIOUR.md section 7).

use super::Secret;

/// Local bills: the pool, the CF card and their way to the bill server (BEHAVIOUR.md section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAaaServer {
    /// Whether bills are made.
    pub pool_enabled: bool,
    /// Where bill files go; `None`: nowhere.
    pub bill_server: Option<BillServer>,
    /// The bill server's TFTP port.
    pub tftp_port: u16,
    /// Which host keys of an SFTP server are taken for its own.
    pub host_key: HostKeyPolicy,
    /// A private key to log in with, an OpenSSH file; `None`: the password.
    pub key_file: Option<String>,
    /// The pool.
    pub cache: BillStoreSettings<CacheBackupMode>,
    /// The CF card.
    pub cfcard: BillStoreSettings<CfcardBackupMode>,
    /// How bill files are written.
    pub format: BillFormat,
    /// Bills in one file at most, 1–10,000.
    pub file_size: u16,
    /// Whether bills are sent to an accounting server that answers again.
    pub replay: BillReplay,
}

impl LocalAaaServer {
    /// `bill-server tftp-port`.
    pub const TFTP_PORT_DEFAULT: u16 = 69;
    /// `local-bill file-size`.
    pub const FILE_SIZE_DEFAULT: u16 = 1_000;
    /// At most so many bills in a file.
    pub const FILE_SIZE_MAX: u16 = 10_000;
}

impl Default for LocalAaaServer {
    fn default() -> LocalAaaServer {
        LocalAaaServer {
            pool_enabled: false,
            bill_server: None,
            tftp_port: LocalAaaServer::TFTP_PORT_DEFAULT,
            host_key: HostKeyPolicy::Refuse,
            key_file: None,
            cache: BillStoreSettings::new(CacheBackupMode::CAPACITY_DEFAULT),
            cfcard: BillStoreSettings::new(CfcardBackupMode::CAPACITY_DEFAULT),
            format: BillFormat::Detail,
            file_size: LocalAaaServer::FILE_SIZE_DEFAULT,
            replay: BillReplay::Disabled,
        }
    }
}

/// What the pool and the card have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillStoreSettings<M> {
    /// Bills that it holds, 1–16,000,000.
    pub capacity: u32,
    /// Per cent of the capacity that counts as nearly full, 50–100.
    pub alarm_threshold: u8,
    /// Where its bills go.
    pub backup_mode: M,
    /// Minutes between transfers, 1–65,535.
    pub backup_interval_min: u16,
}

impl<M: Default> BillStoreSettings<M> {
    /// Per cent.
    pub const ALARM_THRESHOLD_DEFAULT: u8 = 75;
    /// A day.
    pub const BACKUP_INTERVAL_DEFAULT_MIN: u16 = 1_440;

    fn new(capacity: u32) -> BillStoreSettings<M> {
        BillStoreSettings {
            capacity,
            alarm_threshold: Self::ALARM_THRESHOLD_DEFAULT,
            backup_mode: M::default(),
            backup_interval_min: Self::BACKUP_INTERVAL_DEFAULT_MIN,
        }
    }

    /// The fill that is nearly full: floor(capacity × per cent / 100) (BEHAVIOUR.md 7.3).
    pub const fn threshold_count(&self) -> u64 {
        self.capacity as u64 * self.alarm_threshold as u64 / 100
    }
}

/// `local-bill cache backup-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheBackupMode {
    /// To the CF card.
    #[default]
    Cfcard,
    /// Nowhere by itself.
    None,
    /// To the bill server over TFTP.
    Tftp,
    /// To the bill server over SFTP.
    Sftp,
}

impl CacheBackupMode {
    /// The vendor's figure (BEHAVIOUR.md 7.3).
    pub const CAPACITY_DEFAULT: u32 = 49_152;

    /// The word in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            CacheBackupMode::Cfcard => "cfcard",
            CacheBackupMode::None => "none",
            CacheBackupMode::Tftp => "tftp",
            CacheBackupMode::Sftp => "sftp",
        }
    }
}

/// `local-bill cfcard backup-mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CfcardBackupMode {
    /// To the bill server over TFTP.
    Tftp,
    /// To the bill server over SFTP.
    #[default]
    Sftp,
}

impl CfcardBackupMode {
    /// The vendor's figure (BEHAVIOUR.md 7.3).
    pub const CAPACITY_DEFAULT: u32 = 235_410;

    /// The word in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            CfcardBackupMode::Tftp => "tftp",
            CfcardBackupMode::Sftp => "sftp",
        }
    }
}

/// `bill-server`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillServer {
    /// Its address.
    pub address: std::net::Ipv4Addr,
    /// What file names begin with, 1–30 characters.
    pub file_name: String,
    /// Needed for SFTP.
    pub login: Option<BillServerLogin>,
}

/// User, password and port of a bill server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillServerLogin {
    /// 1–64 characters.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The SFTP port.
    pub port: u16,
}

/// `bill-server host-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// No key is known: every server is refused.
    #[default]
    Refuse,
    /// The key whose SHA-256 fingerprint is this, as OpenSSH prints it: `SHA256:` and 43 characters of Base64.
    Pinned(String),
    /// The first key that is met, from then on.
    AcceptFirst,
}

/// How bills are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BillFormat {
    /// The text that a RADIUS server's detail reader replays.
    #[default]
    Detail = 1,
    /// A header line, then one bill per line.
    Csv = 2,
    /// One object per line.
    Json = 3,
}

impl BillFormat {
    /// All of them.
    pub const ALL: [BillFormat; 3] = [BillFormat::Detail, BillFormat::Csv, BillFormat::Json];

    /// The word in commands and manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            BillFormat::Detail => "detail",
            BillFormat::Csv => "csv",
            BillFormat::Json => "json",
        }
    }

    /// From the word.
    pub fn from_word(word: &str) -> Option<BillFormat> {
        BillFormat::ALL.into_iter().find(|format| format.as_str() == word)
    }
}

/// `local-bill cache replay`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BillReplay {
    /// Bills wait for the bill server.
    #[default]
    Disabled,
    /// All but those whose Start failed (owner's decision 4).
    Enabled,
    /// All.
    EnabledStartFailed,
}
