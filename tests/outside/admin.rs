//! The admin endpoint of the program as its user has it: routes, refusals, and clients that do not behave.

use std::fs::{self, File};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::support::netns::{patience, succeed, until};
use crate::support::scrape::{Endpoint, Samples};
use crate::support::target::{Behaviour, Target};
use crate::support::{Workspace, binary, mirror};

fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps")
}

/// A `mirror` that reads a capture from standard input, which stays open until this is ended.
struct Running {
    child: Child,
    said: PathBuf,
    _workspace: Workspace,
}

impl Running {
    fn start(args: &[&str]) -> (Self, Endpoint) {
        let workspace = Workspace::new();
        let said = workspace.path("stderr");
        let mut child = Command::new(binary())
            .args(args)
            .env_remove("MIRROR_ADMIN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let capture = fs::read(pcaps().join("demo.pcap")).unwrap();
        child.stdin.as_mut().unwrap().write_all(&capture).unwrap();
        let running = Self { child, said, _workspace: workspace };
        until("the endpoint answers", || Endpoint::told_by(&running.said()).is_some());
        let endpoint = Endpoint::told_by(&running.said()).unwrap();
        (running, endpoint)
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Closes its input, and reads the summary that it prints at its end.
    fn summary(mut self) -> serde_json::Value {
        drop(self.child.stdin.take());
        let mut output = self.child.stdout.take().unwrap();
        let summary = serde_json::from_reader(&mut output).expect("JSON");
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
        summary
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A replay of standard input to `target` with an endpoint on a free port.
fn replay(target: &Target, more: &[&str]) -> (Running, Endpoint) {
    let url = target.url();
    let args = ["replay", "--from", "-", "--to", &url, "--json", "--admin", "127.0.0.1:0"];
    Running::start(&[&args[..], more].concat())
}

#[test]
fn what_is_served_while_it_runs_is_what_the_summary_says_at_the_end() {
    let target = Target::start(Behaviour::Answer);
    let (running, endpoint) = replay(&target, &["--speed", "max"]);
    let labels = [("seam", "shadow_requests"), ("target", &*target.address().to_string())];
    let delivered = |samples: &Samples| samples.sum("mirror_delivered_total", &labels);
    until("all requests are answered", || {
        let samples = endpoint.scrape();
        samples.assert_sums_hold();
        let seen = samples.sum("mirror_delivered_total", &[("seam", "cleared")]);
        seen > 0.0 && delivered(&samples) == seen
    });
    let samples = endpoint.scrape();
    for reason in ["queue_full", "breaker_open", "reset"] {
        assert!(samples.has("mirror_dropped_total", &[labels[0], ("reason", reason)]), "{reason}");
    }
    let count = "mirror_target_response_seconds_count";
    assert_eq!(samples.sum(count, &[]), delivered(&samples));
    assert_eq!(
        samples.sum("mirror_target_responses_total", &[("class", "2xx")]),
        delivered(&samples)
    );
    assert_eq!(samples.sum("mirror_not_ready", &[]), 0.0);

    let so_far: serde_json::Value =
        serde_json::from_str(&endpoint.get("/debug/summary").body).unwrap();
    let summary = running.summary();
    assert_eq!(so_far["accounts"], summary["accounts"]);
    assert_eq!(so_far["replays"][0]["answered"], summary["replays"][0]["answered"]);
    assert_eq!(delivered(&samples), summary["replays"][0]["answered"].as_f64().unwrap());
}

#[test]
fn every_route_answers_and_nothing_else_does() {
    let target = Target::start(Behaviour::Answer);
    let (_running, endpoint) = replay(&target, &["--header", "authorization: Bearer sesame"]);
    assert_eq!(endpoint.get("/livez").body, "ok\n");
    assert_eq!(endpoint.not_ready(), [""; 0]);
    let head = endpoint.get("/metrics").head;
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let wanted =
        "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = endpoint.ask("GET", "/metrics", &["Host: localhost", wanted]);
    assert!(open.head.contains("application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"));
    let config = endpoint.get("/debug/config").body;
    assert!(config.contains("authorization") && !config.contains("sesame"), "{config}");
    let nowhere = endpoint.get("/");
    assert!(nowhere.status == 404 && nowhere.body.contains("/readyz"), "{nowhere:?}");
    assert_eq!(endpoint.ask("POST", "/metrics", &["Host: localhost"]).status, 405);
    assert_eq!(endpoint.ask("GET", "/metrics", &["Host: evil.example"]).status, 403);
    let head = endpoint.ask("HEAD", "/livez", &["Host: localhost"]);
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    let samples = endpoint.scrape();
    for reason in ["no_route", "method", "host"] {
        assert_eq!(
            samples.sum("mirror_admin_refused_total", &[("reason", reason)]),
            1.0,
            "{reason}"
        );
    }
}

#[test]
fn a_token_is_required_where_there_is_one() {
    let workspace = Workspace::new();
    let token = workspace.path("token");
    let path = token.to_str().unwrap();
    let target = Target::start(Behaviour::Answer);
    let url = target.url();
    let start = ["replay", "--from", "demo.pcap", "--to", &url, "--admin", "127.0.0.1:0"];
    let missing = mirror(&[&start[..], &["--admin-token-file", path]].concat());
    missing.exits_with(2).complains(&[path, "token cannot be read"]);
    let open = mirror(&[&start[..6], &["0.0.0.0:0"]].concat());
    open.exits_with(2).complains(&["admin 0.0.0.0:0", "admin.token-file"]);

    fs::write(&token, "sesame\n").unwrap();
    let (running, endpoint) = replay(&target, &["--admin-token-file", path]);
    for (shown, status) in [("Bearer sesame", 200), ("Bearer simsim", 401), ("", 401)] {
        let shown = format!("Authorization: {shown}");
        for route in ["/metrics", "/debug/config"] {
            assert_eq!(endpoint.ask("GET", route, &["Host: any.name", &shown]).status, status);
        }
    }
    let refused = endpoint.ask("GET", "/nowhere", &["Host: any.name"]);
    assert_eq!(refused.status, 401, "which routes there are is not told");
    assert!(refused.head.contains("www-authenticate: bearer"), "{}", refused.head);
    assert_eq!(endpoint.ask("GET", "/readyz", &["Host: any.name"]).status, 200);
    fs::write(&token, "other").unwrap();
    let new = "Authorization: Bearer other";
    assert_eq!(endpoint.ask("GET", "/metrics", &["Host: any.name", new]).status, 200);
    assert!(!running.said().contains("sesame"));
}

#[test]
fn a_port_that_is_taken_ends_the_start_before_anything_is_sent() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let target = Target::start(Behaviour::Answer);
    let capture = pcaps().join("demo.pcap");
    let args = ["replay", "--from", capture.to_str().unwrap(), "--to", &target.url()];
    let ended = mirror(&[&args[..], &["--admin", &address]].concat());
    ended.exits_with(2).complains(&[&address, "another program listens there"]);
    assert_eq!(target.connections(), 0);
}

#[test]
fn clients_that_never_write_or_read_cost_no_request_and_are_let_go() {
    let target = Target::start(Behaviour::Answer);
    let (running, endpoint) = replay(&target, &["--speed", "max"]);
    // More than it serves at the same time.
    let silent: Vec<TcpStream> = (0..24).map(|_| TcpStream::connect(endpoint.0).unwrap()).collect();
    let mut deaf: Vec<TcpStream> =
        (0..8).map(|_| TcpStream::connect(endpoint.0).unwrap()).collect();
    for stream in &mut deaf {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    // The replay goes on meanwhile.
    let sent = target.wait_for(1, patience()).len();
    assert!(sent > 0);
    let mut samples = endpoint.scrape();
    until("those that never write are let go", || {
        samples = endpoint.scrape();
        samples.sum("mirror_admin_refused_total", &[("reason", "timeout")]) >= 16.0
    });
    samples.assert_sums_hold();
    drop((silent, deaf, running));
}

#[test]
fn the_endpoint_is_named_by_the_environment_too() {
    let target = Target::start(Behaviour::Answer);
    let capture = pcaps().join("demo.pcap");
    let mut command = Command::new(binary());
    command.args(["replay", "--from", capture.to_str().unwrap(), "--to", &target.url()]);
    let output = succeed(command.env("MIRROR_ADMIN", "127.0.0.1:0"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(Endpoint::told_by(&said).is_some(), "{said}");
}

#[test]
fn the_endpoint_of_a_file_is_read_and_a_target_that_is_down_is_a_reason() {
    let workspace = Workspace::new();
    let target = Target::start(Behaviour::Silence);
    let config = workspace.file(
        "mirror.yaml",
        format!(
            "version: 1\nsource: {{ from: '-' }}\nadmin: {{ listen: '127.0.0.1:0' }}\n\
             targets: {{ staging: {{ url: '{}', response-timeout: 50ms, breaker: {{ failures: off }} }} }}\n",
            target.url()
        )
        .as_bytes(),
    );
    let (_running, endpoint) = Running::start(&["run", "--config", &config, "--json"]);
    until("no target is reached", || endpoint.not_ready() == ["no_target_reached"]);
    let samples = endpoint.scrape();
    assert_eq!(samples.sum("mirror_not_ready", &[("reason", "no_target_reached")]), 1.0);
    let staging = [("target", "staging"), ("reason", "answer_timeout")];
    assert!(samples.sum("mirror_dropped_total", &staging) > 0.0);

    fs::write(&config, "version: 7\n").unwrap();
    until("the file is refused", || endpoint.not_ready().contains(&"config_invalid".to_owned()));
    assert_eq!(endpoint.scrape().sum("mirror_config_valid", &[]), 0.0);
}

#[test]
fn a_target_that_fails_more_than_it_may_is_a_reason_until_it_does_not() {
    let fails = Arc::new(AtomicBool::new(true));
    let target = Target::start(Behaviour::Serve(Arc::new({
        let fails = Arc::clone(&fails);
        move |_| {
            let status = if fails.load(Relaxed) { "503 Service Unavailable" } else { "200 OK" };
            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
        }
    })));
    // Enough of a few requests to judge by.
    let copies = ["--copies", "20", "--copies-over", "1s", "--speed", "max"];
    let limit = ["--health-errors", "60%", "--breaker", "off"];
    let (mut running, endpoint) = replay(&target, &[&copies[..], &limit].concat());
    until("its failures are a reason", || endpoint.not_ready() == ["target_fails"]);
    let told = endpoint.get("/readyz").body;
    assert!(
        told.contains("requests failed") && told.contains(&target.address().to_string()),
        "{told}"
    );
    assert_eq!(endpoint.scrape().sum("mirror_not_ready", &[("reason", "target_fails")]), 1.0);
    fails.store(false, Relaxed);
    let capture = fs::read(pcaps().join("shopping.pcap")).unwrap();
    running.child.stdin.as_mut().unwrap().write_all(&capture[24..]).unwrap();
    until("it is well again", || endpoint.not_ready().is_empty());
    drop(running);
}

#[test]
fn a_target_that_is_removed_and_comes_back_goes_on_counting_where_it_was() {
    let workspace = Workspace::new();
    let target = Target::start(Behaviour::Answer);
    let with = |settings: &str| {
        format!(
            "version: 1\nsource: {{ from: '-' }}\npace: {{ speed: max }}\nadmin: {{ listen: '127.0.0.1:0' }}\n\
             targets: {{ staging: {{ url: '{}'{settings} }} }}\n",
            target.url()
        )
    };
    let config = workspace.file("mirror.yaml", with("").as_bytes());
    let (mut running, endpoint) = Running::start(&["run", "--config", &config, "--json"]);
    let labels = [("seam", "shadow_requests"), ("target", "staging")];
    let delivered = || endpoint.scrape().sum("mirror_delivered_total", &labels);
    until("requests are answered", || delivered() > 0.0);
    let before = endpoint.scrape();
    let count = before.sum("mirror_delivered_total", &labels);

    // Another setting of the same target is another sink for it.
    fs::write(&config, with(", response-timeout: 7s")).unwrap();
    let reloaded = [("result", "reloaded")];
    until("the change is taken", || {
        endpoint.scrape().sum("mirror_config_reloads_total", &reloaded) == 1.0
    });
    let input = running.child.stdin.as_mut().unwrap();
    // Packets of other connections, without the header of their file, which is the same.
    let capture = fs::read(pcaps().join("shopping.pcap")).unwrap();
    input.write_all(&capture[24..]).unwrap();
    until("they go on from there", || delivered() > count);
    let after = endpoint.scrape();
    after.assert_sums_hold();
    let opened = |samples: &Samples| samples.sum("mirror_target_connections_opened_total", &[]);
    assert!(opened(&after) > opened(&before));
    assert!(endpoint.get("/debug/config").body.contains("7s"));
    drop(running);
}

#[test]
fn a_run_that_is_to_end_says_so_while_it_delivers_what_waits() {
    let target = Target::start(Behaviour::Hold);
    let (running, endpoint) = replay(&target, &["--speed", "max"]);
    let at_target = [("seam", "shadow_requests")];
    target.wait_for(1, patience());
    succeed(Command::new("kill").args(["-TERM", &running.child.id().to_string()]));
    until("it says that it ends", || endpoint.not_ready() == ["stopping"]);
    let samples = endpoint.scrape();
    samples.assert_sums_hold();
    assert!(samples.sum("mirror_in_flight", &at_target) > 0.0);
    target.release();
    let summary = running.summary();
    let replay = &summary["replays"][0];
    assert_eq!(replay["answered"], replay["offered"], "{summary:#}");
}

#[test]
#[ignore = "needs promtool: cargo xtask test"]
fn promtool_finds_nothing_to_complain_of() {
    let target = Target::start(Behaviour::Answer);
    let (_running, endpoint) = replay(&target, &[]);
    let mut check = Command::new("promtool");
    let mut check = check
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = endpoint.get("/metrics").body;
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
#[ignore = "needs promtool: cargo xtask test"]
fn promtool_tests_the_alert_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    for args in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts-test.yaml"]] {
        succeed(Command::new("promtool").args(args).current_dir(&folder));
    }
}

#[test]
#[ignore = "needs openssl: cargo xtask test"]
fn openssl_needs_a_client_certificate_where_the_endpoint_wants_one() {
    let workspace = Workspace::new();
    let path = |name: &str| workspace.path(name).to_str().unwrap().to_owned();
    // Signed by itself, or by an authority.
    let certificate = |name: &str, authority: Option<&(String, String)>| {
        let (cert, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let names = ["-nodes", "-days", "2", "-subj", "/CN=localhost"];
        let extra = ["-addext", "subjectAltName=DNS:localhost"];
        let files = ["-out", &*cert, "-keyout", &*key];
        let mut openssl = Command::new("openssl");
        openssl.args(args).args(names).args(extra).args(files);
        if let Some((cert, key)) = authority {
            openssl.args(["-CA", cert, "-CAkey", key]);
            openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        }
        succeed(&mut openssl);
        (cert, key)
    };
    let (server, authority) = (certificate("server", None), certificate("authority", None));
    let client = certificate("client", Some(&authority));
    let stranger = certificate("stranger", Some(&server));
    let target = Target::start(Behaviour::Answer);
    let tls = ["--admin-tls-cert", &server.0, "--admin-tls-key", &server.1];
    let (_running, endpoint) =
        replay(&target, &[&tls[..], &["--admin-tls-client-ca", &authority.0]].concat());
    let ask = |own: Option<&(String, String)>| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect", &endpoint.0.to_string()]);
        if let Some((cert, key)) = own {
            command.args(["-cert", cert, "-key", key]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: any.name\r\n\r\n";
        // A refused client may be gone already.
        let _ = child.stdin.as_mut().unwrap().write_all(request);
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    };
    assert!(ask(Some(&client)).contains("mirror_build_info"));
    assert!(!ask(None).contains("HTTP/1.1"), "without a certificate");
    assert!(!ask(Some(&stranger)).contains("HTTP/1.1"), "with another one");
}
