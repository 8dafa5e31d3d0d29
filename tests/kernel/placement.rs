//! Where plaintext is: interfaces that come and go, other network namespaces, and connections that
//! pass several interfaces.

use std::fmt::Debug;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support;
use crate::support::netns::{CABLE, Lab, Mirror, succeed, until};
use crate::support::summary::{account, assert_balance};

fn ip(line: &str) {
    succeed(Command::new("ip").args(line.split(' ')));
}

/// Gives a device its address, of a network of 256, and sets it up.
fn raise(namespace: &str, device: &str, address: &str) {
    ip(&format!("-n {namespace} addr add {address}/24 dev {device}"));
    ip(&format!("-n {namespace} link set {device} up"));
}

/// Fails unless all sums hold and so many requests and their answers were seen whole; `by` says how.
#[track_caller]
fn assert_exchanges(summary: &Value, exchanges: u64, by: impl Debug) {
    assert_balance(summary);
    for side in ["requests", "responses"] {
        assert_eq!(account(summary, side), (exchanges, exchanges, vec![]), "{by:?}: {summary:#}");
    }
}

/// Puts a second cable between the two hosts; the server's end is `late0`.
fn add_cable(lab: &Lab) {
    let client = lab.client_name();
    ip(&format!("link add late0 type veth peer name late1 netns {client}"));
    raise(&lab.server(), "late0", "10.78.0.1");
    raise(&client, "late1", "10.78.0.2");
}

