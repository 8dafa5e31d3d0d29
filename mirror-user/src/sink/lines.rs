//! Exchanges as lines of text: what all forms of it share.

use std::io::{self, BufWriter, Write};

use crate::http::message::Moment;
use crate::rules::Cleared;
use crate::sink::Sink;
use crate::stats::Account;

/// One form of an exchange as text.
pub trait Form: Send {
    /// Writes what stands above the first exchange.
    ///
    /// # Errors
    /// When `out` takes nothing any more.
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        let _ = out;
        Ok(())
    }

    /// Writes one exchange; `interface` is the name of the interface on which it was seen.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and when a body that was kept in a file cannot be read.
    fn write(&self, cleared: &Cleared, interface: &str, out: &mut dyn Write) -> io::Result<()>;
}

/// Writes each exchange when nothing more will come of it.
pub struct Lines {
    form: Box<dyn Form>,
    out: BufWriter<Box<dyn Write + Send>>,
    interfaces: Vec<String>,
    seen: u64,
    written: u64,
}

impl Lines {
    /// Lines of this form to `out`.
    #[must_use]
    pub fn new(form: Box<dyn Form>, out: Box<dyn Write + Send>) -> Self {
        Self { form, out: BufWriter::new(out), interfaces: Vec::new(), seen: 0, written: 0 }
    }
}

impl Sink for Lines {
    fn interfaces(&mut self, names: &[String]) {
        self.interfaces = names.to_vec();
    }

    fn accept(&mut self, cleared: &Cleared) -> anyhow::Result<()> {
        let exchange = cleared.exchange();
        if exchange.moment != Moment::Ended {
            return Ok(());
        }
        self.seen += 1;
        if self.seen == 1 {
            self.form.begin(&mut self.out)?;
        }
        let interface = self.interfaces.get(exchange.peers.interface.0 as usize);
        self.form.write(cleared, interface.map_or("", String::as_str), &mut self.out)?;
        self.written += 1;
        Ok(())
    }

    fn idle(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }

    fn account(&self) -> Account {
        let failed = self.seen - self.written;
        let dropped = if failed > 0 { vec![("write_failed", failed)] } else { vec![] };
        Account { name: "exchanges", seen: self.seen, delivered: self.written, dropped }
    }
}
