//! The command `mirror`: parse, configure, run, exit code.
#![forbid(unsafe_code)]
#![deny(clippy::print_stderr)] // It panics where standard error is closed.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use mirror_user::cli::{Cli, Command, DoctorArgs};
use mirror_user::config::{Config, Preflight, SummaryForm};
use mirror_user::logging::{Log, Options};
use mirror_user::shutdown::Stop;
use mirror_user::summary::Summary;
use mirror_user::{cli, compare, config, demo, doctor, fleet, hooks, logging, run};

/// Exit code for "could not do it"; clap's own for a command line that cannot be read.
const COULD_NOT: u8 = 2;

fn main() -> ExitCode {
    let Cli { command, log } = Cli::read();
    let options = Options::new(log.log_format, log.log_level);
    let log = Log::start(options.as_ref().map(Options::clone).unwrap_or_default());
    match options.and_then(|_| carry_out(command, &log)) {
        Ok(code) => code,
        // Whoever read standard output has seen enough, as with `mirror inspect … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            logging::failed(&error);
            ExitCode::from(COULD_NOT)
        }
    }
}

/// The exit code: success when all went well, another one when it was done, and what was asked for does not hold.
fn carry_out(command: Command, log: &Log) -> anyhow::Result<ExitCode> {
    // A run that follows its file reads it again at SIGHUP.
    let reloads = matches!(command, Command::Run(_));
    let config = match &command {
        Command::Replay(args) => Config::for_replay(args)?,
        Command::Capture(args) => Config::for_capture(args)?,
        Command::Inspect(args) => Config::for_inspect(args)?,
        Command::Config(args) => {
            return config::command::run(&args.command, &mut io::stdout()).map(|()| code(true));
        }
        Command::Run(args) if args.plan.plan.is_some() => {
            let report = run::plan::run(args)?;
            let json = args.report.json.then(|| serde_json::to_string(&report)).transpose()?;
            let text = json.map_or_else(|| report.to_string(), |json| json + "\n");
            return Ok(io::stdout().write_all(text.as_bytes()).map(|()| code(true))?);
        }
        Command::Run(args) => Config::for_run(args)?,
        Command::Compare(args) => {
            return compare::run(args, &mut io::stdout()).map(ExitCode::from);
        }
        Command::Stub(args) => {
            let ended = run::stub::run(args, &mut io::stdout());
            // Misses may repeat.
            let _ = log.finish();
            return ended.map(code);
        }
        Command::Doctor(args) => return run_doctor(args).map(code),
        Command::Fleet(args) => {
            return fleet::run(args, &mut io::stdout()).map(|()| code(true));
        }
        Command::Demo(args) => {
            return demo::run(args, &mut io::stdout()).map(|()| code(true));
        }
        Command::Completions(args) => {
            return Ok(cli::completions(args, &mut io::stdout()).map(|()| code(true))?);
        }
        Command::HooksHelper => return hooks::serve().map(|()| code(true)),
        Command::Man(args) => return cli::man(args, &mut io::stdout()).map(|()| code(true)),
    };
    let stop = Stop::on_signals()?;
    if !reloads {
        stop.on_hangup()?;
    }
    let (form, report, store) = (config.summary_form(), config.report_file(), config.store());
    let (mut summary, outcome) = run::carry_out(config, &stop)?;
    summary.snapshot.notes.extend(log.finish());
    // A full disk must not hide how the run ended.
    if let Some(Err(error)) = report.map(|report| report.write(&summary)) {
        logging::failed(&error);
    }
    // What could not be stored is no reason to lose the summary.
    let closed = store.map_or(Ok(()), |store| store.close());
    outcome.and(tell(&summary, form)).and(closed)?;
    Ok(code(!summary.failed()))
}

fn code(holds: bool) -> ExitCode {
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_doctor(args: &DoctorArgs) -> anyhow::Result<bool> {
    let out = &mut io::stdout();
    if let Some(preflight) = Preflight::new(args)? {
        return doctor::preflight::run(&preflight, args.json, out);
    }
    match (&args.watch, Config::for_watch(args)?) {
        (Some(interface), Some(capture)) => doctor::watch::run(interface, capture, args.json, out),
        _ => doctor::run(args.json, out).map(|()| true),
    }
}

fn tell(summary: &Summary, form: SummaryForm) -> anyhow::Result<()> {
    for warning in &summary.warnings {
        logging::warning(warning);
    }
    // Not `print!`, which panics where the reader of a pipe has seen enough.
    match form {
        SummaryForm::Text => write!(io::stdout(), "{summary}")?,
        SummaryForm::TextOnStderr => write!(io::stderr(), "{summary}")?,
        SummaryForm::Json => writeln!(io::stdout(), "{}", serde_json::to_string(summary)?)?,
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
