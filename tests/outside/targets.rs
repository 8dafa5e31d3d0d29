//! Where a replay goes: TLS, unix sockets, several targets, and targets that fail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::summary::balanced;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::{Talk, interleaved};
use crate::support::{self, Workspace, mirror};

const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// So many connections with a request each.
fn gets(count: u16) -> Vec<u8> {
    let talks: Vec<Talk> = (0..count)
        .map(|n| {
            let client = format!("10.0.0.2:{}", 40_000 + n);
            let get = format!("GET /{n} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            Talk::between(&client, "10.0.0.1:8080").open().client(get).server(ANSWER).close()
        })
        .collect();
    interleaved(&talks)
}

/// The account of this name: seen, delivered, and each dropped reason; its sum holds.
fn account(run: &support::Run, name: &str) -> (u64, u64, Vec<(String, u64)>) {
    let summary: Value = serde_json::from_str(&run.stdout()).unwrap();
    balanced(&summary, name)
}

#[test]
fn a_target_that_keeps_failing_is_left_alone_and_the_other_gets_everything() {
    let bad = Target::start(Behaviour::AnswerAndClose(b"SSH-2.0-none\r\n".to_vec()));
    let good = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let file = workspace.file("gets.pcap", &gets(60));
    let (to_bad, to_good) = (bad.url(), good.url());
    let run = mirror(&[
        "replay",
        "--from",
        &file,
        "--to",
        &to_bad,
        "--to",
        &to_good,
        "--speed",
        "max",
        "--json",
        "--log-format",
        "json",
        // One after the other, so that none is on its way when it opens; and it stays open.
        "--max-connections",
        "1",
        "--breaker",
        "50%",
        "--breaker-rest",
        "1h",
    ])
    .exits_with(0);
    let (seen, delivered, dropped) = account(&run, &format!("to {to_bad}"));
    assert_eq!((seen, delivered), (60, 0));
    let expected = [("breaker_open".to_owned(), 40), ("bad_answer".to_owned(), 20)];
    assert_eq!(dropped.len(), 2, "{dropped:?}");
    assert!(expected.iter().all(|reason| dropped.contains(reason)), "{dropped:?}");
    let events = run.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "breaker_opened");
    let authority = to_bad.trim_start_matches("http://");
    let fields = serde_json::json!({"target": authority, "failed": 20, "of": 20});
    assert_eq!(events[0]["fields"], fields);
    assert_eq!(account(&run, &format!("to {to_good}")), (60, 60, vec![]));
}

#[test]
fn a_target_that_is_down_or_has_no_address_costs_the_others_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (down, why) in [
        (format!("http://{free}"), "connection refused"),
        // RFC 6761 §6.4: no name under it ever has an address.
        ("http://staging.invalid:8080".to_owned(), "no address found"),
    ] {
        let good = Target::start(Behaviour::Answer);
        let workspace = Workspace::new();
        let file = workspace.file("gets.pcap", &gets(3));
        let to_good = good.url();
        let args = ["replay", "--from", &file, "--speed", "max", "--json", "--to", &down];
        let flags = ["--to", &to_good, "--log-format", "json"];
        let run = mirror(&[&args[..], &flags].concat()).exits_with(0);
        assert_eq!(account(&run, &format!("to {down}")).1, 0);
        assert_eq!(account(&run, &format!("to {to_good}")), (3, 3, vec![]));
        let events = run.events();
        assert_eq!(events[0]["event"], "target_unreachable", "{events:?}");
        assert!(events[0]["fields"]["reason"].as_str().unwrap().contains(why), "{events:?}");
        assert_eq!(format!("http://{}", events[0]["fields"]["target"].as_str().unwrap()), down);
        // Alone, it is a run to nowhere.
        assert!(mirror(&args).exits_with(2).stderr().contains(why));
    }
}

#[test]
fn a_unix_socket_gets_the_same_bytes() {
    let workspace = Workspace::new();
    let path = workspace.path("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        // The first connection is the look whether anybody is there.
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            if !head.is_empty() {
                stream.write_all(ANSWER.as_bytes()).unwrap();
            }
            heads.push(head);
        }
        heads
    });
    let file = workspace.file("gets.pcap", &gets(1));
    let to = format!("unix:{}", path.display());
    let run = mirror(&["replay", "--from", &file, "--to", &to, "--speed", "max", "--json"]);
    let run = run.exits_with(0);
    assert_eq!(account(&run, "shadow requests"), (1, 1, vec![]));
    let heads = server.join().unwrap();
    assert!(heads[0].is_empty());
    assert_eq!(heads[1][..2], ["GET /0 HTTP/1.1", "Host: shop.example-shadow"]);
}

