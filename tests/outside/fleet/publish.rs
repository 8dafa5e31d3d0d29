//! Publishing: what others read, who may do what, and what is said where it cannot be done.

use std::path::Path;
use std::process::Command;

use nkeys::KeyPair;
use serde_json::Value;

use super::{Host, requests};
use crate::support::nats::Nats;
use crate::support::netns::until;
use crate::support::summary::balanced;
use crate::support::target::{Behaviour, Target};
use crate::support::wire::Talk;
use crate::support::{Run, Workspace, free_address, mirror};

fn publish(workspace: &Workspace, stream: &str, flags: &[&str]) -> Run {
    let file = workspace.file("a.pcap", &requests("a", 2, 2));
    let mut args = vec!["replay", "--from", &file, "--to", stream, "--json"];
    args.extend(flags);
    mirror(&args)
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_a_stream_of_others_or_none_is_told_in_one_line() {
    let (workspace, server) = (Workspace::new(), Nats::start());
    publish(&workspace, &format!("nats://{}/prod", free_address()), &[])
        .exits_with(2)
        .complains(&["cannot be connected to"]);
    server.asks(
        "STREAM.CREATE.other",
        r#"{"name":"other","subjects":["other.>"],"storage":"memory"}"#,
    );
    publish(&workspace, &server.stream("other"), &[])
        .exits_with(2)
        .complains(&["not a stream of mirror's", "mirror, shards 16"]);
    let none = server.stream("none");
    mirror(&["inspect", "--from", &none]).exits_with(2).complains(&["none", "cannot be opened"]);
    publish(&workspace, "nats://broker", &[]).exits_with(2).complains(&["names no stream"]);
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_a_full_stream_is_counted_and_what_it_took_is_there() {
    let (workspace, server) = (Workspace::new(), Nats::start());
    // It refuses what is new, as those that `mirror` makes do not.
    server.asks(
        "STREAM.CREATE.full",
        r#"{"name":"full","subjects":["full.>"],"storage":"memory","discard":"new","max_msgs":2,"description":"mirror, shards 1"}"#,
    );
    let stream = server.stream("full");
    let file = workspace.file("many.pcap", &requests("a", 2, 4));
    let host = Host::start(&workspace, "publisher", &["replay", "--from", &file, "--to", &stream]);
    until("it says so", || host.said().contains("maximum messages exceeded"));
    let summary = host.stop();
    let (seen, published, dropped) = balanced(&summary, "published");
    assert_eq!((seen, published), (8, 2), "{summary:#}");
    assert_eq!(dropped.iter().map(|(_, n)| n).sum::<u64>(), 6, "{summary:#}");
}

#[test]
#[ignore = "needs nats-server and Python packages, which `cargo xtask test` installs"]
fn nats_a_reader_in_python_reads_what_was_published() {
    let (workspace, server) = (Workspace::new(), Nats::start());
    let body = "x".repeat(1_200_000);
    let upload =
        format!("PUT /long HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut talk = Talk::new()
        .open()
        .client("GET /a?b=1 HTTP/1.1\r\nHost: shop\r\n\r\n")
        .server("HTTP/1.1 204 No Content\r\n\r\n");
    talk = talk.client(upload);
    for part in body.as_bytes().chunks(60_000) {
        talk = talk.client(part);
    }
    let talk = talk.server("HTTP/1.1 204 No Content\r\n\r\n").close();
    let file = workspace.file("talk.pcap", &talk.pcap());
    mirror(&["replay", "--from", &file, "--to", &server.stream("prod")]).exits_with(0);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/tools/envelope/bin/python3");
    let docs = root.join("docs/envelope");
    let made = Command::new(&python)
        .args(["-m", "grpc_tools.protoc", "--proto_path"])
        .arg(&docs)
        .arg(format!("--python_out={}", workspace.path("").display()))
        .arg("envelope.proto")
        .status();
    assert!(made.unwrap().success());
    let output = Command::new(&python)
        .arg(docs.join("read.py"))
        .args([format!("nats://{}", server.address), "prod".to_owned()])
        .env("PYTHONPATH", workspace.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut told: Vec<(&str, u64)> = lines
        .iter()
        .map(|line| (line["request"].as_str().unwrap(), line["body_bytes"].as_u64().unwrap()))
        .collect();
    told.sort();
    assert_eq!(told, [("GET /a?b=1 HTTP/1.1", 0), ("PUT /long HTTP/1.1", 1_200_000)]);
    assert!(lines.iter().all(|line| line["client"] == "10.0.0.2:40000"));
}

/// The example of the documentation: a capturer that may publish, a replayer that may take; and their seeds in files.
fn with_permissions(workspace: &Workspace) -> (Nats, String, String) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats/permissions.conf");
    let mut users = std::fs::read_to_string(example).unwrap();
    let mut seed = |place: &str| {
        let pair = KeyPair::new_user();
        users = users.replace(place, &pair.public_key());
        workspace.file(place, pair.seed().unwrap().as_bytes())
    };
    let seeds = (seed("CAPTURER_NKEY"), seed("REPLAYER_NKEY"), seed("ADMIN_NKEY"));
    let server = Nats::with(&users);
    // An administrator makes the stream; a capturer may not.
    publish(workspace, &server.stream("prod"), &["--to-nkey", &seeds.2]).exits_with(0);
    (server, seeds.0, seeds.1)
}

#[test]
#[ignore = "needs nats-server, which `cargo xtask test` installs"]
fn nats_a_capturer_may_publish_and_no_more_and_a_replayer_only_take() {
    let workspace = Workspace::new();
    let (server, capturer, replayer) = with_permissions(&workspace);
    let (stream, target) = (server.stream("prod"), Target::start(Behaviour::Answer));
    publish(&workspace, &stream, &[]).exits_with(2).complains(&["refuses who this is", "nkey"]);
    let run = publish(&workspace, &stream, &["--to-nkey", &capturer]).exits_with(0);
    let summary: Value = serde_json::from_str(&run.stdout()).unwrap();
    assert_eq!(balanced(&summary, "published"), (4, 4, vec![]));
    let to = format!("http://{}", target.address());
    let takes = |seed: &str| {
        ["replay", "--from", &stream, "--to", &to, "--from-nkey", seed].map(str::to_owned)
    };
    let host =
        Host::start(&workspace, "replayer", &takes(&replayer).each_ref().map(String::as_str));
    target.wait_for(8, super::hosts::PATIENCE);
    let taken = host.stop();
    assert_eq!(balanced(&taken, "shadow requests"), (8, 8, vec![]), "{taken:#}");
    // The other way round, neither may.
    let refused = mirror(&takes(&capturer).each_ref().map(String::as_str)).exits_with(2);
    assert!(refused.stderr().contains("prod"), "{}", refused.stderr());
    let file = workspace.file("b.pcap", &requests("b", 1, 3));
    let host = Host::start(
        &workspace,
        "publisher",
        &["replay", "--from", &file, "--to", &stream, "--to-nkey", &replayer],
    );
    until("it says so", || host.said().contains("does not allow this user to publish"));
    let summary = host.stop();
    let (seen, published, dropped) = balanced(&summary, "published");
    assert_eq!((seen, published), (3, 0), "{summary:#}");
    assert_eq!(dropped.iter().map(|(_, n)| n).sum::<u64>(), 3, "{summary:#}");
}

/// An authority, a server's certificate and a client's, in the folder.
fn certificates(folder: &Path) {
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let made = |name: &str, more: &[&str]| {
        let (key, cert) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        let own = ["req", "-x509", "-keyout", &key, "-out", &cert, "-subj", &subject];
        openssl(&[&own, new.as_slice(), more].concat());
    };
    made("ca", &[]);
    let signed =
        ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:FALSE", "-addext"];
    made("server", &[signed.as_slice(), &["subjectAltName=IP:127.0.0.1"]].concat());
    made("client", &[signed.as_slice(), &["extendedKeyUsage=clientAuth"]].concat());
}

#[test]
#[ignore = "needs nats-server and openssl, which `cargo xtask test` installs"]
fn nats_a_server_is_verified_and_wants_a_certificate() {
    let (workspace, folder) = (Workspace::new(), tempfile::tempdir().unwrap());
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, cert, key) = (path("ca.crt"), path("client.crt"), path("client.key"));
    let tls = "tls { cert_file: \"{folder}/server.crt\", key_file: \"{folder}/server.key\", \
               ca_file: \"{folder}/ca.crt\", verify: true }\n";
    let server = Nats::in_folder(folder, tls);
    let stream = server.stream("prod");
    let with = |flags: &[&str]| publish(&workspace, &stream, flags);
    with(&["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key]).exits_with(0);
    // Its authority is not one of this system's.
    with(&[]).exits_with(2).complains(&["TLS"]);
    // And it wants to know who this is.
    with(&["--tls-ca", &ca]).exits_with(2);
    let from = ["--from-tls-ca", &ca, "--from-tls-cert", &cert, "--from-tls-key", &key];
    let run =
        mirror(&[["inspect", "--from", &stream, "--summary", "--json"].as_slice(), &from].concat());
    let summary: Value = serde_json::from_str(&run.exits_with(0).stdout()).unwrap();
    assert_eq!(balanced(&summary, "stream requests"), (4, 4, vec![]));
    // A server without TLS, where TLS was asked for.
    let plain = Nats::start();
    publish(&workspace, &plain.stream("prod").replace("nats://", "tls://"), &["--tls-ca", &ca])
        .exits_with(2)
        .complains(&["TLS"]);
}
