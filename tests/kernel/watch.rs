//! `mirror doctor --watch` says why nothing is seen on a port: real servers and clients of each
//! kind that mirror cannot read, or that are not where it looks.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use socket2::{SockRef, TcpKeepalive};

use crate::support::netns::{CABLE, Lab, Mirror, succeed, until};

const URL: &str = "http://10.77.0.1:8080/";

/// What is found while `customers` do what they do: the exit code is 0 when all is well.
fn watch(lab: &Lab, flags: &[&str], well: bool, customers: impl FnOnce()) -> Value {
    let args = [&["doctor", "--json", "--for", "5m", "--watch"], flags].concat();
    let mirror = Mirror::start(lab, &args);
    customers();
    let report = mirror.told(if well { 0 } else { 1 });
    assert_eq!(report["well"], well, "{report:#}");
    report
}

/// The reasons that are causes, in their order.
fn causes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["level"] == "cause").map(reason).collect()
}

fn reason(finding: &Value) -> &str {
    finding["reason"].as_str().unwrap()
}

/// The finding with this reason.
#[track_caller]
fn found<'a>(report: &'a Value, name: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|finding| reason(finding) == name).unwrap_or_else(|| {
        panic!("no {name} in {report:#}");
    })
}

/// Something that runs beside the test, killed when it is dropped.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers every connection to this port of the server with these bytes, and ends it.
fn serve(port: u16, answer: &'static [u8]) {
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
}

/// Does something in the client's namespace.
fn in_client<T: Send + 'static>(lab: &Lab, act: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(format!("/run/netns/{}", lab.client_name())).unwrap();
    let acting = thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        act()
    });
    acting.join().unwrap()
}