/// A proxy that opens one tunnel after the other to `target`, whatever it is asked for; gives what it was
/// asked for.
fn proxy_to(target: std::net::SocketAddr, tunnels: usize) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:pw@{}", listener.local_addr().unwrap());
    let proxy = std::thread::spawn(move || {
        let serve = |_| {
            let (mut client, _) = listener.accept().unwrap();
            let mut input = BufReader::new(client.try_clone().unwrap());
            let lines = input.by_ref().lines().map_while(Result::ok);
            let asked: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let mut server = TcpStream::connect(target).unwrap();
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut forth);
                let _ = forth.shutdown(Shutdown::Both);
            });
            let _ = std::io::copy(&mut input, &mut server);
            let _ = server.shutdown(Shutdown::Write);
            asked.join("\n")
        };
        (0..tunnels).map(serve).collect()
    });
    (url, proxy)
}

#[test]
fn the_proxy_that_the_environment_names_is_gone_through() {
    let target = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let file = workspace.file("gets.pcap", &gets(1));
    // One for the look whether anybody is there.
    let (url, proxy) = proxy_to(target.address(), 2);
    let replay = |no_proxy: &str| {
        // RFC 6761 §6.4: the name has no address, so that the proxy alone can know it.
        let to = ["--to", "http://staging.invalid:8080", "--speed", "max", "--json"];
        let mut command = Command::new(support::binary());
        command.args(["replay", "--from", &file]).args(to);
        command.env("http_proxy", &url).env("no_proxy", no_proxy).output().unwrap()
    };
    let output = replay("");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = "CONNECT staging.invalid:8080 HTTP/1.1\nHost: staging.invalid:8080\n\
                 Proxy-Authorization: Basic bWU6cHc=";
    assert_eq!(proxy.join().unwrap(), [asked, asked]);
    let received = target.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].target(), "/0", "not the absolute form that a proxy would read");
    let direct = replay("staging.invalid");
    assert_eq!(direct.status.code(), Some(2));
    let why = String::from_utf8_lossy(&direct.stderr).into_owned();
    assert!(why.contains("staging.invalid: no address found"), "{why}");
}

#[test]
fn a_url_can_have_a_path_and_a_password_that_is_printed_nowhere() {
    let target = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let talk = Talk::new().open();
    let talk = talk
        .client("GET /api/0?a=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nX-A: b\r\n\r\n");
    let file = workspace.file("get.pcap", &talk.server(ANSWER).close().pcap());
    let to = format!("http://me:hush@{}/v2/", target.address());
    let log = workspace.path("log").display().to_string();
    let args = ["replay", "--from", &file, "--to", &to, "--speed", "max", "--log-requests", &log];
    let flags = ["--path-prefix", "/api=/x", "--header", "X-A: c", "--header", "X-B: d:e"];
    let run = mirror(&[&args[..], &flags].concat()).exits_with(0);
    let request = &target.wait_for(1, PATIENCE)[0];
    assert_eq!(request.target(), "/v2/x/0?a=1");
    // "me:hush", as RFC 7617 has it.
    let fields = [("authorization", "Basic bWU6aHVzaA=="), ("x-a", "c"), ("x-b", "d:e")];
    for (name, value) in fields {
        assert_eq!(request.header(name).as_deref(), Some(value));
        let head = String::from_utf8_lossy(&request.head).to_ascii_lowercase();
        assert_eq!(head.matches(&format!("\r\n{name}:")).count(), 1, "{head}");
    }
    // With a second target, accounts bear the URLs.
    let second = ["--to", &to, "--json"];
    let both = mirror(&[&args[..], &second].concat()).exits_with(0);
    let refused = ["replay", "--from", &file, "--to", &format!("{to}?x")];
    let refused = mirror(&refused).exits_with(2);
    let log = std::fs::read_to_string(log).unwrap();
    let told = [run.stdout(), run.stderr(), both.stdout(), both.stderr(), refused.stderr(), log];
    for text in told {
        assert!(!text.is_empty() || text == run.stderr() || text == both.stderr());
        assert!(!text.contains("hush") && !text.contains("aHVzaA"), "{text}");
    }
}

#[test]
fn what_is_no_url_gets_an_example_of_one() {
    for (to, meant) in
        [("localhost:80", "http://localhost:80"), ("/run/a.sock", "unix:/run/a.sock")]
    {
        mirror(&["replay", "--from", "nothing.pcap", "--to", to])
            .exits_with(2)
            .complains(&[&format!("write {meant}")]);
    }
}

/// A server under TLS that answers every request with a page about itself; killed when dropped.
struct Openssl(Child);

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(folder: &Path, args: &str) {
    let args = args.split(' ');
    let output = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn serve_tls(folder: &Path) -> (Openssl, u16) {
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    for args in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out request.pem -subj /CN=localhost",
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
    ] {
        openssl(folder, args);
    }
    serve_certificate(folder, "cert.pem", "key.pem")
}

