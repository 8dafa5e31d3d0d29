//! What the plan came to, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::differences::{self, Difference};
use super::judge::Sent;
use crate::config::file::File;
use crate::stats::grouped;

/// What differs, and what it would do.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Parts of the file, and what becomes of them.
    changes: Vec<Difference>,
    /// Requests that were captured.
    requests: u64,
    /// Of these, those that go to no target.
    nowhere: Nowhere,
    /// By target, of either file.
    targets: BTreeMap<String, Counts>,
}

#[derive(Debug, Default, Serialize)]
struct Nowhere {
    now: u64,
    then: u64,
}

/// Requests to one target.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// By the present file.
    now: u64,
    /// By the new one.
    then: u64,
    /// By the new one alone.
    new: u64,
    /// By the present one alone.
    gone: u64,
    /// By both, with other bytes: redaction, marks, headers, path, address.
    altered: u64,
    /// Those of `new`, by the rule that sends them.
    new_by_rule: BTreeMap<String, u64>,
}

impl Report {
    pub(super) fn new(present: &File, next: &File) -> Self {
        let names = [present, next].into_iter().flat_map(|file| &file.targets);
        Self {
            changes: differences::between(present, next),
            requests: 0,
            nowhere: Nowhere::default(),
            targets: names.map(|target| (target.name.clone(), Counts::default())).collect(),
        }
    }

    /// Counts a request.
    pub(super) fn count(&mut self, now: &Sent, then: &Sent) {
        self.requests += 1;
        self.nowhere.now += u64::from(now.to.is_empty());
        self.nowhere.then += u64::from(then.to.is_empty());
        for (name, counts) in &mut self.targets {
            let (now, then) = (now.to.get(name), then.to.get(name));
            counts.now += u64::from(now.is_some());
            counts.then += u64::from(then.is_some());
            match (now, then) {
                (None, Some(shadow)) => {
                    counts.new += 1;
                    *counts.new_by_rule.entry(shadow.rule.to_string()).or_default() += 1;
                }
                (Some(_), None) => counts.gone += 1,
                (Some(now), Some(then)) => counts.altered += u64::from(!now.is_as(then)),
                (None, None) => {}
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            writeln!(f, "The two files say the same.")?;
        } else {
            writeln!(f, "What differs:")?;
        }
        let width = self.changes.iter().map(|(part, _)| part.len()).max().unwrap_or_default();
        for (part, what) in &self.changes {
            writeln!(f, "  {part:width$}  {what}")?;
        }
        writeln!(f, "\nOf {} captured requests, nothing was sent:", grouped(self.requests))?;
        let width = self.targets.keys().map(String::len).max().unwrap_or_default().max(7);
        let row = |f: &mut fmt::Formatter<'_>, name: &str, cells: [String; 5]| {
            write!(f, "  {name:width$}")?;
            cells.iter().try_for_each(|cell| write!(f, "  {cell:>11}"))?;
            writeln!(f)
        };
        row(f, "to", ["now", "then", "new", "gone", "altered"].map(str::to_owned))?;
        for (name, Counts { now, then, new, gone, altered, .. }) in &self.targets {
            row(f, name, [*now, *then, *new, *gone, *altered].map(grouped))?;
        }
        let Nowhere { now, then } = self.nowhere;
        let none = String::new;
        row(f, "nowhere", [grouped(now), grouped(then), none(), none(), none()])?;
        for (name, counts) in &self.targets {
            for (rule, number) in &counts.new_by_rule {
                writeln!(f, "\n{} would be new to {name}, by rule {rule}", grouped(*number))?;
            }
        }
        Ok(())
    }
}
