//! The process that runs hooks: one line in with all commands, then one line in for each that is to run, and one out for
//! what became of it. It ends when nobody can ask any more.

use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{Hook, Plan};
use crate::command::{Output, Running};
use crate::psql;

/// What is said of a command that has succeeded.
pub(super) const DONE: &str = "done";

/// Serves the process that has started this one.
///
/// # Errors
/// If it was started by something else.
pub fn serve() -> anyhow::Result<()> {
    // A service manager tells all processes of a service to end; `after-run` is still to come then. Commands get the
    // signals' defaults back, as handlers do not survive exec.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::<AtomicBool>::default())
            .context("signals: cannot be handled")?;
    }
    let (asks, mut answers) = (io::stdin(), io::stdout());
    let mut lines = asks.lock().lines();
    let first = lines.next().context("it is started by `mirror run`")??;
    let plan: Plan = serde_json::from_str(&first).context("it is started by `mirror run`")?;
    for line in lines {
        let said = match asked(&line?) {
            Some((hook, pass)) => run(&plan, hook, pass).err().unwrap_or_else(|| DONE.to_owned()),
            None => "no hook is called so".to_owned(),
        };
        // Without anybody who reads it, the next line is the end.
        let _ = writeln!(answers, "{}", said.replace('\n', " ")).and_then(|()| answers.flush());
    }
    Ok(())
}

/// `before-run 2`.
fn asked(line: &str) -> Option<(Hook, u32)> {
    let (hook, pass) = line.split_once(' ')?;
    Some((hook.parse().ok()?, pass.parse().ok()?))
}

fn run(plan: &Plan, hook: Hook, pass: u32) -> Result<(), String> {
    let mut environment = vec![
        ("MIRROR_HOOK", <&str>::from(hook).to_owned()),
        ("MIRROR_RUN", plan.run.clone()),
        ("MIRROR_PASS", pass.to_string()),
        ("MIRROR_PASSES", plan.passes.to_string()),
        ("MIRROR_STARTED", plan.started.clone()),
    ];
    environment.extend(plan.capture_start.clone().map(|at| ("MIRROR_CAPTURE_START", at)));
    let stdin = io::stdin();
    let parent = stdin.as_fd();
    if let Some(database) = &plan.wal_lsn {
        let said =
            psql::ask(database, &["SELECT pg_current_wal_lsn()"], plan.timeout, Some(parent));
        let position = said.map_err(|why| format!("hooks.wal-lsn: {why}"))?;
        environment.push(("MIRROR_WAL_LSN", position.trim().to_owned()));
    }
    let running = Running::start(plan.command(hook), &environment, Output::Shown)?;
    running.finish(plan.timeout, Some(parent)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_asked_for_by_its_name_and_the_pass() {
        assert_eq!(asked("after-run 12"), Some((Hook::AfterRun, 12)));
        assert_eq!(asked("on-ready 1"), Some((Hook::OnReady, 1)));
        for other in ["", "on-ready", "on-ready x", "rm 1", "before-run 1 2"] {
            assert_eq!(asked(other), None, "{other}");
        }
    }
}
