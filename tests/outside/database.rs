//! `deploy/database/postgresql` with two real clusters: a masked copy of production that follows it, a clone of it for each
//! run, what goes wrong when others write to the copy, and a layer over production's own data.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::netns::{succeed, until};
use crate::support::postgres::{Postgres, programs};
use crate::support::sample::{SAMPLES, Service, python};
use crate::support::wire::Talk;
use crate::support::{Workspace, mirror};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/database/postgresql");

/// Production with a thousand customers, and an empty golden database on another server.
struct Databases {
    production: Postgres,
    shadow: Postgres,
}

impl Databases {
    fn start() -> Self {
        Self::with_production(Postgres::start())
    }

    fn with_production(production: Postgres) -> Self {
        let databases = Self { production, shadow: Postgres::start() };
        let orders = std::fs::read_to_string(format!("{SAMPLES}/orders.sql")).unwrap();
        databases.production.query(&orders);
        databases.production.query(
            "CREATE TABLE customers (id serial PRIMARY KEY, email text NOT NULL, plan text, ssn text NOT NULL);
             INSERT INTO customers (email, plan, ssn)
             SELECT 'c' || n || '@shop.example', 'free', '123-45-' || n FROM generate_series(1, 1000) AS n",
        );
        databases.shadow.query("CREATE DATABASE golden");
        databases.succeeds(
            Command::new(programs().join("psql"))
                .args(["--dbname", &databases.production.dsn()])
                .args(["--quiet", "--set=ON_ERROR_STOP=1", "--file"])
                .arg(format!("{SCRIPTS}/production.sql")),
        );
        databases
    }

    fn run(&self, command: &mut Command) -> Output {
        let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
        command.envs(self.dsns()).env("PATH", path).env("PATIENCE", "60").output().unwrap()
    }

    /// What scripts find in their environment.
    fn dsns(&self) -> [(&'static str, String); 2] {
        let production = self.production.tcp_dsn_of("postgres");
        let production = production.unwrap_or_else(|| self.production.dsn());
        [("PRODUCTION", production), ("GOLDEN", self.shadow.dsn_of("golden"))]
    }

    #[track_caller]
    fn succeeds(&self, command: &mut Command) -> String {
        let Output { status, stdout, stderr } = self.run(command);
        let said = String::from_utf8_lossy(&stdout).into_owned();
        assert!(status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&stderr));
        said
    }

    #[track_caller]
    fn script(&self, name: &str, args: &[&str]) -> String {
        self.succeeds(Command::new(Path::new(SCRIPTS).join(name)).args(args))
    }

    fn golden(&self, sql: &str) -> String {
        self.shadow.query_of("golden", sql)
    }
}

#[test]
#[ignore = "needs postgresql: cargo xtask test"]
fn postgresql_a_clone_of_masked_production_takes_what_shadows_write() {
    let databases = Databases::start();
    let said = databases.script("golden.sh", &["create"]);
    assert!(said.contains("2 tables, following production"), "{said}");
    let masked = "SELECT count(*) FILTER (WHERE email LIKE 'u-%@redacted.invalid') || ' ' || count(ssn) FROM customers";
    assert_eq!(databases.golden(masked), "1000 0");
    databases
        .production
        .query("INSERT INTO customers (email, ssn) VALUES ('late@shop.example', 'x')");
    until("the late row is there", || databases.golden("SELECT count(*) FROM customers") == "1001");
    assert_eq!(databases.golden(masked), "1001 0");
    assert!(databases.script("golden.sh", &["status"]).starts_with("following, 0 apply errors"));

    let said = databases.script("clone.sh", &["create", "run_1"]);
    assert!(said.starts_with("run_1: production up to "), "{said}");
    let clone = |sql: &str| databases.shadow.query_of("run_1", sql);
    // The id that production gives next, and what the run writes is its own.
    assert_eq!(
        clone("INSERT INTO customers (email) VALUES ('mine@shop.example') RETURNING id"),
        "1002"
    );
    assert_eq!(clone("SELECT email FROM customers WHERE id = 1002"), "mine@shop.example");
    databases.production.query("INSERT INTO orders (item) VALUES ('tea')");
    until("the order is there", || databases.golden("SELECT count(*) FROM orders") == "1");
    assert_eq!(clone("SELECT count(*) FROM orders"), "0", "a clone follows nobody");
    assert_eq!(databases.golden("SELECT count(*) FROM customers"), "1001");
    databases.script("clone.sh", &["drop", "run_1"]);
    databases.script("golden.sh", &["drop"]);
    assert_eq!(databases.production.query("SELECT count(*) FROM pg_replication_slots"), "0");
}

