//! Mirror's own sockets, which the kernel program recognizes in order not to copy their packets.
//!
//! An entry is stored with the socket itself (`BPF_MAP_TYPE_SK_STORAGE`). Unlike a packet mark, it changes
//! nothing in the packets that other software on the host could misread, and it ends with its socket.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aya::maps::{MapData, SkStorage};

/// Registers sockets that connect to targets, so that their packets are not copied. Cheap to clone; all
/// clones share one state.
#[derive(Clone, Debug, Default)]
pub struct OwnSockets(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Empty until the program is loaded: before that nothing is copied.
    notes: OnceLock<Mutex<SkStorage<MapData, u8>>>,
    /// The kernel's reason for the first registration that it refused.
    refused: OnceLock<String>,
}

impl OwnSockets {
    /// Sets the map of the loaded program.
    pub(super) fn register_with(&self, notes: SkStorage<MapData, u8>) {
        // One source loads one program.
        let _ = self.0.notes.set(Mutex::new(notes));
    }

    /// Registers a socket. Call it before the socket connects, so that not even its SYN is copied.
    pub fn add(&self, socket: BorrowedFd<'_>) {
        let Some(notes) = self.0.notes.get() else { return };
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = notes.insert(&socket, 1, 0) {
            let _ = self.0.refused.set(io::Error::other(error).to_string());
        }
    }

    /// A warning for the operator, if a registration was refused.
    pub(super) fn warning(&self) -> Option<String> {
        let why = self.0.refused.get()?;
        Some(format!(
            "the kernel did not take note of some of mirror's own connections ({why}), so that shadow traffic to a \
             watched port is told apart by its headers alone"
        ))
    }
}
