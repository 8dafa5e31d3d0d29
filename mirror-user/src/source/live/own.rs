//! Mirror's own sockets, as the kernel program knows them. Beside `kernel`, `control` and `meter` the
//! only file that knows `aya`.
//!
//! A note is kept by the socket itself (`BPF_MAP_TYPE_SK_STORAGE`): nothing of the packets changes, as it
//! would by a mark that other software on the host reads in its own way, and a note goes with its socket.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aya::maps::{MapData, SkStorage};

/// Takes note of sockets that connect to targets, so that their packets are not copied. Cheap to clone;
/// all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct OwnSockets(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Empty until the program is loaded: before that nothing is copied.
    notes: OnceLock<Mutex<SkStorage<MapData, u8>>>,
    /// Why the kernel refused a note first.
    refused: OnceLock<String>,
}

impl OwnSockets {
    /// From now on the program that has this map knows of them.
    pub(super) fn are_known_by(&self, notes: SkStorage<MapData, u8>) {
        // One source loads one program.
        let _ = self.0.notes.set(Mutex::new(notes));
    }

    /// Takes note of a socket. To be called before it connects, so that not even its SYN is copied.
    pub fn add(&self, socket: BorrowedFd<'_>) {
        let Some(notes) = self.0.notes.get() else { return };
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = notes.insert(&socket, 1, 0) {
            let _ = self.0.refused.set(io::Error::other(error).to_string());
        }
    }

    /// What the operator should know.
    pub(super) fn warning(&self) -> Option<String> {
        let why = self.0.refused.get()?;
        Some(format!(
            "the kernel did not take note of some of mirror's own connections ({why}), so that shadow traffic to a \
             watched port is told apart by its headers alone"
        ))
    }
}
