//! The kernel half of `mirror`: looks at each packet, decides whether it is watched, and copies it
//! into a ring. It reads and never writes, and every way through it lets the packet pass: TC
//! programs answer "next program, please", the XDP program `XDP_PASS`, those of a cgroup 1.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod atomic;
mod capture;
mod headers;
mod log;
mod maps;
mod own;
mod packet;

use aya_ebpf::bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS};
use aya_ebpf::macros::{cgroup_skb, classifier, xdp};
use aya_ebpf::programs::{SkBuffContext, TcContext, XdpContext};
use mirror_common::{Direction, Link};

use crate::packet::{Skb, XdpBuffer};

/// Comes in on a device with Ethernet headers.
#[classifier]
pub fn mirror_ingress(context: TcContext) -> i32 {
    look(context, Direction::Ingress, Link::Ethernet)
}

/// Goes out on a device with Ethernet headers.
#[classifier]
pub fn mirror_egress(context: TcContext) -> i32 {
    look(context, Direction::Egress, Link::Ethernet)
}

/// Comes in on a device without link headers.
#[classifier]
pub fn mirror_ingress_ip(context: TcContext) -> i32 {
    look(context, Direction::Ingress, Link::Ip)
}

/// Goes out on a device without link headers.
#[classifier]
pub fn mirror_egress_ip(context: TcContext) -> i32 {
    look(context, Direction::Egress, Link::Ip)
}

/// Comes in for a socket of a cgroup, without link headers.
#[cgroup_skb(ingress)]
pub fn mirror_cgroup_in(context: SkBuffContext) -> i32 {
    look_for_socket(context, Direction::Ingress)
}

/// Goes out of a socket of a cgroup, without link headers yet.
#[cgroup_skb(egress)]
pub fn mirror_cgroup_out(context: SkBuffContext) -> i32 {
    look_for_socket(context, Direction::Egress)
}

/// Comes in, before the network stack.
#[xdp]
pub fn mirror_xdp(context: XdpContext) -> u32 {
    capture::look(&XdpBuffer(context), Direction::Ingress, Link::Ethernet);
    XDP_PASS
}

/// `TC_ACT_UNSPEC` is `TCX_NEXT`, and in a clsact filter "go on as if this filter were not there".
#[inline(always)]
fn look(context: TcContext, direction: Direction, link: Link) -> i32 {
    capture::look(&Skb::<false>(context.skb.skb), direction, link);
    TC_ACT_UNSPEC
}

#[inline(always)]
fn look_for_socket(context: SkBuffContext, direction: Direction) -> i32 {
    /// As opposed to 0, which would drop the packet (bpf(2), `BPF_PROG_TYPE_CGROUP_SKB`).
    const PASS: i32 = 1;
    capture::look(&Skb::<true>(context.skb.skb), direction, Link::Ip);
    PASS
}

/// The kernel offers its ring buffer and time helpers to GPL-compatible programs alone.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
