//! Real clients that speak TLS with a stub server, as server and through a proxy.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::client::{Stub, head_and_body};
use super::{get, ok, talk};
use crate::support::Workspace;
use crate::support::netns::{succeed, until};
use crate::support::summary::balanced;

/// A recording of one service, and of a body that lies in a file.
fn recording() -> Vec<u8> {
    talk(&[
        (get("/v1/users/42", "users.internal"), ok("forty-two")),
        (get("/big", "users.internal"), ok(&"0123456789".repeat(200_000))),
    ])
    .pcap()
}

/// Curl's exit code must be 0.
fn curl(args: &[&str]) -> String {
    let output = succeed(&mut curl_with(args));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn curl_with(args: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "20"]).args(args).env_remove("https_proxy");
    curl
}

fn connections(stub: &Stub, what: &str) -> f64 {
    let labels = [("topic", "stub_connections"), ("detail", what)];
    stub.endpoint().scrape().sum("mirror_detail_total", &labels)
}

#[test]
fn curl_trusts_the_authority_as_with_a_server_and_through_a_proxy() {
    let folder = Workspace::new();
    let made = folder.path("made");
    let ca = made.join("ca.pem").to_str().unwrap().to_owned();
    let flags = ["--tls-authority", made.to_str().unwrap(), "--admin", "127.0.0.1:0"];
    let stub = Stub::of("users.pcap", &recording(), &flags);
    assert!(stub.said().contains(&format!("let clients trust {ca}")), "{}", stub.said());
    let address = stub.address();
    let (port, trust) = (address.port(), ["--cacert", ca.as_str()]);
    // As a server: by the recorded name, by an address, and without TLS at the same port.
    let at = format!("users.internal:{port}:127.0.0.1");
    let own = format!("https://users.internal:{port}/v1/users/42");
    let version = ["-w", " %{http_version}", "--http2"];
    let args = [&trust[..], &version, &["--resolve", &at, &own]].concat();
    assert_eq!(curl(&args), "forty-two 1.1");
    let by_address = format!("https://127.0.0.1:{port}/v1/users/42");
    assert_eq!(curl(&[&trust[..], &[&by_address]].concat()), "forty-two");
    assert_eq!(curl(&[&format!("http://127.0.0.1:{port}/v1/users/42")]), "forty-two");
    // Through it as a proxy, that is reached without TLS or within: two requests in one tunnel.
    let url = "https://users.internal/v1/users/42";
    for (proxy, authority) in
        [(format!("http://{address}"), None), (format!("https://{address}"), Some(ca.as_str()))]
    {
        let mut args = [&trust[..], &["-x", &proxy, "-w", "/%{num_connects} ", url, url]].concat();
        args.extend(authority.iter().flat_map(|file| ["--proxy-cacert", file]));
        assert_eq!(curl(&args), "forty-two/1 forty-two/0 ", "{proxy}");
    }
    let proxy = format!("http://{address}");
    let big = [&trust[..], &["-x", &proxy, "https://users.internal:443/big"]].concat();
    assert_eq!(curl(&big), "0123456789".repeat(200_000));
    // What was not recorded is refused within the tunnel, where the client reads why.
    let missed = [&trust[..], &["-x", &proxy, "https://other.internal/"]].concat();
    let said = curl(&missed);
    assert!(said.contains("GET https://other.internal/\n"), "{said}");
    assert!(said.contains("first difference: host"), "{said}");
    // One that does not trust the authority.
    let stranger = curl_with(&["-x", &proxy, url]).output().unwrap();
    assert_eq!(stranger.status.code(), Some(60), "{stranger:?}");
    until("the failed handshake is counted", || connections(&stub, "handshakes_failed") == 1.0);
    let said = stub.said();
    assert!(said.contains("TLS handshake failed") && said.contains(&ca), "{said}");
    assert_eq!(connections(&stub, "tunnels"), 5.0);
    assert_eq!(connections(&stub, "secured"), 7.0);
    let dropped = vec![("missed".to_owned(), 1)];
    assert_eq!(balanced(&stub.end(0), "stub requests"), (9, 8, dropped));
    // Another start has the same authority.
    let read = |name: &str| fs::read(made.join(name)).unwrap();
    let (certificate, key) = (read("ca.pem"), read("ca.key"));
    assert_eq!(fs::metadata(made.join("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let stub = Stub::of("users.pcap", &recording(), &flags);
    assert!(!stub.said().contains("let clients trust"), "{}", stub.said());
    assert_eq!((read("ca.pem"), read("ca.key")), (certificate, key));
    let proxy = format!("http://{}", stub.address());
    assert_eq!(curl(&[&trust[..], &["-x", &proxy, url]].concat()), "forty-two");
}

/// As Python checks certificates from 3.13 on.
const PYTHON: &str = r#"
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT
proxy = urllib.request.ProxyHandler({"https": sys.argv[2]})
opener = urllib.request.build_opener(proxy, urllib.request.HTTPSHandler(context=context))
print(opener.open("https://users.internal/v1/users/42", timeout=20).read().decode(), end="")
"#;

fn python(ca: &Path, proxy: &str) -> Output {
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON]).arg(ca).arg(proxy).env_remove("no_proxy");
    succeed(&mut python)
}

#[test]
fn python_accepts_the_certificates_by_its_strict_rules() {
    let folder = Workspace::new();
    let made = folder.path("made");
    let flags = ["--tls-authority", made.to_str().unwrap()];
    let stub = Stub::of("users.pcap", &recording(), &flags);
    let said = python(&made.join("ca.pem"), &format!("http://{}", stub.address()));
    assert_eq!(String::from_utf8_lossy(&said.stdout), "forty-two");
}

#[test]
fn a_tunnel_needs_no_tls_and_leads_to_no_other_tunnel() {
    let folder = Workspace::new();
    let made = folder.path("made");
    let flags = [
        "--tls-authority",
        made.to_str().unwrap(),
        "--pass",
        "passed.internal",
        "--fault",
        "reset /v1/users/7",
    ];
    let stub = Stub::of("users.pcap", &recording(), &flags);
    let mut client = stub.connect();
    let connect = |host: &str| format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let opened = b"HTTP/1.1 200 Connection Established\r\n\r\n";
    // Some clients do not wait for the response.
    client.send(connect("users.internal:443") + &get("/v1/users/42", "users.internal"));
    assert_eq!(client.receive(opened.len()), opened);
    assert_eq!(client.response(), ok("forty-two").as_bytes());
    client.send(connect("users.internal:443"));
    let (head, _) = head_and_body(&client.response());
    assert!(head.starts_with("HTTP/1.1 501 "), "{head}");
    // To whom a tunnel leads is said on purpose: an address is no name of this server there.
    client.send(get("/v1/users/42", "192.0.2.1"));
    let (head, _) = head_and_body(&client.response());
    assert!(head.contains("differs=host"), "{head}");
    client.send(get("/v1/users/7", "users.internal"));
    let error = client.read_to_end().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // What came encrypted would leave as plain text.
    let ca = made.join("ca.pem").to_str().unwrap().to_owned();
    let proxy = format!("http://{}", stub.address());
    let args = ["-w", "%{http_code}", "-o", "/dev/null", "--cacert", &ca, "-x", &proxy];
    assert_eq!(curl(&[&args[..], &["https://passed.internal/"]].concat()), "502");
    let dropped = vec![("missed".to_owned(), 3), ("fault".to_owned(), 1)];
    assert_eq!(balanced(&stub.end(0), "stub requests"), (5, 1, dropped));
}

#[test]
#[ignore = "needs openssl: cargo xtask test"]
fn openssl_makes_a_certificate_that_is_presented_whatever_the_host() {
    let folder = Workspace::new();
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let (cert, key, other) = (path("cert.pem"), path("key.pem"), path("other.pem"));
    for (cert, key) in [(&cert, &key), (&path("unused.pem"), &other)] {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        openssl.args(["-nodes", "-days", "2", "-subj", "/CN=users.internal"]);
        openssl.args([
            "-addext",
            "subjectAltName=DNS:users.internal",
            "-out",
            cert,
            "-keyout",
            key,
        ]);
        succeed(&mut openssl);
    }
    let flags = ["--tls-cert", &cert, "--tls-key", &key];
    let stub = Stub::of("users.pcap", &recording(), &flags);
    let proxy = format!("http://{}", stub.address());
    let args = ["--cacert", &cert, "-x", &proxy, "https://users.internal/v1/users/42"];
    assert_eq!(curl(&args), "forty-two");
    // A client that speaks HTTP/2 alone.
    let connect = stub.address().to_string();
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &connect, "-servername", "a", "-alpn", "h2"]);
    let said = openssl.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("no application protocol"), "{said}");
    // Files that do not belong together.
    let recorded = folder.file("users.pcap", &recording());
    let run = |flags: &[&str]| {
        let stub = ["stub", "--listen", "127.0.0.1:0", "--from", recorded.as_str()];
        crate::support::mirror(&[&stub, flags].concat()).exits_with(2).stderr()
    };
    let said = run(&["--tls-cert", &cert, "--tls-key", &other]);
    assert!(said.contains("cert.pem: does not match its key"), "{said}");
    let authority = folder.path("authority");
    fs::create_dir(&authority).unwrap();
    fs::copy(&cert, authority.join("ca.pem")).unwrap();
    fs::copy(&other, authority.join("ca.key")).unwrap();
    let said = run(&["--tls-authority", authority.to_str().unwrap()]);
    assert!(said.contains("ca.pem: signs no certificate that a client would trust"), "{said}");
}
