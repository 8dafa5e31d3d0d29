//! Commands of the operator at the turning points of a run: before it, when it is ready, after it.
//!
//! A confined process can start no program (Landlock), and threads keep no capability that they do not need. So a helper
//! is started before anything else: the same binary, in a process group of its own, which knows the commands from its
//! first line of input and then runs the one that it is asked for by name (`helper`). Whoever takes over the confined
//! process can have the operator's commands run, and no other. The helper ends, and ends what it runs, when its pipe is
//! closed; however this process ends, the kernel closes it.
//!
//! It has the rights that `mirror` was started with, as the commands need them. What commands print goes to standard error.

mod helper;

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

pub use self::helper::serve;
use crate::logging::emit;

/// The hidden subcommand of the helper.
pub const HELPER: &str = "hooks-helper";

/// How often whoever waits for a command may look at something else.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The longest line of the helper's: an error with the names of programs.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// A turning point.
#[derive(Clone, Copy, Debug, EnumString, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub enum Hook {
    /// Before anything is opened, and before each further pass over recordings.
    BeforeRun,
    /// Everything is open, and nothing was read.
    OnReady,
    /// After the run, and after each pass.
    AfterRun,
}

/// The commands, and what they are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Program and arguments; empty: none.
    pub before_run: Vec<String>,
    /// The same.
    pub on_ready: Vec<String>,
    /// The same.
    pub after_run: Vec<String>,
    /// For each of them to end.
    pub timeout: Duration,
    /// Where to ask for the position of production's write-ahead log: a connection string.
    pub wal_lsn: Option<String>,
    /// The name of the run, which its shadows bear.
    pub run: String,
    /// How often recordings are read.
    pub passes: u32,
    /// When the run was started, and when what it reads begins, by RFC 3339.
    pub started: String,
    /// The same; `None`: not known.
    pub capture_start: Option<String>,
}

impl Plan {
    /// The command of this hook; empty: none.
    fn command(&self, hook: Hook) -> &[String] {
        match hook {
            Hook::BeforeRun => &self.before_run,
            Hook::OnReady => &self.on_ready,
            Hook::AfterRun => &self.after_run,
        }
    }
}

/// The hooks of a run. A cheap handle.
#[derive(Clone)]
pub struct Hooks {
    plan: Arc<Plan>,
    state: Arc<Mutex<State>>,
}

struct State {
    helper: Helper,
    /// The pass over recordings, from 1.
    pass: u32,
    /// `before-run` has run for this pass, and `after-run` has not.
    is_begun: bool,
}

impl Hooks {
    /// Starts the helper. Call it before this process confines itself or drops a capability.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(plan: Plan) -> anyhow::Result<Self> {
        let helper = Helper::start(&plan).context("hooks: their helper cannot be started")?;
        let state = State { helper, pass: 1, is_begun: false };
        Ok(Self { plan: Arc::new(plan), state: Arc::new(Mutex::new(state)) })
    }

    /// Runs `before-run`, for the first pass or the next one. `goes_on` is asked all the time; where it says no, the
    /// command is ended.
    ///
    /// # Errors
    /// If the command fails or takes too long.
    pub fn begin_pass(&self, goes_on: impl FnMut() -> bool) -> anyhow::Result<()> {
        self.run(Hook::BeforeRun, goes_on)?;
        self.with_state(|state| state.is_begun = true);
        Ok(())
    }

    /// Runs `on-ready`.
    ///
    /// # Errors
    /// As [`begin_pass`](Self::begin_pass).
    pub fn ready(&self, goes_on: impl FnMut() -> bool) -> anyhow::Result<()> {
        self.run(Hook::OnReady, goes_on)
    }

    /// Runs `after-run` of the pass that has begun; none if none has.
    ///
    /// # Errors
    /// As [`begin_pass`](Self::begin_pass).
    pub fn end_pass(&self, goes_on: impl FnMut() -> bool) -> anyhow::Result<()> {
        if !self.with_state(|state| std::mem::take(&mut state.is_begun)) {
            return Ok(());
        }
        let ended = self.run(Hook::AfterRun, goes_on);
        self.with_state(|state| state.pass = state.pass.saturating_add(1));
        ended
    }

    fn with_state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn run(&self, hook: Hook, goes_on: impl FnMut() -> bool) -> anyhow::Result<()> {
        let command = self.plan.command(hook);
        let Some(program) = command.first() else { return Ok(()) };
        let name: &str = hook.into();
        let pass = self
            .with_state(|state| state.helper.run(hook, state.pass, goes_on).map(|()| state.pass));
        let pass = pass.with_context(|| format!("hooks.{name}: {program}"))?;
        emit!(HookDone, hook = name, pass, "hooks: {name} is done (pass {pass})");
        Ok(())
    }
}

/// The helper, as its parent has it.
struct Helper {
    process: Child,
    /// Closing it ends the helper.
    asks: Option<ChildStdin>,
    answers: ChildStdout,
}

impl Helper {
    fn start(plan: &Plan) -> anyhow::Result<Self> {
        let mut process = Command::new("/proc/self/exe")
            .arg0("mirror")
            .arg(HELPER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for this process, which asks for `after-run` then.
            .process_group(0)
            .spawn()?;
        let asks = process.stdin.take().context("it has no input")?;
        let answers = process.stdout.take().context("it has no output")?;
        let mut helper = Self { process, asks: Some(asks), answers };
        helper.say(&serde_json::to_string(plan)?)?;
        Ok(helper)
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        let asks = self.asks.as_mut().context("its helper has ended")?;
        writeln!(asks, "{line}").and_then(|()| asks.flush()).context("its helper has ended")
    }

    fn run(
        &mut self,
        hook: Hook,
        pass: u32,
        mut goes_on: impl FnMut() -> bool,
    ) -> anyhow::Result<()> {
        self.say(&format!("{} {pass}", <&str>::from(hook)))?;
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            if !self.has_answer()? {
                if goes_on() {
                    continue;
                }
                self.asks = None;
                bail!("it was ended, as the run was stopped");
            }
            let mut block = [0; 1024];
            let length = self.answers.read(&mut block).context("its helper has ended")?;
            if length == 0 || line.len() > MAX_LINE_BYTES {
                bail!("its helper has ended");
            }
            line.extend_from_slice(block.get(..length).unwrap_or_default());
        }
        match String::from_utf8_lossy(&line).trim_end() {
            helper::DONE => Ok(()),
            why => Err(anyhow!("{why}")),
        }
    }

    /// Waits a moment for an answer.
    fn has_answer(&self) -> anyhow::Result<bool> {
        let mut one = [PollFd::new(&self.answers, PollFlags::IN)];
        match poll(&mut one, Some(&LOOK)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(io::Error::from(error)).context("its helper cannot be waited for"),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.asks = None;
        // It ends what it runs first, which takes some seconds at most.
        let _ = self.process.wait();
    }
}
