//! The settings: what flags and the configuration file say alike, each defined once.
//!
//! An entry of a `settings!` block gives a setting's field and type, help, flag, key, default, what it
//! cannot be given beside, and when a change takes effect. Made of that are the flags (`flags`), the reader
//! and the printer of the file (`read`, `print`), its JSON Schema (`schema`), the table in
//! `docs/configuration.md` (`table`), the overlay of flags over a file (`overlay`), and what a reload cannot
//! change (`changes`). The structs are plain: a field that nobody gave is `None`, empty or
//! `false`; what holds then is for the module that it is for.
//!
//! A setting is added by an entry here and the code that uses the field. A type that no setting has yet
//! is added to `value`.

pub(crate) mod changes;
pub(crate) mod define;
mod fields;
pub(crate) mod flags;
mod load;
mod marks;
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
pub(crate) mod table;
mod target;
mod value;

#[cfg(test)]
mod tests;

pub use self::fields::FieldLines;
pub use self::load::{LoadSettings, RampSettings};
pub use self::marks::{MarkSettings, NoiseSettings};
pub(crate) use self::overlay::over;
pub use self::pace::{BodySettings, CopyCount, PaceSettings, Speed};
pub use self::redact::RedactSettings;
pub use self::shares::{CpuLimit, FailureShare, MemoryLimit, Percent, Threshold};
pub use self::snaplen::SnaplenPart;
pub use self::source::{FilterSettings, GuardSettings, SourceSettings};
pub use self::target::{BreakerSettings, HeaderSettings, TargetSettings, TlsSettings};