#[expect(clippy::disallowed_methods, reason = "waits for a real server, with a deadline")]
fn serve_certificate(folder: &Path, certificate: &str, key: &str) -> (Openssl, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-cert", certificate, "-key", key, "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Openssl(server);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "openssl s_server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    (server, port)
}

#[test]
#[ignore = "needs openssl: cargo xtask test"]
fn openssl_target_is_trusted_by_its_authority_and_its_name_alone() {
    let workspace = Workspace::new();
    let file = workspace.file("gets.pcap", &gets(2));
    let folder = workspace.path("");
    let (_server, port) = serve_tls(&folder);
    let authority = folder.join("ca.pem").display().to_string();
    let (named, numbered) =
        (format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}"));
    let replay = |to: &str, flags: &[&str]| {
        let args = ["replay", "--from", &file, "--to", to, "--speed", "max", "--json"];
        mirror(&[&args, flags].concat())
    };
    let run = replay(&named, &["--tls-ca", &authority]).exits_with(0);
    assert_eq!(account(&run, "shadow requests"), (2, 2, vec![]));
    let unknown = replay(&named, &[]).exits_with(2);
    assert!(unknown.stderr().contains("--tls-ca"), "{}", unknown.stderr());
    // Its certificate has another name than the address that is connected to.
    replay(&numbered, &["--tls-ca", &authority]).exits_with(2);
    let name = ["--tls-ca", &authority, "--tls-server-name", "localhost"];
    let run = replay(&numbered, &name).exits_with(0);
    assert_eq!(account(&run, "shadow requests"), (2, 2, vec![]));
    // One that speaks no TLS at all.
    let plain = Target::start(Behaviour::AnswerAndClose(ANSWER.into()));
    let url = plain.url().replace("http", "https");
    let run = replay(&url, &["--tls-ca", &authority]).exits_with(2);
    assert!(run.stderr().contains("TLS handshake failed"), "{}", run.stderr());
}

#[test]
#[ignore = "needs openssl: cargo xtask test"]
fn openssl_target_with_a_certificate_of_its_own_is_trusted_by_its_name_in_tls_ca() {
    let workspace = Workspace::new();
    let file = workspace.file("gets.pcap", &gets(2));
    let folder = workspace.path("");
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem";
    let (localhost, other) = ("-subj /CN=localhost", "-addext subjectAltName=DNS:other.example");
    for (name, how, held) in [
        // What `openssl req -x509` makes unless told otherwise: an authority, without other names.
        ("authority", localhost.to_owned(), true),
        ("named", format!("{localhost} -addext subjectAltName=DNS:localhost"), true),
        ("leaf", format!("{localhost} -addext basicConstraints=critical,CA:FALSE"), true),
        ("misnamed", "-subj /CN=other.example".to_owned(), false),
        // With other names, the common name says nothing.
        ("elsewhere", format!("{localhost} {other}"), false),
    ] {
        openssl(&folder, &format!("{new} -out {name}.pem -days 2 {how}"));
        let (_server, port) = serve_certificate(&folder, &format!("{name}.pem"), "key.pem");
        let certificate = folder.join(format!("{name}.pem")).display().to_string();
        let url = format!("https://localhost:{port}");
        let replay = |flags: &[&str]| {
            let args = ["replay", "--from", &file, "--to", &url, "--speed", "max", "--json"];
            mirror(&[&args, flags].concat())
        };
        let run = replay(&["--tls-ca", &certificate]).exits_with(if held { 0 } else { 2 });
        if held {
            assert_eq!(account(&run, "shadow requests"), (2, 2, vec![]), "{name}");
        }
        replay(&[]).exits_with(2);
        let run = replay(&["--tls-insecure"]).exits_with(0);
        assert_eq!(account(&run, "shadow requests"), (2, 2, vec![]), "{name}");
        assert!(run.stderr().contains("its certificate is not verified"), "{}", run.stderr());
        replay(&["--tls-insecure", "--tls-ca", &certificate]).exits_with(2);
    }
    // Another certificate of the same name is not the one that was named.
    let (_server, port) = serve_certificate(&folder, "elsewhere.pem", "key.pem");
    let url = format!("https://localhost:{port}");
    let named = folder.join("named.pem").display().to_string();
    mirror(&["replay", "--from", &file, "--to", &url, "--tls-ca", &named]).exits_with(2);
    // One that ran out is refused, whoever named it.
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    for args in [
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out request.pem -subj /CN=localhost",
        "x509 -req -in request.pem -signkey key.pem -out old.pem -days -1 -extfile names",
    ] {
        openssl(&folder, args);
    }
    let (_server, port) = serve_certificate(&folder, "old.pem", "key.pem");
    let (url, old) =
        (format!("https://localhost:{port}"), folder.join("old.pem").display().to_string());
    mirror(&["replay", "--from", &file, "--to", &url, "--tls-ca", &old]).exits_with(2);
}
