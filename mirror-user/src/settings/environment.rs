//! Settings that the environment gives, as in a container. A variable stands for a flag and goes before the
//! file. Flags read theirs themselves; this is for files whose command has not got the flag, such as that of
//! `mirror run`.

use std::env;

use anyhow::anyhow;

use super::define::{Setting, Settings, Slot, Visit};

/// The settings that environment variables give; an empty variable gives none.
///
/// # Errors
/// The first variable that cannot be read, with what to write.
pub(crate) fn environment<G: Settings>() -> anyhow::Result<G> {
    // Bytes that are not UTF-8 make it a path that is not there, which is reported.
    given_by(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

fn given_by<G: Settings>(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<G> {
    let mut given = G::default();
    let mut visit = Given { variable, wrong: None };
    given.visit(&G::default(), &mut visit);
    visit.wrong.map_or(Ok(given), |wrong| Err(anyhow!(wrong)))
}

struct Given<F> {
    variable: F,
    /// The first problem.
    wrong: Option<String>,
}

impl<F: Fn(&str) -> Option<String>> Visit for Given<F> {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        if setting.env.is_empty() {
            return;
        }
        let Some(text) = (self.variable)(setting.env).filter(|text| !text.is_empty()) else {
            return;
        };
        match S::parse(setting, &text) {
            Ok(value) => *own = value,
            Err(wrong) => {
                let name = setting.env;
                self.wrong.get_or_insert_with(|| format!("{name}: {text:?}: write {wrong}"));
            }
        }
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, other: &G) {
        own.visit(other, self);
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public structs")]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::RedactSettings;
    use super::super::define::settings;
    use super::*;

    settings! {
        /// One of each kind.
        pub struct Sample under "Sample", changed AtOnce {
            /// How long
            setting time: Option<Duration> { key: "time", env: "SAMPLE_TIME" }
            /// Not by the environment
            setting other: Option<Duration> { key: "other" }
        }
    }

    fn sample(value: &str) -> anyhow::Result<Sample> {
        given_by(|name| (name == "SAMPLE_TIME").then(|| value.to_owned()))
    }

    #[test]
    fn a_variable_is_parsed_as_its_flag_is() {
        let five = Some(Duration::from_secs(5));
        assert_eq!(sample("5s").unwrap(), Sample { time: five, other: None });
        assert_eq!(sample("").unwrap(), Sample::default());
        let wrong = format!("{:#}", sample("soon").unwrap_err());
        assert!(wrong.starts_with("SAMPLE_TIME: \"soon\": write "), "{wrong}");
    }

    #[test]
    fn every_setting_with_a_variable_is_of_one_value() {
        let given: RedactSettings = given_by(|_| Some("/a".to_owned())).unwrap();
        assert_eq!(given.key_file, Some(PathBuf::from("/a")));
    }
}
