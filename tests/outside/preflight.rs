//! `mirror doctor --target`, with real services, databases and sockets: what could harm production is found before a replay.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::netns::until;
use crate::support::postgres::{Postgres, programs};
use crate::support::sample::{SAMPLES, Service, python};
use crate::support::{self, Workspace, mirror};

/// What was found of each question: its verdict, and what was said of it.
fn doctor(args: &[&str], code: i32) -> Vec<(String, String, String)> {
    let path = format!("{}:{}", programs_or_nothing(), std::env::var("PATH").unwrap());
    let all = [&["doctor", "--json", "--target"], args].concat();
    let run = support::mirror_with_variables(&all, &[("PATH", &path)]).exits_with(code);
    let report: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!(report["well"], code == 0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|one| (text(&one["what"]), text(&one["verdict"]), text(&one["found"]))).collect()
}

/// Where PostgreSQL's programs are, if they are.
fn programs_or_nothing() -> String {
    let is_there = std::path::Path::new("/usr/lib/postgresql").is_dir();
    if is_there { programs().display().to_string() } else { String::new() }
}

#[track_caller]
fn finds(found: &[(String, String, String)], what: &str, verdict: &str, text: &str) {
    let one = found.iter().find(|one| one.0 == what).unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(one.1, verdict, "{one:?}");
    assert!(one.2.contains(text), "no {text:?} in {one:?}");
}

#[test]
fn a_target_that_is_this_host_on_a_captured_port_is_production() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (url, port) = (format!("http://localhost:{}", address.port()), address.port().to_string());
    let found = doctor(&[&url, "--port", &port], 1);
    finds(&found, "address", "warning", "is this host, on a captured port");
    finds(&found, "database", "not_known", "not looked at");
    finds(&found, "rollback", "not_known", "not asked");
    let found = doctor(&[&url, "--port", "1"], 0);
    finds(&found, "address", "good", "not this host on a captured port (1)");
    finds(&doctor(&[&url], 0), "address", "not_known", "127.0.0.1");
    // The same port at another host. The address is for documentation (RFC 5737).
    finds(
        &doctor(&[&format!("http://192.0.2.1:{port}"), "--port", &port], 0),
        "address",
        "good",
        "",
    );
    finds(
        &doctor(&["http://nowhere.invalid", "--port", "80"], 1),
        "address",
        "warning",
        "no address",
    );
    finds(&doctor(&["unix:/run/shop.sock"], 0), "address", "good", "Unix socket");
    // By a name of the file, whose source says what is captured.
    let workspace = Workspace::new();
    let text = format!(
        "version: 1\nsource: {{ from: eth0, ports: [{port}] }}\ntargets: {{ shop: {{ url: 'http://192.0.2.1:{port}' }} }}\n"
    );
    let config = workspace.file("mirror.yaml", text.as_bytes());
    finds(&doctor(&["shop", "--config", &config], 0), "address", "good", &port);
    finds(&doctor(&[&url, "--config", &config], 1), "address", "warning", "captured port");
    mirror(&["doctor", "--target", "shop"]).exits_with(2);
    mirror(&["doctor", "--target", &url, "--probe", "orders"]).exits_with(2);
    let secret = ["doctor", "--target", &url, "--database", "host=a password=b"];
    assert!(mirror(&secret).exits_with(2).stderr().contains("without a password"));
    // As a person reads it.
    let run = mirror(&["doctor", "--target", &url, "--port", &port]).exits_with(1);
    run.says("WARNING  address       127.0.0.1:");
}

/// A process that has a connection to a database and listens on a port, as production's has.
struct Production {
    child: Child,
    port: String,
    _said: BufReader<ChildStdout>,
}

const PRODUCTION: &str = "
import socket, sys, psycopg2
connection = psycopg2.connect(sys.argv[1])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
listener.accept()
";