fn counts<'a>(from: &'a [&'a str]) -> Vec<&'a str> {
    [&["inspect", "--port", "8080", "--summary", "--json"], from].concat()
}

/// Waits until mirror has said this so many times.
fn says(mirror: &Mirror, what: &str, times: usize) {
    until(what, || mirror.said().matches(what).count() >= times);
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn interfaces_that_come_are_captured_and_those_that_go_are_let_go() {
    for from in
        [&["--from", "late*"][..], &["--from", "any"], &["--from", "late*", "--hook", "clsact"]]
    {
        Lab::run(move |lab| {
            lab.start_nginx();
            let mirror = Mirror::start(lab, &counts(from));
            for times in 1..=3 {
                add_cable(lab);
                says(&mirror, "late0: attached to, too", times);
                drop(lab.curl(&["http://10.78.0.1:8080/"]));
                ip("link del late0");
                says(&mirror, "late0: gone", times);
            }
            assert_exchanges(&mirror.summary(), 3, from);
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn an_interface_that_was_named_returns() {
    Lab::run(|lab| {
        lab.start_nginx();
        add_cable(lab);
        let file = lab.path("seen.jsonl").to_str().unwrap().to_owned();
        let args = [
            "capture", "--from", CABLE, "--from", "late0", "--port", "8080", "--to", &file,
            "--json",
        ];
        let mirror = Mirror::start(lab, &args);
        ip("link del late0");
        says(&mirror, "late0: gone", 1);
        drop(lab.curl(&["http://10.77.0.1:8080/cable"]));
        add_cable(lab);
        says(&mirror, "late0: attached to, too", 1);
        drop(lab.curl(&["http://10.78.0.1:8080/late"]));
        assert_balance(&mirror.summary());
        let told = std::fs::read_to_string(&file).unwrap();
        let mut seen: Vec<(String, String)> = told
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|one| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&one["request"]["target"]), text(&one["interface"]))
            })
            .collect();
        seen.sort();
        let pair = |target: &str, interface: &str| (target.to_owned(), interface.to_owned());
        assert_eq!(seen, [pair("/cable", CABLE), pair("/late", "late0")], "each by its own name");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_connection_that_passes_a_bridge_and_its_ports_is_kept_once() {
    Lab::run(|lab| {
        lab.start_nginx();
        // The server's address moves to a bridge of which the cable is a port.
        ip("link add br0 type bridge");
        ip(&format!("addr flush dev {CABLE}"));
        ip(&format!("link set {CABLE} master br0"));
        ip("addr add 10.77.0.1/24 dev br0");
        ip("link set br0 up");
        let from = ["--from", CABLE, "--from", "br0"];
        let mirror = Mirror::start(lab, &counts(&from));
        drop(lab.curl(&["http://10.77.0.1:8080/1", "http://10.77.0.1:8080/2"]));
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_eq!(account(&summary, "requests").1, 2, "{summary:#}");
        assert_eq!(account(&summary, "responses").1, 2, "{summary:#}");
    });
}

/// A process in the client's namespace, ended when it is dropped.
struct Resident(Child);

impl Resident {
    fn start(lab: &Lab, program: &str, args: &[&str]) -> Self {
        let mut command = lab.client(program);
        Self(command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn another_namespace_is_captured_by_its_path_its_name_and_a_process_in_it() {
    Lab::run(|lab| {
        lab.start_nginx();
        let name = lab.client_name();
        let path = format!("/run/netns/{name}");
        let resident = Resident::start(lab, "sleep", &["600"]);
        // `ip netns exec` becomes the program in the namespace after a moment.
        let (own, process) = (path.clone(), resident.0.id().to_string());
        let inside = || std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        let here = std::fs::read_link("/proc/thread-self/ns/net").ok();
        until("the process is in its namespace", || inside().is_some() && inside() != here);
        for flags in
            [["--netns", &*own], ["--netns", &*name], ["--netns", &*process], ["--pid", &*process]]
        {
            let from = [&["--from", "cli"][..], &flags].concat();
            let mirror = Mirror::start(lab, &counts(&from));
            drop(lab.curl(&["http://10.77.0.1:8080/1"]));
            let summary = mirror.summary();
            assert_balance(&summary);
            assert_eq!(account(&summary, "requests").1, 1, "{flags:?}: {summary:#}");
        }
        let none =
            support::mirror(&["inspect", "--from", "lo", "--port", "1", "--netns", "no-such"]);
        none.exits_with(2).complains(&["/run/netns/no-such", "give a path, a process or a name"]);
    });
}

/// A pod with a server on a cable to this namespace, whose end here is `pod0`.
struct Pod(String);

impl Pod {
    fn start(lab: &Lab) -> Self {
        let pod = Self(format!("{}p", lab.server()));
        pod.begin(lab);
        pod
    }

    fn begin(&self, lab: &Lab) {
        ip(&format!("netns add {}", self.0));
        ip(&format!("link add pod0 type veth peer name eth0 netns {}", self.0));
        raise(&lab.server(), "pod0", "10.81.0.1");
        raise(&self.0, "eth0", "10.81.0.2");
    }

    /// A process in it.
    fn resident(&self) -> Resident {
        let mut sleep = Command::new("ip");
        sleep.args(["netns", "exec", &self.0, "sleep", "600"]);
        let resident = Resident(sleep.stdout(Stdio::null()).spawn().unwrap());
        let inside = || std::fs::read_link(format!("/proc/{}/ns/net", resident.0.id())).ok();
        let here = std::fs::read_link("/proc/thread-self/ns/net").ok();
        until("the process is in its namespace", || inside().is_some() && inside() != here);
        resident
    }

    /// Sends a request to a server that is not there, which shows as a SYN.
    fn knock(&self) {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "1", "http://10.81.0.2:8080/"]);
        assert!(!curl.status().unwrap().success());
    }

    /// Takes the name away.
    fn end(&self) {
        ip(&format!("netns del {}", self.0));
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).stderr(Stdio::null()).status();
    }
}

fn is_gone(device: &str) -> bool {
    !Command::new("ip").args(["link", "show", device]).output().unwrap().status.success()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_namespace_whose_name_goes_is_let_go_and_one_that_has_it_later_is_followed() {
    for hook in ["tc", "clsact"] {
        Lab::run(move |lab| {
            let pod = Pod::start(lab);
            let from = ["--from", "eth0", "--netns", &pod.0.clone(), "--hook", hook];
            let mirror = Mirror::start(lab, &counts(&from));
            for times in 1..=2 {
                pod.knock();
                pod.end();
                until("its interfaces are gone with it", || is_gone("pod0"));
                says(&mirror, "gone", times);
                pod.begin(lab);
                says(&mirror, "there again", times);
                says(&mirror, "eth0: attached to, too", times);
            }
            pod.knock();
            let summary = mirror.summary();
            assert_balance(&summary);
            // A SYN and its refusal, three times.
            assert_eq!(account(&summary, "kernel").1, 6, "{hook}: {summary:#}");
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_namespace_that_was_named_by_a_process_is_let_go_with_it_and_the_run_ends() {
    for hook in ["tc", "clsact"] {
        Lab::run(move |lab| {
            let pod = Pod::start(lab);
            let resident = pod.resident();
            let id = resident.0.id().to_string();
            let from = ["--from", "any", "--pid", &id, "--hook", hook];
            let mirror = Mirror::start(lab, &counts(&from));
            pod.end();
            assert!(!is_gone("pod0"), "the process keeps it");
            drop(resident);
            until("its interfaces are gone with it", || is_gone("pod0"));
            let said = mirror.ends_with(0);
            assert!(said.contains(&format!("/proc/{id}/ns/net: gone")), "{said}");
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_run_that_saw_no_request_says_who_knows_why() {
    Lab::run(|lab| {
        let name = lab.client_name();
        for (from, command) in [
            (vec!["--from", CABLE], "`mirror doctor --watch srv --port 8080` says why".to_owned()),
            (
                vec!["--from", "cli", "--netns", &name],
                format!("`nsenter --net=/run/netns/{name} mirror doctor --watch cli --port 8080`"),
            ),
        ] {
            let summary = Mirror::start(lab, &counts(&from)).summary();
            let warnings = summary["warnings"].to_string();
            assert!(warnings.contains("no request was seen"), "{warnings}");
            assert!(warnings.contains(&command), "{warnings}");
        }
        lab.start_nginx();
        let mirror = Mirror::start(lab, &counts(&["--from", CABLE]));
        drop(lab.curl(&["http://10.77.0.1:8080/1"]));
        assert_eq!(mirror.summary()["warnings"].to_string(), "[]");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_passes_lo_of_a_pod_is_shadowed_to_a_target_outside_of_it() {
    use support::target::{Behaviour, Target};
    Lab::run(|lab| {
        // As a sidecar and its service: both in the pod, with nothing but `lo` between them.
        let folder = lab.path("pod");
        std::fs::create_dir(&folder).unwrap();
        let folder = folder.to_str().unwrap().to_owned();
        let serve = ["-m", "http.server", "9090", "--bind", "127.0.0.1", "--directory", &folder];
        let _service = Resident::start(lab, "python3", &serve);
        until("the service listens", || {
            let mut curl = lab.client("curl");
            let probe = curl.args(["--silent", "--output", "/dev/null", "http://127.0.0.1:9090/"]);
            probe.status().unwrap().success()
        });
        let target = Target::start(Behaviour::Answer);
        let (to, pod) = (target.url(), lab.client_name());
        let args =
            ["replay", "--from", "lo", "--netns", &pod, "--port", "9090", "--to", &to, "--json"];
        let mirror = Mirror::start(lab, &args);
        drop(lab.curl(&["http://127.0.0.1:9090/inside"]));
        let received = target.wait_for(1, support::netns::patience());
        assert_eq!(received[0].target(), "/inside");
        assert_balance(&mirror.summary());
    });
}

/// Carries packets between a tun device of this namespace and one of another: tun(4) devices are as good
/// as unplugged while no process holds them.
const TUNNEL: &str = r#"
import contextlib, ctypes, fcntl, os, select, struct, sys
def tun(name):
    os.path.exists("/dev/net/tun") or os.system("modprobe tun")
    device = os.open("/dev/net/tun", os.O_RDWR)
    # TUNSETIFF, IFF_TUN | IFF_NO_PI (linux/if_tun.h)
    fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", name, 0x1001))
    return device
ends = [tun(b"tun1")]
ctypes.CDLL(None).setns(os.open(sys.argv[1], os.O_RDONLY), 0x40000000)
ends.append(tun(b"tun0"))
while True:
    for end in select.select(ends, [], [])[0]:
        packet = os.read(end, 65536)
        # The other one may not be up yet.
        with contextlib.suppress(OSError):
            os.write(ends[1 - ends.index(end)], packet)
"#;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn devices_without_a_link_header_are_captured() {
    for hook in ["tc", "clsact"] {
        Lab::run(move |lab| {
            lab.start_nginx();
            let here = format!("/run/netns/{}", lab.server());
            let _tunnel = Resident::start(lab, "python3", &["-c", TUNNEL, &here]);
            let exists = || Command::new("ip").args(["link", "show", "tun0"]).output();
            until("the tunnel is there", || exists().unwrap().status.success());
            raise(&lab.server(), "tun0", "10.79.0.1");
            raise(&lab.client_name(), "tun1", "10.79.0.2");
            let file = lab.path("tun.pcap").to_str().unwrap().to_owned();
            let args = [
                "capture", "--raw", "--from", "tun0", "--port", "8080", "--hook", hook, "--to",
                &file, "--json",
            ];
            let mirror = Mirror::start(lab, &args);
            let big = lab.file("big", 300_000);
            drop(lab.curl(&["http://10.79.0.1:8080/1", "http://10.79.0.1:8080/2"]));
            drop(lab.curl(&["--data-binary", &format!("@{big}"), "http://10.79.0.1:8080/post"]));
            assert_exchanges(&mirror.summary(), 3, hook);
            let read = support::mirror(&["inspect", "--from", &file, "--summary", "--json"]);
            let again = serde_json::from_str(&read.exits_with(0).stdout()).unwrap();
            assert_eq!(account(&again, "requests").1, 3, "its packets can be read: {again:#}");
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_vxlan_device_takes_out_is_captured_there() {
    Lab::run(|lab| {
        lab.start_nginx();
        for (namespace, device, own, other) in
            [(lab.server(), CABLE, 1, 2), (lab.client_name(), "cli", 2, 1)]
        {
            ip(&format!(
                "-n {namespace} link add vx0 type vxlan id 7 dstport 4789 local 10.77.0.{own} remote 10.77.0.{other} dev {device}"
            ));
            raise(&namespace, "vx0", &format!("10.80.0.{own}"));
        }
        let mirror = Mirror::start(lab, &counts(&["--from", "vx0"]));
        drop(lab.curl(&["http://10.80.0.1:8080/1", "http://10.80.0.1:8080/2"]));
        assert_exchanges(&mirror.summary(), 2, "vx0");
    });
}
