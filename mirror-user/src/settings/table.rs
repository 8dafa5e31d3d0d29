//! The table of all settings, for `mirror config settings` and `docs/configuration.md`.

use super::define::{Setting, Settings, Slot, Visit};
use super::{
    AdminSettings, BodySettings, CompareSettings, DashboardSettings, HookSettings, MetricsSettings,
    NoiseSettings, PaceSettings, RedactSettings, SourceSettings, StoreSettings, TargetSettings,
};

/// All settings as a Markdown table, by their keys in a file.
pub(crate) fn all() -> String {
    [
        HEAD,
        &rows::<SourceSettings>("source"),
        &rows::<PaceSettings>("pace"),
        &rows::<NoiseSettings>(""),
        &rows::<BodySettings>(""),
        &rows::<RedactSettings>("redact"),
        &rows::<AdminSettings>("admin"),
        &rows::<MetricsSettings>("metrics"),
        &rows::<DashboardSettings>("dashboard"),
        &rows::<StoreSettings>("store"),
        &rows::<HookSettings>("hooks"),
        &rows::<TargetSettings>("targets.NAME"),
        &rows::<CompareSettings>("targets.NAME.compare"),
    ]
    .concat()
}

const HEAD: &str = "| key | flag, environment variable | value | default | a change takes effect |\n|---|---|---|---|---|\n";

fn rows<G: Settings>(path: &str) -> String {
    let mut table = Table { path: path.to_owned(), rows: String::new() };
    G::default().visit(&G::default(), &mut table);
    table.rows
}

struct Table {
    path: String,
    rows: String,
}

impl Table {
    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl Visit for Table {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, _: &mut S, _: &S) {
        let flag = setting.flag().map(|flag| format!("`--{flag}`"));
        let variable = (!setting.env.is_empty()).then(|| format!("`{}`", setting.env));
        let ways: Vec<String> = flag.into_iter().chain(variable).collect();
        let ways = ways.join(", ");
        let takes = setting.takes;
        let (key, value, default) = (self.name(setting.key), S::unit(), setting.default);
        let row = format!("| `{key}` | {ways} | {value} | {default} | {takes} |\n");
        self.rows.push_str(&row);
    }

    fn group<G: Settings>(&mut self, key: Option<&'static str>, own: &mut G, other: &G) {
        match key {
            None => own.visit(other, self),
            Some(key) => self.rows.push_str(&rows::<G>(&self.name(key))),
        }
    }
}
