//! What shells and man(1) are told about the command line, made from its definition.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, complete};

/// `mirror completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `mirror man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write `mirror.1` and a page of each command into this directory, which must exist
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Writes the script for `mirror completions` to `out`.
///
/// # Errors
/// If `out` cannot be written.
pub fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> io::Result<()> {
    // Into memory first: the generator panics where `out` is a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mirror", &mut script);
    out.write_all(&script)
}

/// Writes the manual page for `mirror man` to `out`, or all pages into the directory.
///
/// # Errors
/// If they cannot be written; the message names the directory.
pub fn man(args: &ManArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match &args.to {
        Some(folder) => clap_mangen::generate_to(complete(), folder)
            .with_context(|| format!("{}: manual pages cannot be written", folder.display())),
        None => Ok(clap_mangen::Man::new(complete()).render(&mut &mut *out)?),
    }
}
