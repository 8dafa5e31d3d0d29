//! Settings that exist both as flags and as keys of the configuration file. Each is defined once.
//!
//! An entry of a `settings!` block gives a setting's field and type, help, flag, key, default, conflicts,
//! and when a change takes effect. Derived from it are the flags (`flags`), the reader and the printer of
//! the file (`read`, `print`), its JSON Schema (`schema`), the table in `docs/configuration.md` (`table`),
//! the overlay of flags over a file (`overlay`), environment variables over a file
//! (`environment`), and the list of changes that need a restart (`changes`).
//! The structs are plain data: a setting that was not given is `None`, empty or `false`, and the module
//! that uses it applies the default.
//!
//! To add a setting, add an entry here and the code that uses its field. To use a new value type, add it
//! to `value`.

mod admin;
mod body_mark;
pub(crate) mod changes;
mod compare;
pub(crate) mod define;
mod environment;
mod fields;
pub(crate) mod flags;
mod hooks;
mod load;
mod marks;
mod metrics;
mod overlay;
mod pace;
pub(crate) mod print;
pub(crate) mod read;
mod redact;
pub(crate) mod schema;
mod shares;
mod slot;
mod snaplen;
mod source;
mod stream;
mod stub;
pub(crate) mod table;
mod target;
mod value;

#[cfg(test)]
mod tests;

pub use self::admin::{AdminSettings, AdminTlsSettings};
pub use self::body_mark::{BodyFields, BodyMarkSettings, JsonMarks};
pub use self::compare::{CompareSettings, DashboardSettings, StoreSettings};
pub(crate) use self::environment::environment;
pub use self::fields::FieldLines;
pub use self::hooks::HookSettings;
pub use self::load::{LoadSettings, RampSettings};
pub use self::marks::{MarkSettings, NoiseSettings};
pub use self::metrics::MetricsSettings;
pub(crate) use self::overlay::over;
pub use self::pace::{BodySettings, CopyCount, PaceSettings, Speed};
pub use self::redact::RedactSettings;
pub use self::shares::{CpuLimit, FailureShare, MemoryLimit, Percent, Threshold};
pub use self::snaplen::SnaplenPart;
pub use self::source::{FilterSettings, GuardSettings, SourceSettings};
pub use self::stream::{StreamSourceSettings, StreamTargetSettings};
pub use self::stub::StubFileSettings;
pub use self::target::{
    BreakerSettings, HeaderSettings, HealthSettings, TargetSettings, TlsSettings,
};