/// Sends these bytes from the client, and reads until the server ends the connection.
fn send(lab: &Lab, port: u16, bytes: &'static [u8]) {
    in_client(lab, move || {
        let mut stream = TcpStream::connect(("10.77.0.1", port)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn requests_and_responses_are_well() {
    Lab::run(|lab| {
        lab.start_nginx();
        let report = watch(lab, &[CABLE, "--port", "8080"], true, || {
            lab.curl(&[URL, URL, URL]);
        });
        let well = found(&report, "well");
        assert_eq!(well["requests"], 3, "{report:#}");
        assert_eq!(well["responses"], 3, "{report:#}");
        assert_eq!(well["connections"], 1, "{report:#}");
        assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn tls_is_known_by_its_first_bytes() {
    Lab::run(|lab| {
        let [key, certificate] = ["key", "certificate"].map(|name| lab.path(name));
        succeed(
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-nodes", "-subj", "/CN=shop", "-days", "1", "-keyout"])
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        );
        let server = Command::new("openssl")
            .args(["s_server", "-quiet", "-www", "-accept", "8080", "-key"])
            .arg(&key)
            .arg("-cert")
            .arg(&certificate)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let _server = Beside(server);
        until("openssl listens", || TcpStream::connect("127.0.0.1:8080").is_ok());
        let report = watch(lab, &[CABLE, "--port", "8080"], false, || {
            lab.curl(&["--insecure", "https://10.77.0.1:8080/"]);
        });
        assert_eq!(causes(&report), ["tls"], "{report:#}");
        assert_eq!(found(&report, "tls")["client_hellos"], 1, "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn http2_is_known_by_its_preface() {
    Lab::run(|lab| {
        serve(8080, b"\0\0\0\x04\0\0\0\0\0");
        let report = watch(lab, &[CABLE, "--port", "8080"], false, || {
            send(lab, 8080, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        });
        assert_eq!(causes(&report), ["http2"], "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn another_protocol_and_no_response_are_told_apart() {
    Lab::run(|lab| {
        serve(8080, b"+OK\r\n");
        let flags = [CABLE, "--port", "8080"];
        let report = watch(lab, &flags, false, || send(lab, 8080, b"PING\r\n"));
        assert_eq!(causes(&report), ["not_http"], "{report:#}");
        let report = watch(lab, &[CABLE, "--port", "8081"], false, || {
            let refused = lab.client("curl").arg("http://10.77.0.1:8081/").output().unwrap();
            assert!(!refused.status.success());
        });
        assert_eq!(causes(&report), ["no_answer"], "{report:#}");
        assert_eq!(found(&report, "no_answer")["refused"], 1, "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_port_with_the_requests_is_named() {
    Lab::run(|lab| {
        lab.start_nginx();
        let report = watch(lab, &[CABLE, "--port", "80"], false, || {
            lab.curl(&[URL, URL]);
        });
        assert_eq!(causes(&report), ["not_on_port"], "{report:#}");
        let other = found(&report, "other_port");
        assert_eq!((&other["port"], &other["requests"]), (&8080.into(), &2.into()), "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_interface_with_the_requests_is_named() {
    Lab::run(|lab| {
        lab.start_nginx();
        let quiet = ["link", "add", "quiet", "type", "veth", "peer", "name", "quieter"];
        succeed(Command::new("ip").args(quiet));
        let ask = || drop(lab.curl(&[URL]));
        let report = watch(lab, &["quiet", "--port", "8080"], false, ask);
        assert_eq!(causes(&report), ["interface_down"], "{report:#}");
        for name in ["quiet", "quieter"] {
            // IPv6 says much when a device comes up.
            let line = format!("net.ipv6.conf.{name}.disable_ipv6=1");
            succeed(Command::new("sysctl").args(["-q", "-w", &line]));
            succeed(Command::new("ip").args(["link", "set", name, "up"]));
        }
        let report = watch(lab, &["quiet", "--port", "8080"], false, ask);
        assert_eq!(causes(&report), ["no_packets"], "{report:#}");
        let other = found(&report, "other_interface");
        assert_eq!((&other["interface"], &other["requests"]), (&CABLE.into(), &1.into()));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tunnel_is_named_and_the_device_behind_it() {
    Lab::run(|lab| {
        lab.start_nginx();
        let ends = [
            (lab.server(), CABLE, "10.77.0.1", "10.77.0.2", "10.78.0.1/24"),
            (lab.client_name(), "cli", "10.77.0.2", "10.77.0.1", "10.78.0.2/24"),
        ];
        for (namespace, device, local, remote, address) in ends {
            let tunnel = format!(
                "link add vx0 type vxlan id 7 dstport 4789 local {local} remote {remote} dev {device}"
            );
            for line in [tunnel, format!("addr add {address} dev vx0"), "link set vx0 up".into()] {
                succeed(Command::new("ip").args(["-n", &namespace]).args(line.split(' ')));
            }
        }
        let ask = || drop(lab.curl(&["http://10.78.0.1:8080/"]));
        let report = watch(lab, &[CABLE, "--port", "8080"], false, ask);
        assert_eq!(causes(&report), ["tunnel"], "{report:#}");
        let tunnel = found(&report, "tunnel");
        assert_eq!(tunnel["kind"], "vxlan", "{report:#}");
        assert!(tunnel["on_port"].as_u64() > Some(0), "{report:#}");
        assert_eq!(found(&report, "other_interface")["interface"], "vx0", "{report:#}");
        watch(lab, &["vx0", "--port", "8080"], true, ask);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn the_clients_port_is_no_port_to_watch() {
    Lab::run(|lab| {
        lab.start_nginx();
        let report = watch(lab, &[CABLE, "--port", "40001"], false, || {
            lab.curl(&["--local-port", "40001", URL]);
        });
        assert_eq!(causes(&report), ["client_port"], "{report:#}");
        assert_eq!(found(&report, "other_port")["port"], 8080, "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_that_keeps_all_back_is_named() {
    Lab::run(|lab| {
        lab.start_nginx();
        let ask = || drop(lab.curl(&[URL]));
        for (filter, name) in [
            (
                ["--client-net", "10.9.0.0/16"],
                "a network filter (--net, --client-net, --server-net)",
            ),
            (["--side", "client"], "--side"),
        ] {
            let flags = [&[CABLE, "--port", "8080"][..], &filter].concat();
            let report = watch(lab, &flags, false, ask);
            assert_eq!(causes(&report), ["filtered"], "{report:#}");
            assert_eq!(found(&report, "filtered")["by"], name, "{report:#}");
        }
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_server_elsewhere_is_noted() {
    Lab::run(|lab| {
        in_client(lab, || serve(8080, b"HTTP/1.1 204 No Content\r\n\r\n"));
        let report = watch(lab, &[CABLE, "--port", "8080"], true, || {
            succeed(Command::new("curl").args(["--silent", "http://10.77.0.2:8080/"]));
        });
        assert_eq!(found(&report, "server_elsewhere")["level"], "note", "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn connections_begun_before_are_reported() {
    Lab::run(|lab| {
        let listener = TcpListener::bind("10.77.0.1:8080").unwrap();
        let mut client = in_client(lab, || TcpStream::connect("10.77.0.1:8080").unwrap());
        let (mut server, _) = listener.accept().unwrap();
        let report = watch(lab, &[CABLE, "--port", "8080"], false, || {
            client.write_all(b"rest of a body").unwrap();
            server.read_exact(&mut [0; 14]).unwrap();
            server.write_all(b"rest of an answer").unwrap();
            client.read_exact(&mut [0; 17]).unwrap();
        });
        assert_eq!(causes(&report), ["mid_stream"], "{report:#}");
    });
}

/// Segments that TCP of the server's namespace has taken in.
fn segments_in() -> u64 {
    let counters = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut tcp = counters.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (tcp.next().unwrap().split(' '), tcp.next().unwrap().split(' '));
    names.zip(values).find(|(name, _)| *name == "InSegs").unwrap().1.parse().unwrap()
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn idle_connections_are_reported() {
    Lab::run(|lab| {
        let listener = TcpListener::bind("10.77.0.1:8080").unwrap();
        let _client = in_client(lab, || {
            let client = TcpStream::connect("10.77.0.1:8080").unwrap();
            let second = Duration::from_secs(1);
            let keepalive = TcpKeepalive::new().with_time(second).with_interval(second);
            SockRef::from(&client).set_tcp_keepalive(&keepalive).unwrap();
            client
        });
        let _server = listener.accept().unwrap();
        let report = watch(lab, &[CABLE, "--port", "8080"], false, || {
            let before = segments_in();
            until("a probe of keepalive came in", || segments_in() > before);
        });
        assert_eq!(causes(&report), ["no_payload"], "{report:#}");
        assert!(found(&report, "no_payload")["bare_acks"].as_u64() > Some(0), "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn http2_by_upgrade_is_noted() {
    Lab::run(|lab| {
        serve(
            8080,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        );
        let report = watch(lab, &[CABLE, "--port", "8080"], true, || {
            send(lab, 8080, b"GET / HTTP/1.1\r\nHost: shop\r\nUpgrade: h2c\r\n\r\n");
        });
        assert_eq!(found(&report, "h2c")["level"], "note", "{report:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn quic_is_named() {
    Lab::run(|lab| {
        let server = UdpSocket::bind("10.77.0.1:8080").unwrap();
        let report = watch(lab, &[CABLE, "--port", "8080"], false, || {
            in_client(lab, || {
                let client = UdpSocket::bind("10.77.0.2:0").unwrap();
                client.send_to(&[0xc3, 0, 0, 0, 1], "10.77.0.1:8080").unwrap();
            });
            server.recv(&mut [0; 8]).unwrap();
        });
        assert_eq!(causes(&report), ["udp"], "{report:#}");
        assert_eq!(found(&report, "udp")["quic"], 1, "{report:#}");
    });
}
