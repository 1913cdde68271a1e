//! Who may do what in a shell (BEHAVIOUR.md 2.4).

/// What somebody may do. Each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShellLevel {
    /// See: commands of the vendor's levels 0 and 1.
    Monitoring,
    /// Configure: level 2.
    Configuration,
    /// Everything: level 3.
    Management,
}

impl ShellLevel {
    /// All of them, from the least.
    pub const ALL: [ShellLevel; 3] = [ShellLevel::Monitoring, ShellLevel::Configuration, ShellLevel::Management];

    /// Whether it allows commands of this level, 0–3.
    pub fn allows(self, level: u8) -> bool {
        level
            <= match self {
                ShellLevel::Monitoring => 1,
                ShellLevel::Configuration => 2,
                ShellLevel::Management => 3,
            }
    }

    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            ShellLevel::Monitoring => "monitoring",
            ShellLevel::Configuration => "configuration",
            ShellLevel::Management => "management",
        }
    }
}
