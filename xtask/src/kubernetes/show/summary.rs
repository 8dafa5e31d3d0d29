//! The summary that a pod of mirror prints when it ends.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, ensure};

/// A pod whose log is read until it ends.
pub(super) struct Followed {
    /// Its name.
    pub(super) pod: String,
    logs: Child,
    file: PathBuf,
}

/// What a pod said at its end.
pub(super) struct Summary {
    /// The account of the kernel program.
    pub(super) kernel: Account,
    /// That of the shadows.
    pub(super) shadows: Account,
}

/// A line of the summary: what was seen, and what became of it.
#[derive(Default)]
pub(super) struct Account {
    pub(super) line: String,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
}

impl Followed {
    /// `logs` prints the log of this pod, into `file`.
    pub(super) fn start(pod: String, mut logs: Command, file: PathBuf) -> anyhow::Result<Self> {
        let logs = logs.stdout(File::create(&file)?).spawn().context("kubectl: cannot be run")?;
        Ok(Self { pod, logs, file })
    }

    /// Waits for its end.
    pub(super) fn end(mut self) -> anyhow::Result<Summary> {
        self.logs.wait()?;
        let said = fs::read_to_string(&self.file)?;
        let mut accounts = Vec::new();
        for line in said.lines().filter(|line| line.contains("  seen ")) {
            accounts.push(Account::read(line)?);
        }
        let mut of = |title: &str| {
            let place = accounts.iter().position(|account| account.line.starts_with(title));
            let place = place.with_context(|| format!("{}: no {title:?} in:\n{said}", self.pod))?;
            anyhow::Ok(accounts.swap_remove(place))
        };
        Ok(Summary { kernel: of("kernel ")?, shadows: of("to shadow ")? })
    }
}

impl Account {
    /// Reads `to shadow  seen 3 = delivered 1 + queue_full 2`, whose sum must hold.
    fn read(line: &str) -> anyhow::Result<Self> {
        let number = |text: &str| {
            let digits = text.rsplit(' ').next().unwrap_or_default().replace(',', "");
            digits.parse::<u64>().with_context(|| format!("{line}: no number"))
        };
        let (seen, parts) = line.split_once(" = ").with_context(|| line.to_owned())?;
        let parts: Vec<u64> = parts.split(" + ").map(number).collect::<Result<_, _>>()?;
        ensure!(number(seen)? == parts.iter().sum::<u64>(), "{line}: the sum does not hold");
        let [delivered, dropped @ ..] = parts.as_slice() else { unreachable!("split gives one") };
        let dropped = dropped.iter().sum();
        Ok(Self { line: line.to_owned(), delivered: *delivered, dropped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_summary_is_read_and_its_sum_checked() {
        let line = "kernel             seen 1,162 = delivered 309 + not_tcp 11 + ring_full 842";
        let account = Account::read(line).unwrap();
        assert_eq!((account.delivered, account.dropped), (309, 853));
        assert_eq!(Account::read("to shadow  seen 3 = delivered 3").unwrap().dropped, 0);
        assert!(Account::read("to shadow  seen 4 = delivered 3").is_err());
        assert!(Account::read("to shadow  seen 4").is_err());
    }
}