impl Production {
    fn start(dsn: &str) -> Self {
        let mut python = Command::new("/usr/bin/python3");
        let mut child =
            python.args(["-c", PRODUCTION, dsn]).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        said.read_line(&mut port).unwrap();
        Self { child, port: port.trim().to_owned(), _said: said }
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs postgresql and python3-psycopg2: cargo xtask test"]
fn postgresql_a_database_that_production_uses_is_found() {
    let server = Postgres::start_on_tcp();
    server.query("CREATE DATABASE copy");
    let (shared, copy) =
        (server.tcp_dsn_of("postgres").unwrap(), server.tcp_dsn_of("copy").unwrap());
    let production = Production::start(&shared);
    let target = "http://192.0.2.1:8080";
    let look =
        |dsn: &str, port: &str, code| doctor(&[target, "--port", port, "--database", dsn], code);
    let found = look(&shared, &production.port, 1);
    finds(&found, "database", "warning", "listens on a captured port, uses postgres at 127.0.0.1:");
    finds(&found, "replication", "good", "no subscription");
    // Another database of the same server, and a process that is not production's.
    finds(&look(&copy, &production.port, 0), "database", "good", "of other databases");
    finds(&look(&shared, "1", 0), "database", "not_known", "of this host use postgres");
    drop(production);
    until("its session ends", || {
        let count = "SELECT count(*) FROM pg_stat_activity WHERE client_port > 0";
        server.query(count) == "0"
    });
    finds(&look(&shared, "1", 0), "database", "good", "at this moment");
    // By its Unix socket, whose other ends have no address.
    let found = doctor(&[target, "--database", &server.dsn()], 0);
    finds(&found, "database", "good", "nobody else uses postgres by the socket");
    let found = doctor(&[target, "--database", "host=/nowhere"], 0);
    finds(&found, "database", "not_known", "not looked at");
}

#[test]
#[ignore = "needs postgresql: cargo xtask test"]
fn postgresql_replication_beside_shadows_that_write_is_found() {
    let (production, shadow) = (Postgres::start(), Postgres::start());
    for server in [&production, &shadow] {
        server.query("CREATE TABLE orders (id serial PRIMARY KEY, item text)");
    }
    production.query("CREATE PUBLICATION shadow FOR TABLE orders");
    shadow.query(&format!(
        "CREATE SUBSCRIPTION shop CONNECTION '{}' PUBLICATION shadow",
        production.dsn()
    ));
    until("it follows", || {
        shadow.query("SELECT count(*) FROM pg_stat_subscription WHERE pid IS NOT NULL") != "0"
    });
    let (url, dsn) = ("http://192.0.2.1:8080", shadow.dsn());
    let look = |more: &[&str], code| doctor(&[&[url, "--database", &dsn], more].concat(), code);
    finds(&look(&[], 1), "replication", "warning", "shop is at work");
    finds(&look(&["--rollback"], 0), "replication", "good", "rolled back");
    // By the file: its target's mode, or rules that send what is safe alone.
    let workspace = Workspace::new();
    let file = |name: &str, mode: &str, method: &str| {
        let text = format!(
            "version: 1\nsource: {{ from: a.pcap }}\ntargets: {{ shop: {{ url: '{url}', mode: {mode} }} }}\n\
             rules: [{{ name: all, match: {{ method: {method} }}, targets: shop }}]\n"
        );
        workspace.file(name, text.as_bytes())
    };
    for (file, code, verdict) in [
        (file("post.yaml", "replay", "[GET, POST]"), 1, "warning"),
        (file("rollback.yaml", "rollback", "[GET, POST]"), 0, "good"),
        (file("get.yaml", "replay", "GET"), 0, "good"),
    ] {
        finds(&look(&["--config", &file], code), "replication", verdict, "shop is at work");
    }
    // Another database of the same server has no subscription.
    shadow.query("CREATE DATABASE run");
    let found = doctor(&[url, "--database", &shadow.dsn_of("run")], 0);
    finds(&found, "replication", "good", "no subscription");
    shadow.query("DROP SUBSCRIPTION shop");
}

/// The sample without what rolls back.
fn careless(database: &Postgres) -> Command {
    let code = std::fs::read_to_string(format!("{SAMPLES}/python/service.py")).unwrap();
    let careless = code.replace("rollback = asks_for_rollback(environ)", "rollback = False");
    assert_ne!(code, careless);
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", &careless, &database.dsn()]).stderr(Stdio::null());
    python
}

#[test]
#[ignore = "needs postgresql and python3-psycopg2: cargo xtask test"]
fn postgresql_a_target_that_ignores_the_rollback_is_found() {
    let database = Postgres::start();
    database.query(&std::fs::read_to_string(format!("{SAMPLES}/orders.sql")).unwrap());
    let items = || database.query("SELECT string_agg(item, ',') FROM orders");
    let mut rust = Command::new(support::binary().with_file_name("shadow-sample"));
    rust.arg(database.dsn());
    for mut sample in [rust, python(&database.dsn())] {
        let service = Service::start(&mut sample);
        let url = format!("http://{}", service.address);
        let found = doctor(&[&url, "--probe", "/orders"], 0);
        finds(&found, "rollback", "good", "what POST /orders created is not there (404)");
        assert_eq!(items(), "");
        let found = doctor(&[&url, "--probe", "/elsewhere"], 0);
        finds(&found, "rollback", "not_known", "POST /elsewhere: 404, not 201");
    }
    let service = Service::start(&mut careless(&database));
    let found = doctor(&[&format!("http://{}", service.address), "--probe", "/orders"], 1);
    finds(&found, "rollback", "warning", "what POST /orders created is there: GET /orders/3: 200");
    assert_eq!(items(), "mirror doctor");
    let gone = support::free_address();
    let found = doctor(&[&format!("http://{gone}"), "--probe", "/orders"], 0);
    finds(&found, "rollback", "not_known", "connect_refused");
}
