//! What user space tells the kernel program beside the ports.

/// Read for every packet, written at any time.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Packets whose socket mark is this are passed over; 0: none.
    pub skip_mark: u32,
    /// The reader is woken when the bytes that wait in the ring pass this number.
    pub wake_bytes: u32,
}

const _: () = assert!(size_of::<Settings>() == 8 && align_of::<Settings>() == 4);

impl Settings {
    /// The bytes as they stand in the map.
    #[must_use]
    pub fn to_bytes(self) -> [u8; size_of::<Self>()] {
        let [a, b, c, d] = self.skip_mark.to_ne_bytes();
        let [e, f, g, h] = self.wake_bytes.to_ne_bytes();
        [a, b, c, d, e, f, g, h]
    }
}
