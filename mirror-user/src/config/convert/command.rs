//! `mirror config convert`.

use std::fs::File;
use std::io::{self, Read, Write};

use anyhow::{Context, bail, ensure};

use super::{MAX_FILE_BYTES, Options, Outcome, convert};
use crate::cli::ConvertArgs;
use crate::settings::{FilterSettings, SourceSettings};

/// Writes the native file to `out`, and findings about fields to `notes`.
///
/// # Errors
/// If the file cannot be read, or something in it was refused.
pub fn run(args: &ConvertArgs, out: &mut dyn Write, notes: &mut dyn Write) -> anyhow::Result<()> {
    let name = args.file.display();
    let input: Box<dyn Read> = match args.file.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(&args.file).with_context(|| name.to_string())?),
    };
    let mut text = String::new();
    input
        .take(MAX_FILE_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .with_context(|| name.to_string())?;
    ensure!(
        text.len() <= MAX_FILE_BYTES,
        "{name}: longer than {MAX_FILE_BYTES} bytes; convert it in parts"
    );
    let source = SourceSettings {
        from: vec![args.interface.clone()],
        filter: FilterSettings { ports: args.ports.clone(), ..FilterSettings::default() },
        ..SourceSettings::default()
    };
    let options = Options { source, gateway: args.gateway.clone(), subsets: args.subsets.clone() };
    let conversion = convert(args.from, &text, &options);
    for finding in &conversion.findings {
        writeln!(notes, "{name}:{finding}")?;
    }
    let Some(native) = conversion.native else {
        let refused =
            conversion.findings.iter().filter(|one| one.outcome == Outcome::Refused).count();
        bail!("{name}: {refused} refused; nothing was converted");
    };
    write!(out, "# From {name} by mirror config convert.\n{native}")?;
    Ok(())
}
