//! Names of programs and maps, for the loader and for the test that looks into the object.

/// TC, packets that come in on a device with Ethernet headers.
pub const INGRESS: &str = "mirror_ingress";
/// TC, packets that go out on a device with Ethernet headers.
pub const EGRESS: &str = "mirror_egress";
/// TC, packets that come in on a device without link headers (tun, IPIP, …).
pub const INGRESS_IP: &str = "mirror_ingress_ip";
/// TC, packets that go out on a device without link headers.
pub const EGRESS_IP: &str = "mirror_egress_ip";
/// Packets that come in for a socket of a cgroup.
pub const CGROUP_IN: &str = "mirror_cgroup_in";
/// Packets that go out of a socket of a cgroup.
pub const CGROUP_OUT: &str = "mirror_cgroup_out";
/// XDP, packets that come in on a device with Ethernet headers.
pub const XDP: &str = "mirror_xdp";

/// The ring of packet records.
pub const PACKETS: &str = "PACKETS";
/// A [`Switch`](crate::Switch).
pub const SWITCH: &str = "SWITCH";
/// Two [`Slot`](crate::settings::Slot)s.
pub const SETTINGS: &str = "SETTINGS";
/// The networks of both slots, by [`net_key`](crate::settings::net_key).
pub const NETWORKS: &str = "NETWORKS";
/// Counters, one entry a CPU.
pub const COUNTERS: &str = "COUNTERS";
/// Where a record is put together: one entry a CPU, or [`SCRATCH_PLACES`](crate::SCRATCH_PLACES).
pub const SCRATCH: &str = "SCRATCH";
/// Mirror's own sockets.
pub const OWN: &str = "OWN";
/// 1 while the reader sleeps and wants to be woken by the next record.
pub const ASLEEP: &str = "ASLEEP";

/// Every program of the object.
pub const PROGRAMS: [&str; 7] =
    [INGRESS, EGRESS, INGRESS_IP, EGRESS_IP, CGROUP_IN, CGROUP_OUT, XDP];
/// Every map of the object.
pub const MAPS: [&str; 8] = [PACKETS, SWITCH, SETTINGS, NETWORKS, COUNTERS, SCRATCH, OWN, ASLEEP];
