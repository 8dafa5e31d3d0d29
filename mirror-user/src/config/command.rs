//! `mirror config`: checks, shows and converts configuration files, and prints their schema.

use std::fs::File as Opened;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};

use super::convert;
use super::file::{File, MAX_FILE_BYTES, schema};
use crate::cli::ConfigCommand;
use crate::settings::{environment, over, table};

/// Runs a subcommand of `mirror config`.
///
/// # Errors
/// If the file cannot be read, or all of its problems.
pub fn run(command: &ConfigCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check { file } => {
            let File { targets, rules, .. } = read(file)?;
            let name = file.display();
            writeln!(out, "{name}: valid; {} targets, {} rules", targets.len(), rules.len())?;
        }
        ConfigCommand::Show { file } => out.write_all(read(file)?.to_yaml().as_bytes())?,
        ConfigCommand::Convert(args) => convert::run(args, out, &mut std::io::stderr())?,
        ConfigCommand::Settings => out.write_all(table::all().as_bytes())?,
        ConfigCommand::Schema => out.write_all(schema().as_bytes())?,
    }
    Ok(())
}

/// Reads and checks a configuration file; `-` is standard input.
pub(super) fn read(path: &Path) -> anyhow::Result<File> {
    parse(path, &text(path)?)
}

/// Reads the file's text, up to the limit of the parser.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let input: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(Opened::open(path).with_context(|| format!("{name}: cannot be read"))?),
    };
    let mut bytes = Vec::new();
    let longest = MAX_FILE_BYTES as u64 + 1;
    input
        .take(longest)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{name}: cannot be read"))?;
    String::from_utf8(bytes).with_context(|| format!("{name}: not UTF-8; is this the right file?"))
}

/// Reads the file of a run: what the environment gives goes before it.
pub(crate) fn parse_for_run(path: &Path, text: &str) -> anyhow::Result<File> {
    let file = parse(path, text)?;
    let redact = over(environment()?, &file.redact);
    let source = over(environment()?, &file.source);
    Ok(File { source, redact, ..file })
}

pub(crate) fn parse(path: &Path, text: &str) -> anyhow::Result<File> {
    match File::parse(text) {
        Ok(file) => Ok(file),
        Err(problems) => bail!("{}", problems.render(&path.display().to_string())),
    }
}
