//! `mirror config convert`.

use std::fs::File;
use std::io::{self, Read, Write};

use anyhow::{Context, bail, ensure};

use super::{Fate, MAX_FILE_BYTES, Options, Origin, convert};
use crate::cli::{ConvertArgs, FilterArgs, OriginArg, SourceArgs};

/// Writes the native file to `out` and what became of other fields to `notes`.
///
/// # Errors
/// When the file cannot be read, or something in it was refused.
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
    let source = SourceArgs {
        from: vec![args.interface.clone()],
        filter: FilterArgs { ports: args.ports.clone(), ..FilterArgs::default() },
        ..SourceArgs::default()
    };
    let options = Options { source, gateway: args.gateway.clone(), subsets: args.subsets.clone() };
    let conversion = convert(args.from.into(), &text, &options);
    for finding in &conversion.findings {
        writeln!(notes, "{name}:{finding}")?;
    }
    let Some(native) = conversion.native else {
        let refused = conversion.findings.iter().filter(|one| one.fate == Fate::Refused).count();
        bail!("{name}: {refused} refused; nothing was converted");
    };
    write!(out, "# From {name} by mirror config convert.\n{native}")?;
    Ok(())
}

impl From<OriginArg> for Origin {
    fn from(arg: OriginArg) -> Self {
        match arg {
            OriginArg::Istio => Self::Istio,
            OriginArg::GatewayApi => Self::GatewayApi,
        }
    }
}
