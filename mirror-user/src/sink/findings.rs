//! Reports where secrets and personal data were found, and how often: for `inspect
//! --find-personal-data`. Reports places, detectors and counts, never a value.

use std::io::Write;
use std::sync::Arc;

use crate::http::message::Moment;
use crate::rules::Cleared;
use crate::rules::redact::Redactor;
use crate::sink::Sink;
use crate::stats::{Account, Seam};

/// Reports at the end what the redactor found.
pub struct Findings {
    redactor: Arc<Redactor>,
    /// One JSON object per line, not a table.
    json: bool,
    out: Box<dyn Write + Send>,
    seen: u64,
}

impl Findings {
    /// Writes what this redactor finds to `out`.
    #[must_use]
    pub fn new(redactor: Arc<Redactor>, json: bool, out: Box<dyn Write + Send>) -> Self {
        Self { redactor, json, out, seen: 0 }
    }
}

impl Sink for Findings {
    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        self.seen += u64::from(cleared.exchange().moment == Moment::Ended);
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let findings = self.redactor.findings();
        if !self.json && !findings.is_empty() {
            writeln!(self.out, "{:8}  {:14}  {:>9}  PLACE", "MESSAGE", "WHAT", "COUNT")?;
        }
        for finding in &findings {
            if self.json {
                serde_json::to_writer(&mut self.out, finding)?;
                writeln!(self.out)?;
            } else {
                writeln!(self.out, "{finding}")?;
            }
        }
        Ok(self.out.flush()?)
    }

    fn account(&self) -> Account {
        Account { seen: self.seen, delivered: self.seen, ..Account::new(Seam::Exchanges) }
    }
}
