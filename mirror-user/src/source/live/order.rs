//! Notices when another program goes before mirror's by TCX, or removes mirror's link.
//!
//! No event of the kernel tells of it, so the programs of each side are listed once a second. To open
//! the programs of others takes CAP_SYS_ADMIN, which the reader of packets does not keep: a thread of its
//! own does, and says which devices the reader has to attach to again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context;
use aya::programs::{SchedClassifier, TcAttachType};

use super::claim::Claim;
use super::clsact::Interference;
use crate::logging::emit;
use crate::privileges::{self, Duty};

/// How often the order is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Sides of devices that are looked at each time; of more, the next ones follow the next time. Each takes
/// some system calls for each of its programs.
const MAX_SIDES: usize = 64;

/// One side of a device, and mirror's program there.
pub(super) struct TcxSide {
    pub(super) device: u32,
    pub(super) name: String,
    pub(super) direction: TcAttachType,
    pub(super) program: u32,
}

/// What the reader and the thread share.
#[derive(Default)]
struct Shared {
    sides: Vec<TcxSide>,
    /// The side that is looked at next.
    next: usize,
    /// Devices whose programs have to be attached again.
    found: Vec<(u32, Interference)>,
}

/// The sides that are watched. The thread ends when this is dropped.
pub(super) struct OrderWatch {
    shared: Arc<Mutex<Shared>>,
}

impl OrderWatch {
    /// Starts the thread, unless this process may not open the programs of others.
    ///
    /// # Errors
    /// When no thread could be started.
    pub(super) fn start() -> anyhow::Result<Option<Self>> {
        if !privileges::is_admin() {
            return Ok(None);
        }
        let shared = Arc::<Mutex<Shared>>::default();
        let weak = Arc::downgrade(&shared);
        std::thread::Builder::new()
            .name("order".into())
            .spawn(move || watch(&weak))
            .context("order: no thread could be started")?;
        Ok(Some(Self { shared }))
    }

    /// Watches these sides from now on.
    pub(super) fn set(&self, sides: Vec<TcxSide>) {
        let mut shared = lock(&self.shared);
        shared.sides = sides;
        shared.found.clear();
    }

    /// Takes what was found.
    pub(super) fn take(&self) -> Vec<(u32, Interference)> {
        std::mem::take(&mut lock(&self.shared).found)
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(shared: &Weak<Mutex<Shared>>) {
    if let Err(error) = privileges::keep_for(Duty::Guard) {
        emit!(PrivilegesKept, thread = "order", "{error:#}");
    }
    let ticks = crossbeam_channel::tick(INTERVAL);
    while ticks.recv().is_ok() {
        let Some(shared) = shared.upgrade() else { return };
        look(&mut lock(&shared));
    }
}

fn look(shared: &mut Shared) {
    let Shared { sides, next, found } = shared;
    for _ in 0..sides.len().min(MAX_SIDES) {
        *next = next.saturating_add(1);
        let Some(side) = next.checked_rem(sides.len()).and_then(|at| sides.get(at)) else { return };
        if let Some(interference) = interference(side)
            && !found.iter().any(|(device, _)| *device == side.device)
        {
            found.push((side.device, interference));
        }
    }
}

/// What another program did to mirror's link on this side; `None` also if the device is gone.
fn interference(side: &TcxSide) -> Option<Interference> {
    let (_, programs) = SchedClassifier::query_tcx(&side.name, side.direction).ok()?;
    let Some(here) = programs.iter().position(|program| program.id() == side.program) else {
        return Some(Interference::FilterRemoved);
    };
    let is_foreign = |id: u32| Claim::exists_on(id) != Some(true);
    let before = programs.get(..here).unwrap_or_default();
    before.iter().any(|program| is_foreign(program.id())).then_some(Interference::Overtaken)
}
