//! The shadow contract with real services and a real database: what a marked request changes is
//! rolled back, what any other changes is kept.

use std::path::PathBuf;
use std::process::Command;

use crate::support::postgres::Postgres;
use crate::support::sample::{SAMPLES, Service, python};
use crate::support::wire::Talk;
use crate::support::{self, Workspace, mirror};

fn order(item: &str) -> String {
    let media_type = if item.starts_with('{') { "application/json" } else { "text/plain" };
    format!(
        "POST /orders HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
         Content-Length: {}\r\n\r\n{item}",
        item.len()
    )
}

/// Captures the order of `item` at production and replays it to the service.
fn replay(item: &str, service: &Service, flags: &[&str]) {
    let answer = "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\norder 1\n";
    let talk = Talk::new().open().client(order(item)).server(answer).close();
    let workspace = Workspace::new();
    let file = workspace.file("order.pcap", &talk.pcap());
    let to = format!("http://{}", service.address);
    let args = [&["replay", "--from", &file, "--to", &to, "--speed", "max"], flags].concat();
    mirror(&args).exits_with(0).says("shadow requests    seen 1 = delivered 1\n");
}

fn keeps_the_contract(service: impl FnOnce(&Postgres) -> Command) {
    let database = Postgres::start();
    let schema = std::fs::read_to_string(format!("{SAMPLES}/orders.sql")).expect("the schema");
    database.query(&schema);
    let service = Service::start(&mut service(&database));
    let items = || database.query("SELECT string_agg(item, ',' ORDER BY id) FROM orders");

    let answer = service.ask(&order("tea"));
    assert!(answer.contains(" 201 ") && answer.ends_with("\r\norder 1\n"), "{answer}");
    assert_eq!(items(), "tea");

    replay("coffee", &service, &["--mode", "rollback"]);
    assert_eq!(items(), "tea", "what the marked request changed is rolled back");
    // Sequences are not rolled back, which proves that the order was taken.
    assert_eq!(database.query("SELECT last_value FROM orders_id_seq"), "2");

    // The mark as a stranger would send it, to see the answer: as if the order were kept.
    let marked = order("milk").replacen("\r\n", "\r\nX-Shadow-Mode: rollback\r\n", 1);
    let answer = service.ask(&marked);
    assert!(answer.contains(" 201 ") && answer.ends_with("\r\norder 3\n"), "{answer}");
    assert_eq!(items(), "tea");

    // A mark in the body does the same, for services that read their flags there.
    let in_body = ["--mark-json", "$.meta.shadow=\"rollback\""];
    replay("{\"tea\": 1}", &service, &in_body);
    assert_eq!(items(), "tea");

    replay("cocoa", &service, &[]);
    assert_eq!(items(), "tea,cocoa", "a shadow without the mode works on its own database");

    let said = service.stop();
    assert_eq!(said, "warehouse: order 1\nwarehouse: order 5\n", "no call for a rolled back order");
}

#[test]
#[ignore = "needs postgresql: cargo xtask test"]
fn the_rust_sample_rolls_back_what_marked_requests_change() {
    // The workspace's programs lie beside each other.
    let program: PathBuf = support::binary().with_file_name("shadow-sample");
    keeps_the_contract(|database| {
        let mut command = Command::new(program);
        command.arg(database.dsn());
        command
    });
}

#[test]
#[ignore = "needs postgresql and python3-psycopg2: cargo xtask test"]
fn the_python_sample_rolls_back_what_marked_requests_change() {
    keeps_the_contract(|database| python(&database.dsn()));
}

#[test]
#[ignore = "needs postgresql: cargo xtask test"]
fn the_schema_refuses_to_commit_what_is_synthetic() {
    let database = Postgres::start();
    let schema = std::fs::read_to_string(format!("{SAMPLES}/orders.sql")).expect("the schema");
    database.query(&schema);
    let insert = "INSERT INTO orders (item) VALUES ('tea')";
    let why =
        database.refusal(&format!("BEGIN; SET LOCAL shadow.synthetic = '1'; {insert}; COMMIT"));
    assert!(why.contains("a synthetic transaction must be rolled back"), "{why}");
    assert_eq!(database.query("SELECT count(*) FROM orders"), "0");
    database.query(&format!("BEGIN; {insert}; COMMIT"));
    assert_eq!(database.query("SELECT count(*) FROM orders"), "1");
}
