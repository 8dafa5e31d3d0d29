//! What is not wanted is not copied: the filters in the real kernel, changed while packets pass, and
//! the same filters on capture files.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use mirror_common::Outcome;
use mirror_user::filter::{Choice, Nets, NetworkRule, Ports, Sample, Watch};
use mirror_user::source::live::{
    Control, Hook, KernelLog, LiveOptions, LiveSource, Namespace, Order, OwnSockets,
};
use mirror_user::source::{Next, PacketSource};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support;
use crate::support::netns::{CABLE, Lab, Mirror, Shadow, patience, succeed, until};
use crate::support::summary::{account, assert_balance, dropped};
use crate::support::target::{Behaviour, RawRequest, Target};

const URL: &str = "http://10.77.0.1:8080";

/// Counts what these flags let through while `customers` ask.
fn count(lab: &Lab, flags: &[&str], customers: impl FnOnce()) -> Value {
    let args = [&["inspect", "--from", CABLE, "--summary", "--json"], flags].concat();
    let mirror = Mirror::start(lab, &args);
    customers();
    let summary = mirror.summary();
    assert_balance(&summary);
    summary
}

/// Fails unless this flag lets so many of one request and one answer through, and what it kept
/// back is counted by the kernel for this reason.
#[track_caller]
fn assert_counts(lab: &Lab, flags: &[&str], messages: (u64, u64), reason: Option<&str>) {
    let flags = [&["--port", "8080"], flags].concat();
    let summary = count(lab, &flags, || drop(lab.curl(&[&format!("{URL}/one")])));
    let (requests, responses) = messages;
    assert_eq!(account(&summary, "requests").1, requests, "{flags:?}: {summary:#}");
    assert_eq!(account(&summary, "responses").1, responses, "{flags:?}: {summary:#}");
    if let Some(reason) = reason {
        assert!(dropped(&summary, "kernel", reason) > 0, "{flags:?}: {summary:#}");
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_is_not_wanted_is_counted_in_the_kernel_and_not_copied() {
    Lab::run(|lab| {
        lab.start_nginx();
        assert_counts(lab, &[], (1, 1), None);
        assert_counts(lab, &["--direction", "in"], (1, 0), Some("other_direction"));
        assert_counts(lab, &["--side", "server"], (1, 1), None);
        assert_counts(lab, &["--side", "client"], (0, 0), Some("other_side"));
        assert_counts(lab, &["--requests-only"], (1, 0), Some("not_request"));
        assert_counts(lab, &["--client-net", "10.77.0.0/24"], (1, 1), None);
        assert_counts(lab, &["--client-net", "10.77.0.1"], (0, 0), Some("other_network"));
        assert_counts(lab, &["--server-net", "10.77.0.1"], (1, 1), None);
        assert_counts(lab, &["--server-net", "!10.77.0.0/24"], (0, 0), Some("other_network"));
        assert_counts(lab, &["--net", "10.77.0.0/24,!10.77.0.2"], (0, 0), Some("other_network"));
        assert_counts(lab, &["--net", "fd00::/8"], (0, 0), Some("other_network"));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ranges_of_ports_are_watched() {
    Lab::run(|lab| {
        lab.start_nginx();
        let ask = || drop(lab.curl(&[&format!("{URL}/one")]));
        let inside = count(lab, &["--port", "80,8000-8080"], ask);
        assert_eq!(account(&inside, "requests").1, 1, "{inside:#}");
        let outside = count(lab, &["--port", "8000-8079,8081-9000"], ask);
        assert_eq!(account(&outside, "requests").0, 0, "{outside:#}");
        assert!(dropped(&outside, "kernel", "not_watched") > 0, "{outside:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn ipv6_addresses_are_looked_up_too() {
    Lab::run(|lab| {
        lab.start_nginx();
        let ask = || drop(lab.curl(&["http://[fd00:77::1]:8080/six"]));
        for (net, expected) in [("fd00:77::2", 1), ("!fd00:77::2", 0), ("10.0.0.0/8", 0)] {
            let summary = count(lab, &["--port", "8080", "--client-net", net], ask);
            assert_eq!(account(&summary, "requests").1, expected, "{net}: {summary:#}");
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn requests_without_their_responses_are_shadowed() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Answer);
        let (to, file) = (target.url(), lab.file("body", 100_000));
        let args = ["replay", "--from", CABLE, "--port", "8080", "--to", &to, "--json"];
        let mirror = Mirror::start(lab, &[&args[..], &["--requests-only"]].concat());
        drop(lab.curl(&[&format!("{URL}/1"), &format!("{URL}/2"), &format!("{URL}/3")]));
        let body = format!("@{file}");
        lab.curl(&["-H", "Expect:", "--data-binary", &body, &format!("{URL}/post")]);
        let mut received = target.wait_for(4, patience());
        received.sort_by_key(RawRequest::target);
        let targets: Vec<String> = received.iter().map(RawRequest::target).collect();
        assert_eq!(targets, ["/1", "/2", "/3", "/post"]);
        assert_eq!(received[3].body.len(), 100_000);
        let summary = mirror.summary();
        assert_balance(&summary);
        assert_eq!(account(&summary, "responses").0, 0, "{summary:#}");
    });
}

/// Every exchange of a `.jsonl` file as far as it does not depend on who wrote it: by request
/// target, what was wrong with either message, and the status.
fn told(file: &str) -> BTreeMap<String, [String; 3]> {
    let text = std::fs::read_to_string(file).unwrap();
    let exchanges = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    exchanges
        .map(|exchange| {
            let of = |side: &str, field: &str| exchange[side][field].to_string();
            let target = of("request", "target");
            (
                target,
                [
                    of("request", "incomplete"),
                    of("response", "status"),
                    of("response", "incomplete"),
                ],
            )
        })
        .collect()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_file_gives_what_the_kernel_gives() {
    Lab::run(|lab| {
        lab.start_nginx();
        let path = |name: &str| lab.path(name).to_str().unwrap().to_owned();
        let filters: [&[&str]; 5] = [
            &["--sample", "40"],
            &["--client-net", "!10.77.0.0/24"],
            &["--requests-only"],
            &["--snaplen", "responses=1000"],
            &["--sample", "60", "--net", "fd00::/8,10.77.0.2"],
        ];
        let everything = path("all.pcap");
        let all = Mirror::start(
            lab,
            &["capture", "--from", CABLE, "--port", "8080", "--to", &everything, "--json"],
        );
        let live: Vec<(Mirror, String)> = filters
            .iter()
            .enumerate()
            .map(|(place, flags)| {
                let file = path(&format!("live{place}.jsonl"));
                let args = ["capture", "--from", CABLE, "--port", "8080", "--to", &file, "--json"];
                (Mirror::start(lab, &[&args, *flags].concat()), file)
            })
            .collect();
        let close = ["-H", "Connection: close"];
        for host in ["10.77.0.1", "[fd00:77::1]"] {
            let urls: Vec<String> =
                (0..60).map(|n| format!("http://{host}:8080/{}/{n}", host.len())).collect();
            lab.curl(&[&close[..], &urls.iter().map(String::as_str).collect::<Vec<_>>()].concat());
            lab.curl(&["-o", "/dev/null", &format!("http://{host}:8080/big")]);
        }
        assert_eq!(dropped(&all.summary(), "kernel", "ring_full"), 0, "everything was seen");
        for ((mirror, live), flags) in live.into_iter().zip(filters) {
            mirror.summary();
            let offline = path("offline.jsonl");
            let args = ["capture", "--port", "8080", "--from", &everything, "--to", &offline];
            support::mirror(&[&args, flags].concat()).exits_with(0);
            let (live, offline) = (told(&live), told(&offline));
            assert!(!live.is_empty(), "{flags:?}");
            assert_eq!(live, offline, "{flags:?}");
            std::fs::remove_file(path("offline.jsonl")).unwrap();
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn cut_responses_cost_only_themselves() {
    Lab::run(|lab| {
        lab.start_nginx();
        let flags = ["--port", "8080", "--snaplen", "responses=1000"];
        let summary = count(lab, &flags, || {
            lab.curl(&[
                &format!("{URL}/1"),
                "-o",
                "/dev/null",
                &format!("{URL}/big"),
                &format!("{URL}/2"),
            ]);
        });
        assert_eq!(account(&summary, "requests"), (3, 3, vec![]), "{summary:#}");
        let (seen, whole, _) = account(&summary, "responses");
        assert_eq!((seen, whole), (3, 2), "{summary:#}");
        let notes = summary["notes"].to_string();
        assert!(notes.contains(r#"["cut","#), "{notes}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_replay_copies_the_beginnings_of_responses_and_knows_where_they_end() {
    Lab::run(|lab| {
        lab.start_nginx();
        let target = Target::start(Behaviour::Answer);
        let to = format!("http://{}", target.address());
        let replay = ["replay", "--json", "--from", CABLE, "--port", "8080", "--to", &to];
        let mirror = Mirror::start(lab, &replay);
        // On one connection.
        let big = format!("{URL}/big");
        lab.curl(&[&big, "-o", "/dev/null", &big, "-o", "/dev/null", &format!("{URL}/2")]);
        let summary = mirror.summary();
        assert_eq!(account(&summary, "requests"), (3, 3, vec![]), "{summary:#}");
        assert_eq!(account(&summary, "responses"), (3, 3, vec![]), "{summary:#}");
        assert_eq!(account(&summary, "shadow requests"), (3, 3, vec![]), "{summary:#}");
        let notes = summary["notes"].to_string();
        assert!(notes.contains("left out on purpose") && !notes.contains("gaps"), "{notes}");
    });
}

/// Attaches to the cable in this process.
fn attach(choice: Choice) -> LiveSource {
    attach_with_log(choice, KernelLog::Off)
}

fn attach_with_log(choice: Choice, log: KernelLog) -> LiveSource {
    LiveSource::attach(&LiveOptions { log, ..options(choice) }).unwrap()
}

/// The cable, as it is captured on unless asked otherwise.
fn options(choice: Choice) -> LiveOptions {
    LiveOptions {
        interfaces: vec![CABLE.to_owned()],
        cgroup: None,
        pods: None,
        watch: Watch::new(choice),
        namespace: Namespace::default(),
        hook: Hook::Tc,
        order: Order::First,
        ring_bytes: 16 << 20,
        log: KernelLog::Off,
        persists: false,
        own: None,
    }
}

/// The numbers of the requests `/n/NUMBER` that came, each once, until `done`.
fn numbers(source: &mut LiveSource, done: impl Fn() -> bool) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut take = |packet: &[u8]| {
        let Some(at) = packet.windows(7).position(|bytes| bytes == b"GET /n/") else { return };
        let digits = packet[at + 7..].iter().take_while(|byte| byte.is_ascii_digit());
        numbers.push(digits.fold(0, |n, digit| n * 10 + u32::from(digit - b'0')));
    };
    while !done() {
        if let Next::Packet(packet) = source.next(Duration::from_millis(5)).unwrap() {
            take(&packet.data);
        }
    }
    source.stop();
    while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
        take(&packet.data);
    }
    numbers
}

/// How often the choice changes while requests are asked for.
const CHANGES: usize = 300;

/// How many numbered requests are asked for at a time.
const NUMBERED: u32 = 1_000;

#[test]
#[ignore = "needs root: cargo xtask test"]
fn no_packet_sees_half_of_a_change() {
    Lab::run(|lab| {
        lab.start_nginx();
        let nets = |rules: &[&str]| {
            let rules: Vec<NetworkRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
            Nets::new(&[], &rules, &[]).unwrap()
        };
        // Both want the port and the client, by other networks: with the ports of one and the
        // networks of the other, or with a list that is half written, packets would be missed.
        let choices = [
            Choice {
                nets: nets(&["10.77.0.2/32", "!10.77.0.0/16"]),
                ..Choice::of_ports(Ports::of_ranges([8080..=8080, 9000..=9999]))
            },
            Choice {
                nets: nets(&["!10.0.0.0/8", "10.77.0.0/24", "192.168.0.0/16"]),
                ..Choice::of_ports(Ports::of_ranges([80..=80, 8000..=8100]))
            },
        ];
        let mut source = attach(choices[0].clone());
        let control = source.control();
        let (done, changes) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (numbers, asked) = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let n = changes.fetch_add(1, Ordering::Relaxed);
                    control.reconfigure(&choices[(n + 1) % 2]).unwrap();
                }
            });
            let asking = scope.spawn(|| {
                let mut asked = 0;
                while changes.load(Ordering::Relaxed) < CHANGES {
                    let url = format!("{URL}/n/[{}-{}]", asked + 1, asked + NUMBERED);
                    lab.curl(&["-o", "/dev/null", &url]);
                    asked += NUMBERED;
                }
                done.store(true, Ordering::Relaxed);
                asked
            });
            let numbers = numbers(&mut source, || done.load(Ordering::Relaxed));
            (numbers, asking.join().unwrap())
        });
        assert_eq!(numbers, (1..=asked).collect::<Vec<_>>(), "each request once, in order");
        let lost = source.account().losses();
        assert!(lost.iter().all(|(why, _)| ["not_tcp", "no_payload"].contains(why)), "{lost:?}");
    });
}

/// How many packets the kernel program refused for this reason, by the time the source is stopped.
fn refused(source: &LiveSource, reason: Outcome) -> u64 {
    source.account().dropped_for(reason.name())
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn another_thread_lowers_the_sample_and_stops_the_copying() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mut source = attach(Choice::of_ports(Ports::new(vec![8080])));
        let control = source.control();
        let in_thread = |change: fn(&Control)| {
            let control = control.clone();
            thread::spawn(move || change(&control)).join().unwrap();
        };
        let ask = |n: u32| drop(lab.curl(&[&format!("{URL}/n/{n}")]));
        ask(1);
        in_thread(|control| control.limit_sample(Sample::percent(0.0)).unwrap());
        ask(2);
        assert!(refused(&source, Outcome::LoadShed) > 0);
        in_thread(|control| control.limit_sample(Sample::ALL).unwrap());
        ask(3);
        assert_eq!(refused(&source, Outcome::Paused), 0);
        in_thread(|control| control.set_copying(false).unwrap());
        ask(4);
        assert!(refused(&source, Outcome::Paused) > 0);
        // A changed choice does not start it again.
        in_thread(|control| {
            control.reconfigure(&Choice::of_ports(Ports::new(vec![80, 8080]))).unwrap();
        });
        ask(5);
        in_thread(|control| control.set_copying(true).unwrap());
        ask(6);
        assert_eq!(numbers(&mut source, || true), [1, 3, 6]);
        assert!(source.account().balances());
    });
}

/// Fails unless the program of this hook tells what became of each packet of a request.
#[track_caller]
fn assert_told(lab: &mut Lab, hook: &str) {
    lab.start_nginx();
    let args = ["inspect", "--from", CABLE, "--port", "8080", "--summary", "--json"];
    let flags = ["--hook", hook, "--kernel-log", "trace"];
    let mirror = Mirror::start(lab, &[&args[..], &flags].concat());
    lab.curl(&[&format!("{URL}/one")]);
    until("it says so", || {
        let said = mirror.said();
        ["to 8080, 74 bytes: copied", "bytes: no_payload"].iter().all(|line| said.contains(line))
    });
    assert_eq!(account(&mirror.summary(), "requests").1, 1, "{hook}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_kernel_program_says_what_became_of_packets() {
    Lab::run(|lab| assert_told(lab, "tc"));
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn xdp_says_what_became_of_packets() {
    Lab::run(|lab| assert_told(lab, "xdp"));
}

/// Instructions of this process's programs as the verifier left them, in bytes.
fn translated() -> u32 {
    let descriptors = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    let told = descriptors.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
    let ids: Vec<u32> = told
        .filter(|told| told.contains("prog_type:") && told.contains("run_cnt:"))
        .filter_map(|told| {
            told.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
        })
        .collect();
    let programs = aya::programs::loaded_programs().filter_map(Result::ok);
    programs.filter(|it| ids.contains(&it.id())).filter_map(|it| it.size_translated()).sum()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_kernel_log_that_is_off_is_not_in_the_program() {
    Lab::run(|_| {
        let [off, trace] = [KernelLog::Off, KernelLog::Trace].map(|log| {
            let _source = attach_with_log(Choice::of_ports(Ports::new(vec![8080])), log);
            translated()
        });
        assert!(off > 0, "the programs were not found");
        // What is told takes 700 instructions of eight bytes in each of the two programs; off, the
        // level's look-up is all that may be left.
        assert!(trace - off > 2 * 600 * 8, "{off} bytes without, {trace} with the log");
    });
}

/// Asks a server for `/n/NUMBER`, by a socket that is mirror's own where `own` is given.
fn ask_by(own: Option<&OwnSockets>, server: &str, number: u32) {
    let server: SocketAddr = server.parse().unwrap();
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
    if let Some(own) = own {
        own.add(socket.as_fd());
    }
    socket.connect(&server.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let request = format!("GET /n/{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1."), "{answer}");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn mirrors_own_connections_are_passed_over_in_both_directions_and_those_of_others_are_not() {
    for hook in [Hook::Tc, Hook::Clsact] {
        Lab::run(move |lab| {
            lab.start_nginx();
            let mut elsewhere = lab.client("python3");
            let elsewhere = elsewhere.args(["-m", "http.server", "8080", "--bind", "::"]);
            let mut elsewhere =
                elsewhere.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            until("the other host listens", || TcpStream::connect("10.77.0.2:8080").is_ok());
            let own = OwnSockets::default();
            // Every port, so that that of the client is watched, too.
            let mut source = LiveSource::attach(&LiveOptions {
                interfaces: vec!["lo".to_owned(), CABLE.to_owned()],
                hook,
                own: Some(own.clone()),
                ..options(Choice::of_ports(Ports::of_ranges([1..=u16::MAX])))
            })
            .unwrap();
            let servers = ["127.0.0.1:8080", "[::1]:8080", "10.77.0.2:8080", "[fd00:77::2]:8080"];
            for (server, number) in servers.iter().zip(1..) {
                ask_by(Some(&own), server, number);
                ask_by(None, server, number + 10);
            }
            source.stop();
            let (mut asked, mut answers) = (Vec::new(), 0);
            while let Next::Packet(packet) = source.next(Duration::ZERO).unwrap() {
                let text = String::from_utf8_lossy(&packet.data).into_owned();
                answers +=
                    u32::from(text.contains("HTTP/1.1 200") || text.contains("HTTP/1.0 404"));
                let number = text.split_once("GET /n/").and_then(|(_, rest)| rest.split_once(' '));
                asked.extend(number.map(|(number, _)| number.to_owned()));
            }
            assert_eq!(asked, ["11", "12", "13", "14"], "{hook:?}");
            assert_eq!(answers, 4, "{hook:?}");
            assert!(refused(&source, Outcome::OwnReplay) > 0, "{hook:?}");
            elsewhere.kill().unwrap();
            elsewhere.wait().unwrap();
        });
    }
}

/// What other software on a node does with marks and addresses.
const RULES: [&[&str]; 4] = [
    &[],
    // Cilium's, for what its proxy sends: a mark with these bits is routed to the host itself.
    &[
        "ip rule add pref 9 fwmark 0x200/0xf00 lookup 2004",
        "ip route add local default dev lo table 2004",
        "ip rule add pref 100 lookup local",
        "ip rule del pref 0",
    ],
    // Calico's and others': bits are cleared and set on the way out.
    &[
        "nft add table ip t",
        "nft add chain ip t o { type route hook output priority -300 ; }",
        "nft add rule ip t o meta mark set meta mark and 0xfff0ffff",
        "nft add rule ip t o meta mark set meta mark or 0x00004080",
    ],
    // The address that mirror knows is not the one on the cable.
    &[
        "ip addr add 10.77.0.9/24 dev srv",
        "nft add table ip t",
        "nft add chain ip t p { type nat hook postrouting priority 100 ; }",
        "nft add rule ip t p ip daddr 10.77.0.2 tcp dport 8080 snat to 10.77.0.9",
    ],
];

#[test]
#[ignore = "needs root: cargo xtask test"]
fn shadows_arrive_once_whatever_others_do_with_marks_and_addresses() {
    for rules in RULES {
        Lab::run(move |lab| {
            lab.start_nginx();
            for rule in rules {
                let mut words = rule.split(' ');
                succeed(Command::new(words.next().unwrap()).args(words));
            }
            let shadow = Shadow::start(lab);
            let to = ["--to", "http://10.77.0.2:8080", "--json"];
            let flags = ["replay", "--from", CABLE, "--port", "8080"];
            let mirror = Mirror::start(lab, &[&flags[..], &to].concat());
            drop(lab.curl(&[&format!("{URL}/one")]));
            // What is sent after the filters are gone is not counted as mirror's own.
            shadow.has_served("/one");
            let summary = mirror.summary();
            assert_balance(&summary);
            assert_eq!(account(&summary, "shadow requests"), (1, 1, vec![]), "{summary:#}");
            assert_eq!(account(&summary, "cleared"), (1, 1, vec![]), "not shadowed again");
            assert!(dropped(&summary, "kernel", "own_replay") > 0, "{summary:#}");
        });
    }
}