#[test]
#[ignore = "needs postgresql: cargo xtask test"]
fn postgresql_a_row_that_conflicts_stops_replication_until_it_is_removed() {
    let databases = Databases::start();
    databases.script("golden.sh", &["create"]);
    assert_eq!(databases.production.query("SHOW max_slot_wal_keep_size"), "10GB");
    // What the golden database must not have: a writer beside replication.
    databases.golden("INSERT INTO orders (id, item) VALUES (1, 'mine')");
    databases.production.query("INSERT INTO orders (item) VALUES ('tea')");
    let status = || {
        let output = databases.run(Command::new(format!("{SCRIPTS}/golden.sh")).arg("status"));
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    until("replication stops", || !status().0);
    let said = status().1;
    assert!(said.starts_with("stopped by an error, 1 apply errors"), "{said}");
    assert!(said.contains("production keeps"), "{said}");
    databases.script("golden.sh", &["recover", "DELETE FROM orders WHERE id = 1"]);
    assert_eq!(databases.golden("SELECT item FROM orders"), "tea");
    assert!(status().0);
}

#[test]
#[ignore = "needs postgresql: cargo xtask test"]
fn postgresql_reads_fall_through_to_production_and_writes_stay_in_the_layer() {
    let databases = Databases::start();
    let production = |sql: &str| databases.production.query(sql);
    production("INSERT INTO orders (item) VALUES ('tea'), ('coffee'), ('milk')");
    production("CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
    databases.shadow.query("CREATE DATABASE layered");
    let mut psql = Command::new(programs().join("psql"));
    psql.args([
        "--dbname",
        &databases.shadow.dsn_of("layered"),
        "--quiet",
        "--set=ON_ERROR_STOP=1",
    ]);
    let host = databases.production.socket_folder();
    for (name, value) in [
        ("host", host.as_str()),
        ("port", "5432"),
        ("dbname", "postgres"),
        ("user", "reader"),
        ("password", "none"),
    ] {
        psql.arg(format!("--set={name}={value}"));
    }
    databases.succeeds(psql.arg(format!("--file={SCRIPTS}/overlay.sql")));
    let layered = |sql: &str| databases.shadow.query_of("layered", sql);
    layered("CALL shadow_layer.overlay('orders', 'id')");
    assert_eq!(layered("INSERT INTO orders (item) VALUES ('mine') RETURNING id"), "1000000000");
    layered("UPDATE orders SET item = 'green tea' WHERE id = 1");
    layered("DELETE FROM orders WHERE id = 2");
    // Production goes on, and is seen.
    production("INSERT INTO orders (item) VALUES ('late')");
    let all = "SELECT string_agg(id || ' ' || item, ', ' ORDER BY id) FROM orders";
    assert_eq!(layered(all), "1 green tea, 3 milk, 4 late, 1000000000 mine");
    // A key that is there is taken, and one that was deleted is free.
    let taken = layered(
        "DO $$ BEGIN INSERT INTO orders (id, item) VALUES (4, 'x'); RAISE 'it was taken twice';
        EXCEPTION WHEN unique_violation THEN NULL; END $$",
    );
    assert_eq!(taken, "");
    layered("INSERT INTO orders (id, item) VALUES (2, 'cocoa')");
    layered("UPDATE orders SET id = 20 WHERE id = 3");
    assert_eq!(layered(all), "1 green tea, 2 cocoa, 4 late, 20 milk, 1000000000 mine");
    assert_eq!(production(all), "1 tea, 2 coffee, 3 milk, 4 late");
}

fn order(item: &str) -> String {
    format!(
        "POST /orders HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{item}",
        item.len()
    )
}

#[test]
#[ignore = "needs postgresql and python3-psycopg2: cargo xtask test"]
fn postgresql_a_shadow_on_a_clone_responds_as_production_does() {
    let databases = Databases::start();
    databases.production.query("INSERT INTO orders (item) VALUES ('before')");
    databases.script("golden.sh", &["create"]);
    databases.script("clone.sh", &["create", "same"]);
    databases.script("clone.sh", &["create", "faulty"]);
    // The seeded difference: a clone of which the ids do not go on from production's.
    databases.shadow.query_of("faulty", "SELECT setval('orders_id_seq', 500)");
    let production = Service::start(&mut python(&databases.production.dsn()));
    // As a proxy with one connection would have asked, so that ids are drawn in this order again.
    let captured = ["tea", "coffee", "milk"].into_iter().fold(Talk::new().open(), |talk, item| {
        let response = production.ask(&order(item)).replacen("HTTP/1.0", "HTTP/1.1", 1);
        talk.client(order(item).replace("Connection: close\r\n", "")).server(response)
    });
    assert_eq!(databases.production.query("SELECT max(id) FROM orders"), "4");
    let workspace = Workspace::new();
    let file = workspace.file("orders.pcap", &captured.close().pcap());
    for (clone, differing) in [("same", 0), ("faulty", 3)] {
        let candidate = Service::start(&mut python(&databases.shadow.dsn_of(clone)));
        let (to, findings) = (format!("http://{}", candidate.address), workspace.path(clone));
        let args = ["compare", "--from", &file, "--to", &to, "--findings"];
        mirror(&[&args[..], &[findings.to_str().unwrap()]].concat()).exits_with(0);
        let found = std::fs::read_to_string(findings).unwrap();
        assert_eq!(found.lines().count(), differing, "{clone}: {found}");
        assert!(found.lines().all(|line| line.contains("body")), "{found}");
        assert_eq!(databases.shadow.query_of(clone, "SELECT count(*) FROM orders"), "4");
    }
    // Replication went on.
    until("the golden database follows", || databases.golden("SELECT count(*) FROM orders") == "4");
}

#[test]
#[ignore = "needs postgresql and python3-psycopg2: cargo xtask test"]
fn postgresql_each_pass_over_a_recording_has_a_fresh_clone() {
    let databases = Databases::start();
    databases.production.query("INSERT INTO orders (item) VALUES ('before')");
    databases.script("golden.sh", &["create"]);
    let answer = "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\norder 2\n";
    let captured = ["tea", "coffee", "milk"].into_iter().fold(Talk::new().open(), |talk, item| {
        talk.client(order(item).replace("Connection: close\r\n", "")).server(answer)
    });
    let workspace = Workspace::new();
    let from = workspace.file("orders.pcap", &captured.close().pcap());
    let told = workspace.path("told");
    let shop = Service::start(&mut python(&databases.shadow.dsn_of("run")));
    let all = "SELECT string_agg(id || item, chr(32) ORDER BY id) FROM orders";
    let config = format!(
        "version: 1\nsource: {{ from: '{from}' }}\ntargets: {{ shop: {{ url: 'http://{}' }} }}\n\
         pace: {{ loop: 2, speed: max }}\nhooks:\n  \
         before-run: [{SCRIPTS}/clone.sh, create, run]\n  \
         after-run:\n    - sh\n    - -c\n    - |\n      psql -XAtq -d \"$GOLDEN dbname=run\" -c '{all}' >> \"$0\"\n      \
         echo \"$MIRROR_PASS $MIRROR_WAL_LSN\" >> \"$0\"\n      exec {SCRIPTS}/clone.sh drop run\n    - {}\n  \
         wal-lsn: {}\n",
        shop.address,
        told.display(),
        databases.production.dsn()
    );
    let config = workspace.file("mirror.yaml", config.as_bytes());
    let said = databases
        .succeeds(Command::new(crate::support::binary()).args(["run", "--config", &config]));
    assert!(said.contains("seen 6 = delivered 6"), "{said}");
    let told = std::fs::read_to_string(told).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    let [first, first_pass, second, second_pass] = lines[..] else { panic!("{told}") };
    // The second pass draws the same ids, and finds nothing of the first.
    assert_eq!((first, second), ("1before 2tea 3coffee 4milk", "1before 2tea 3coffee 4milk"));
    for (line, pass) in [(first_pass, "1 "), (second_pass, "2 ")] {
        let lsn = line.strip_prefix(pass).expect(line);
        let behind = format!("SELECT '{lsn}'::pg_lsn <= pg_current_wal_lsn()");
        assert_eq!(databases.production.query(&behind), "t");
    }
    let left = "SELECT count(*) FROM pg_database WHERE datname = 'run'";
    assert_eq!(databases.shadow.query(left), "0");
}

/// Debezium while it runs.
struct Debezium(std::process::Child);

impl Debezium {
    fn start(databases: &Databases, workspace: &Workspace) -> Self {
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/debezium/bin/python");
        let said = std::fs::File::create(workspace.path("said")).unwrap();
        let mut command = Command::new(python);
        command.arg(format!("{SCRIPTS}/debezium.py")).arg(workspace.path("state"));
        command.envs(databases.dsns()).current_dir(workspace.path(""));
        command.stdout(said.try_clone().unwrap()).stderr(said);
        Self(command.spawn().unwrap())
    }

    /// Ends it as a service manager does.
    #[track_caller]
    fn end(mut self, workspace: &Workspace) {
        succeed(Command::new("kill").arg(self.0.id().to_string()));
        let ended = self.0.wait().unwrap();
        let said = std::fs::read_to_string(workspace.path("said")).unwrap();
        assert!(ended.success(), "{ended}\n{said}");
    }
}

impl Drop for Debezium {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs Debezium: cargo xtask test --with debezium"]
fn debezium_fills_the_golden_database_by_keys_and_goes_on_where_it_ended() {
    let databases = Databases::with_production(Postgres::start_on_tcp());
    databases.script("golden.sh", &["schema"]);
    let workspace = Workspace::new();
    let debezium = Debezium::start(&databases, &workspace);
    let count = |table: &str| databases.golden(&format!("SELECT count(*) FROM {table}"));
    until("the first copy is there", || count("customers") == "1000");
    // Masks of the golden database, and a column that was not published.
    let masked = "SELECT count(*) FILTER (WHERE email LIKE 'u-%@redacted.invalid') || ' ' || count(ssn) FROM customers";
    assert_eq!(databases.golden(masked), "1000 0");
    let production = |sql: &str| databases.production.query(sql);
    production(
        "UPDATE customers SET plan = 'paid' WHERE id = 7; DELETE FROM customers WHERE id = 8",
    );
    production(
        "UPDATE customers SET id = 5000 WHERE id = 9; INSERT INTO orders (item) VALUES ('tea')",
    );
    until("the order is there", || count("orders") == "1");
    let changed = "SELECT string_agg(id || ' ' || plan, ', ' ORDER BY id) FROM customers WHERE id IN (7, 8, 9, 5000)";
    assert_eq!(databases.golden(changed), "7 paid, 5000 free");
    debezium.end(&workspace);

    // Somebody writes a row that production writes next: the last writer is right, and nothing stops.
    databases.golden("INSERT INTO orders (id, item) VALUES (2, 'mine')");
    production("INSERT INTO orders (item) VALUES ('coffee'), ('milk')");
    let debezium = Debezium::start(&databases, &workspace);
    until("what came meanwhile is there", || count("orders") == "3");
    assert_eq!(
        databases.golden("SELECT string_agg(item, ' ' ORDER BY id) FROM orders"),
        "tea coffee milk"
    );
    assert_eq!(count("customers"), "999");
    debezium.end(&workspace);
    // A clone is cut of it as of any golden database.
    databases.shadow.query("CREATE DATABASE run_1 TEMPLATE golden");
    assert_eq!(databases.shadow.query_of("run_1", "SELECT count(*) FROM orders"), "3");
}
