//! The dashboard of `mirror compare` as its user has it: what it answers, what it refuses, and the page in a real browser.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::netns::until;
use crate::support::wire::Talk;
use crate::support::{Workspace, binary, mirror};

/// Requests to each endpoint of the shop.
const REQUESTS: usize = 60;
/// A name that is a script, if a page takes it for markup.
const SCRIPT: &str = "<img src=x onerror='document.title=1'><script>document.title=2</script>";

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nServer: shop\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A shop's answers to the n-th customer, and in how many milliseconds.
fn answers(n: usize, candidate: bool) -> [(String, String, u64); 5] {
    let get = |path: String| {
        format!("GET {path} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer s3cr3t\r\n\r\n")
    };
    let price = if candidate { "19.99" } else { "19.994" };
    let name = if candidate { "plain" } else { SCRIPT };
    let product = format!(
        r#"{{"id":{n},"name":{},"price":{price},"stock":{{"berlin":{n},"oslo":12345678901234567890}}}}"#,
        Value::from(name)
    );
    let discount = if candidate && n.is_multiple_of(3) { "" } else { r#","discount":0.1"# };
    let order = format!(
        r#"{{"order":{{"id":{n},"state":"paid","items":[{{"sku":"a-1","count":2{discount}}},{{"sku":"b-7","count":1}}]}},"access_token":"s3cr3t-{n}"}}"#
    );
    let cart = "{\"sku\":\"a-1\"}";
    let added = if candidate && n.is_multiple_of(6) {
        response("500 Internal Server Error", r#"{"items":3}"#)
    } else {
        response("201 Created", r#"{"items":3}"#)
    };
    let post = format!(
        "POST /cart?n={n} HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{cart}",
        cart.len()
    );
    let jitter = (n * 7 % 13) as u64;
    let search = if candidate { 60 + 3 * jitter } else { 20 + jitter };
    let trace = if candidate && n == 5 { r#"{"hits":4}"# } else { r#"{"hits":3}"# };
    [
        (get(format!("/products/{}", 100 + n)), response("200 OK", &product), 4 + jitter),
        (get(format!("/orders/{}", 7000 + n)), response("200 OK", &order), 9 + jitter),
        (post, added, 14 + jitter),
        (get(format!("/search?q={n}")), response("200 OK", trace), search),
        (get(format!("/users/{}", 40 + n)), response("200 OK", r#"{"name":"A"}"#), 2 + jitter / 2),
    ]
}

fn shop(candidate: bool) -> Vec<u8> {
    let say = |talk: Talk, n: usize| {
        answers(n, candidate).into_iter().fold(talk, |talk, (ask, answer, millis)| {
            talk.client(ask).server(answer).pause_millis(millis)
        })
    };
    (0..REQUESTS).fold(Talk::new().open(), say).close().pcap()
}

/// A `mirror compare` of two recordings with a dashboard, until this is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    workspace: Workspace,
    files: [String; 2],
}

impl Running {
    fn start(production: &[u8], candidate: &[u8], more: &[&str]) -> Self {
        let workspace = Workspace::new();
        let files =
            [workspace.file("prod.pcap", production), workspace.file("candidate.pcap", candidate)];
        let [from, with] = files.clone();
        Self::of(workspace, files, &[&["--from", &from, "--with", &with], more].concat())
    }

    fn of(workspace: Workspace, files: [String; 2], args: &[&str]) -> Self {
        let said = workspace.path("stderr");
        let child = Command::new(binary())
            .args(["compare", "--dashboard", "127.0.0.1:0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(File::create(workspace.path("stdout")).unwrap())
            .stderr(File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let told = || fs::read_to_string(&said).unwrap_or_default();
        until("all is compared", || told().contains("stays until Ctrl-C"));
        let text = told();
        let rest = text.split("dashboard: http://").nth(1).unwrap();
        let address = rest.split('/').next().unwrap().parse().unwrap();
        Self { child, address, workspace, files }
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}/{rest}", self.address)
    }

    /// Asks with these lines of a head, and gives status, head and body.
    fn ask(&self, method: &str, path: &str, lines: &[&str]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\n{lines}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask("GET", path, &[&format!("Host: {}", self.address)])
    }

    fn json(&self, path: &str) -> Value {
        let (status, head, body) = self.get(path);
        assert!(status == 200 && head.contains("content-type: application/json"), "{head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PRODUCT: &str = "/api/v1/endpoints/GET%20%2Fproducts%2F%7Bid%7D";

#[test]
fn the_api_says_what_was_compared_and_shows_no_secret() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let overview = running.json("/api/v1/overview");
    assert_eq!((&overview["pairs"], &overview["ended"]), (&300.into(), &true.into()));
    let endpoints = overview["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 5, "{overview:#}");
    assert_eq!(endpoints[0]["id"], "GET /products/{id}");
    assert!(overview["health"]["accounts"].as_array().unwrap().len() > 3, "{overview:#}");
    let search = endpoints.iter().find(|one| one["id"] == "GET /search").unwrap();
    assert_eq!(search["is_slower"], true, "{search:#}");

    let product = running.json(PRODUCT);
    assert_eq!(product["fields"].as_array().unwrap().len(), 2, "{product:#}");
    let responses = |side: &str| {
        let steps = product["distribution"][side].as_array().unwrap();
        steps.iter().map(|step| step[1].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((responses("p"), responses("c")), (60, 60));
    let field = running.json(&format!("{PRODUCT}/fields/body.price/value"));
    assert_eq!(field["samples"].as_array().unwrap().len(), 5, "{field:#}");
    let id = field["samples"][0]["id"].as_str().unwrap();
    let pair = running.json(&format!("/api/v1/requests/{}", id.replace(' ', "%20")));
    assert!(pair["details"]["production"]["body"].as_str().unwrap().contains("19.994"), "{pair:#}");
    let candidate = &pair["details"]["candidate"]["response"];
    assert!(candidate["body"].as_str().unwrap().contains("19.99,"), "{pair:#}");
    let recent = running.json("/api/v1/requests");
    assert_eq!(recent.as_array().unwrap().len(), 200);
    assert!(recent.as_array().unwrap().iter().any(|one| one["differences"] == 0));
    for path in ["/api/v1/overview", PRODUCT, "/api/v1/requests", "/api/v1/rules"] {
        assert!(!running.get(path).2.contains("s3cr3t"), "{path}");
    }
    assert!(
        !pair.to_string().contains("s3cr3t") && pair.to_string().contains("redacted-"),
        "{pair:#}"
    );

    let (status, ..) = running.ask("POST", "/api/v1/reset", &["Host: localhost"]);
    assert_eq!(status, 204);
    let overview = running.json("/api/v1/overview");
    assert_eq!((&overview["pairs"], &overview["resets"]), (&0.into(), &1.into()));
    assert_eq!(overview["endpoints"].as_array().unwrap().len(), 0);
}

#[test]
fn the_rule_that_the_page_shows_forgives_the_field() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let mut rules = String::from("version: 1\nrules:\n");
    for endpoint in running.json("/api/v1/overview")["endpoints"].as_array().unwrap() {
        let id = endpoint["id"].as_str().unwrap().replace(' ', "%20").replace('/', "%2F");
        let path = format!("/api/v1/endpoints/{}", id.replace('{', "%7B").replace('}', "%7D"));
        for field in running.json(&path)["fields"].as_array().unwrap() {
            let (at, class) = (field["path"].as_str().unwrap(), field["class"].as_str().unwrap());
            let field = running.json(&format!("{path}/fields/{at}/{class}"));
            rules.push_str(field["rule"].as_str().unwrap().split("rules:\n").nth(1).unwrap());
        }
    }
    let rules = running.workspace.file("rules.yaml", rules.as_bytes());
    let [from, with] = &running.files;
    let gate = "failing_fields=0";
    let args = ["compare", "--from", from, "--with", with, "--rules", &rules, "--gate", gate];
    let told = mirror(&args).exits_with(0).stdout();
    assert!(!told.contains("decided nothing") && !told.contains("REGRESSION"), "{told}");
}

impl Running {
    fn post(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.ask("POST", path, &["Host: localhost"]);
        (status, body)
    }

    /// The overview, when all that is stored is judged.
    fn judged(&self) -> Value {
        let mut overview = Value::Null;
        until("all that is stored is judged", || {
            overview = self.json("/api/v1/overview");
            overview["judged"]["done"] == true
        });
        overview
    }

    /// The failing requests of each endpoint.
    fn failing(overview: &Value) -> Vec<(String, u64)> {
        let rows = overview["endpoints"].as_array().unwrap().iter();
        let mut failing: Vec<_> = rows
            .map(|row| (row["id"].as_str().unwrap().to_owned(), row["failing"].as_u64().unwrap()))
            .collect();
        failing.sort();
        failing
    }
}

#[test]
fn what_is_stored_is_judged_anew_without_a_field_and_the_runs_own_stays() {
    // In memory, without a file.
    let running = Running::start(&shop(false), &shop(true), &[]);
    let before = running.json("/api/v1/overview");
    assert_eq!((&before["stores"], &before["judged"]), (&true.into(), &Value::Null));
    let own = Running::failing(&before);
    for name in ["body.price/value", "body.name/value"] {
        let path = PRODUCT.replace("/endpoints/", "/ignore/");
        let (status, rule) = running.post(&format!("{path}/{name}"));
        assert_eq!(status, 200);
        assert!(
            rule.starts_with("version: 1\nrules:\n- {\"endpoint\":\"GET /products/{id}\""),
            "{rule}"
        );
    }
    let after = running.judged();
    assert_eq!(after["judged"]["rules"].as_array().unwrap().len(), 2, "{after:#}");
    assert_eq!(
        (&after["judged"]["pairs"], &after["judged"]["compared"]),
        (&300.into(), &300.into())
    );
    assert!(after["basis"].as_str().unwrap().contains("all 300 pairs of 1 run"), "{after:#}");
    for ((name, failing), (_, own)) in Running::failing(&after).into_iter().zip(&own) {
        let expected = if name == "GET /products/{id}" { 0 } else { *own };
        assert_eq!(failing, expected, "{name}");
    }
    let field = running.json(&format!("{PRODUCT}/fields/body.price/value"));
    assert_eq!((&field["verdict"], &field["raw"]), (&"forgiven".into(), &0.into()), "{field:#}");
    let rules = running.json("/api/v1/rules");
    assert_eq!(rules["rules"][0]["hits"], 60, "{rules:#}");

    assert_eq!(running.post("/api/v1/live").0, 204);
    let again = running.json("/api/v1/overview");
    assert_eq!((Running::failing(&again), &again["judged"]), (own, &Value::Null));
    // What was counted from zero is there again.
    assert_eq!(running.post("/api/v1/reset").0, 204);
    assert_eq!(running.json("/api/v1/overview")["endpoints"].as_array().unwrap().len(), 0);
    assert_eq!(running.post("/api/v1/range/-/-").0, 204);
    assert_eq!(Running::failing(&running.judged()), Running::failing(&before));
    for path in ["ignore/x/y/z", "ignore/x/cookie.a/value", "range/a/b", "range/1", "ignore/a/b"] {
        assert_eq!(running.post(&format!("/api/v1/{path}")).0, 404, "{path}");
    }
    assert_eq!(running.get("/api/v1/range/-/-").0, 405);
}

#[test]
fn a_part_of_the_time_is_shown_with_its_trend() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let overview = running.json("/api/v1/overview");
    let steps = |overview: &Value| -> (i64, i64, Vec<(u64, u64)>) {
        let trend = &overview["trend"];
        let number = |value: &Value| value.as_u64().unwrap();
        let steps = trend["steps"].as_array().unwrap().iter();
        let steps = steps.map(|step| (number(&step[0]), number(&step[1]))).collect();
        (trend["from"].as_i64().unwrap(), trend["width"].as_i64().unwrap(), steps)
    };
    let (from, width, all) = steps(&overview);
    assert_eq!(all.iter().map(|(pairs, _)| pairs).sum::<u64>(), 300);
    let failing: u64 = Running::failing(&overview).iter().map(|(_, failing)| failing).sum();
    assert_eq!(all.iter().map(|(_, failing)| failing).sum::<u64>(), failing);
    assert_eq!(overview["endpoints"][0]["trend"].as_array().unwrap().len(), all.len());
    // Before the first minute there is nothing, and in it and behind it everything.
    assert_eq!(running.post(&format!("/api/v1/range/-/{}", from - 60)).0, 204);
    assert_eq!(running.judged()["judged"]["pairs"], 0);
    let to = from + width * all.len() as i64 + 60;
    assert_eq!(running.post(&format!("/api/v1/range/{from}/{to}")).0, 204);
    let judged = running.judged();
    assert_eq!((&judged["judged"]["from"], &judged["judged"]["to"]), (&from.into(), &to.into()));
    assert_eq!(steps(&judged).2, all);
}

#[test]
fn a_stored_run_is_shown_as_it_was() {
    let workspace = Workspace::new();
    let store = workspace.path("f.db").to_str().unwrap().to_owned();
    let first = Running::start(&shop(false), &shop(true), &["--store", &store]);
    let own = Running::failing(&first.json("/api/v1/overview"));
    drop(first);
    let running = Running::of(workspace, Default::default(), &["--store", &store, "--report"]);
    let overview = running.json("/api/v1/overview");
    assert_eq!(Running::failing(&overview), own);
    assert!(overview["basis"].as_str().unwrap().contains("all 300 pairs"), "{overview:#}");
    let id = running.json(&format!("{PRODUCT}/fields/body.price/value"));
    let id = id["samples"][0]["id"].as_str().unwrap();
    let pair = running.json(&format!("/api/v1/requests/{id}"));
    assert!(pair["details"]["production"]["body"].as_str().unwrap().contains("19.994"), "{pair:#}");
    assert!(!pair.to_string().contains("s3cr3t"));
    let path = PRODUCT.replace("/endpoints/", "/ignore/");
    assert_eq!(running.post(&format!("{path}/body.price/value")).0, 200);
    assert_eq!(running.judged()["judged"]["pairs"], 300);
}

#[test]
fn diffys_api_is_answered_where_that_was_asked_for() {
    let running = Running::start(&shop(false), &shop(true), &["--diffy-compatible"]);
    let endpoints = running.json("/api/1/endpoints");
    assert_eq!(endpoints["Undefined_endpoint"]["total"], 300, "{endpoints:#}");
    let stats = running.json("/api/1/endpoints/Undefined_endpoint/stats?include_weights=true");
    let price = "result.200.values.price.PrimitiveDifference";
    assert_eq!(stats["fields"][price]["differences"], 60, "{stats:#}");
    assert_eq!(
        running.json("/api/1/overview")["Undefined_endpoint"]["endpoint"],
        stats["endpoint"]
    );
    let results =
        running.json(&format!("/api/1/endpoints/Undefined_endpoint/fields/{price}/results"));
    let request = &results["requests"][0];
    assert_eq!(
        request["differences"][price],
        serde_json::json!({"type": "PrimitiveDifference", "left": 19.994, "right": 19.99})
    );
    let id = request["id"].as_str().unwrap();
    let whole = running.json(&format!("/api/1/requests/{id}"));
    assert_eq!(whole["left"]["200"]["content"]["price"], 19.994, "{whole:#}");
    assert!(!whole.to_string().contains("s3cr3t") && whole.to_string().contains("redacted-"));
    assert!(
        running.json("/api/1/info")["primary"]["target"].as_str().unwrap().ends_with("prod.pcap")
    );
    assert_eq!(running.json("/api/1/requests/1"), serde_json::json!({"error": "Request purged"}));
    assert_eq!(running.json("/api/1/clear"), serde_json::json!({"success": "Diffs cleared"}));
    assert_eq!(running.json("/api/1/overview"), serde_json::json!({}));
    assert_eq!(running.json("/api/v1/overview")["pairs"], 0);
    for path in ["/api/1/", "/api/1/report", "/api/1/endpoints/%FF/stats", "/api/1/email"] {
        assert_eq!(running.get(path).0, 404, "{path}");
    }
    let host = format!("Host: {}", running.address);
    let cross = ["Sec-Fetch-Site: cross-site", "Host: localhost"];
    assert_eq!(running.ask("GET", "/api/1/clear", &cross).0, 403);
    assert_eq!(running.ask("POST", "/api/1/overview", &[&host]).0, 405);
    let plain = Running::start(&shop(false), &shop(false), &[]);
    assert_eq!(plain.get("/api/1/overview").0, 404);
}

#[test]
fn hostile_requests_are_refused_and_counted() {
    let running = Running::start(&shop(false), &shop(false), &[]);
    let host = format!("Host: {}", running.address);
    let (status, head, _) = running.get("/");
    assert_eq!(status, 200);
    for field in [
        "content-security-policy: default-src 'self'; base-uri 'none'",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "referrer-policy: no-referrer",
    ] {
        assert!(head.contains(field), "{field} in {head}");
    }
    for path in [
        "/../etc/passwd",
        "/app.js/",
        "/api/v1/",
        "/api/v1/endpoints/..%2F..",
        "/api/v1/endpoints/%00",
        "/api/v1/endpoints/%FF",
        "/api/v1/endpoints/%3Cscript%3E",
        "/api/v1/endpoints/GET%20%2Fusers%2F%7Bid%7D/fields/__proto__/value",
        "/api/v1/requests/constructor",
        &format!("/api/v1/requests/{}", "9".repeat(5_000)),
    ] {
        assert_eq!(running.get(path).0, 404, "{path}");
    }
    // It may be refused, and the connection closed, before all of it is written.
    let mut stream = TcpStream::connect(running.address).unwrap();
    let _ = write!(stream, "GET /{} HTTP/1.1\r\n{host}\r\n\r\n", "a".repeat(100_000));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    for (method, path) in [("DELETE", "/"), ("POST", "/api/v1/overview"), ("GET", "/api/v1/reset")]
    {
        let (status, head, _) = running.ask(method, path, &[&host]);
        assert!(status == 405 && head.contains("allow: "), "{method} {path}: {head}");
    }
    for path in ["/", "/api/v1/overview"] {
        assert_eq!(running.ask("GET", path, &["Host: evil.example"]).0, 403);
    }
    for line in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"] {
        assert_eq!(running.ask("POST", "/api/v1/reset", &[&host, line]).0, 403, "{line}");
    }
    let refused = &running.json("/api/v1/overview")["refused"];
    assert_eq!(
        (&refused["host"], &refused["origin"], &refused["method"]),
        (&2.into(), &3.into(), &3.into())
    );
    assert!(refused["not_found"].as_u64().unwrap() >= 10, "{refused}");
    assert_eq!(running.json("/api/v1/overview")["pairs"], 300);
}

#[test]
fn browsers_that_never_read_or_write_are_let_go_and_others_are_answered() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let mut deaf: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(running.address).unwrap()).collect();
    for stream in deaf.iter_mut().skip(20) {
        // Some are let go before.
        let _ = stream.write_all(b"GET /api/v1/requests HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    assert_eq!(running.json("/api/v1/overview")["pairs"], 300);
    drop(deaf);
}

#[test]
fn news_come_as_server_sent_events() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let mut stream = TcpStream::connect(running.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut told = String::new();
    let mut until_told = |text: &str| {
        let mut block = [0; 4096];
        while !told.contains(text) {
            let read = stream.read(&mut block).unwrap();
            assert!(read > 0, "{told}");
            told.push_str(&String::from_utf8_lossy(&block[..read]));
        }
    };
    until_told(r#"data: {"pairs":300,"resets":0,"ended":true,"judged":null}"#);
    assert_eq!(running.ask("POST", "/api/v1/reset", &["Host: localhost"]).0, 204);
    until_told(r#"data: {"pairs":0,"resets":1,"ended":true,"judged":null}"#);
    // The place of a stream that is gone is free again.
    drop(stream);
}

#[test]
fn a_token_is_required_where_there_is_one() {
    let workspace = Workspace::new();
    let token = workspace.file("token", b"sesame\n");
    let running = Running::start(&shop(false), &shop(false), &["--dashboard-token-file", &token]);
    assert_eq!(running.ask("GET", "/", &["Host: any.name"]).0, 200, "the page holds nothing");
    for (line, status) in
        [("Authorization: Bearer sesame", 200), ("Authorization: Bearer x", 401), ("X: y", 401)]
    {
        assert_eq!(running.ask("GET", "/api/v1/overview", &["Host: any.name", line]).0, status);
    }
    assert_eq!(running.ask("GET", "/api/v1/nowhere", &["Host: any.name"]).0, 401);
}

/// Takes a picture of the page in each form, if a folder for them is named.
fn pictures(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("MIRROR_PICTURES").map(PathBuf::from) else { return };
    for (dark, scheme) in [(false, "light"), (true, "dark")] {
        browser.dark(dark);
        for (width, height, mobile) in [(1280, 900, false), (390, 844, true)] {
            browser.size(width, height, mobile);
            browser.picture(&folder.join(format!("{name}-{width}-{scheme}.png")));
        }
    }
    browser.dark(false);
    browser.size(1280, 900, false);
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_leads_from_the_endpoints_to_a_field_its_samples_and_a_request() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let browser = Browser::start();
    browser.open(&running.url(""));
    browser.wait_for("GET /products/{id}");
    let text = browser.text();
    assert!(text.contains("300") && text.contains("all compared"), "{text}");
    assert_eq!(browser.count("table.endpoints tbody tr"), 5);
    pictures(&browser, "overview");
    browser.click("table.endpoints tbody tr:first-child a");
    browser.wait_for("rounded");
    pictures(&browser, "endpoint");
    browser.click("#quiet");
    browser.click(".leaf[title='body.price']");
    browser.wait_for("Sample pairs");
    assert_eq!(browser.count("article.sample"), 5);
    assert_eq!(
        browser.count("article.sample mark"),
        5,
        "the end that production has and the candidate has not"
    );
    browser.click("#ignore");
    browser.wait_for("\"path\":\"body.price\"");
    pictures(&browser, "field");
    browser.click("article.sample h3 a");
    browser.wait_for("As a command");
    let text = browser.text();
    assert!(text.contains("curl -H 'Authorization: Bearer redacted-"), "{text}");
    assert!(browser.count(".curl .redacted") == 1 && !text.contains("s3cr3t"));
    assert!(text.contains("12345678901234567890"), "numbers stay as they are");
    // The name, on both sides; the price is ignored by now.
    assert_eq!(browser.count(".body .line.left") + browser.count(".body .line.right"), 2);
    pictures(&browser, "request");
    browser.open(&running.url("#/rules"));
    browser.wait_for("Rules made here");
    assert_eq!(browser.count("#made-rules"), 1);
    pictures(&browser, "rules");
    browser.open(&running.url("#/requests"));
    browser.wait_for("without a difference");
    pictures(&browser, "requests");
    browser.open(&running.url("#/health"));
    browser.wait_for("Delivered");
    pictures(&browser, "capture");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_ignores_a_field_and_chooses_a_time_and_goes_back() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let browser = Browser::start();
    browser.open(&running.url(""));
    browser.wait_for("GET /products/{id}");
    assert!(browser.count("figure.trend rect.fails") > 0);
    assert_eq!(browser.count("table.endpoints svg.spark"), 5);
    assert_eq!(browser.count("#judged:not([hidden])"), 0);
    let regressed = |browser: &Browser| browser.count("table.endpoints tr.fails");
    let own = regressed(&browser);
    browser.open(&running.url("#/field/GET%20%2Fproducts%2F%7Bid%7D/body.price/value"));
    until("the field is shown", || browser.count("#ignore") == 1);
    browser.click("#ignore");
    browser.wait_for("\"path\":\"body.price\"");
    browser.wait_for("Judged anew with a rule made here: 300 of 300 pairs");
    pictures(&browser, "judged-field");
    browser.open(&running.url("#/field/GET%20%2Fproducts%2F%7Bid%7D/body.name/value"));
    until("the other field is shown", || {
        browser.text().contains("body.name") && browser.count("#ignore") == 1
    });
    browser.click("#ignore");
    browser.wait_for("Judged anew with 2 rules made here: 300 of 300 pairs");
    browser.open(&running.url("#/"));
    until("one endpoint fails less", || regressed(&browser) == own - 1);
    browser.wait_for("all figures are exact");
    pictures(&browser, "judged");
    browser.open(&running.url("#/field/GET%20%2Fsearch/body.hits/value"));
    until("its stored pairs can be asked for", || browser.count("#stored") == 1);
    browser.click("#stored");
    browser.wait_for("The last 1 in which body.hits differs.");
    browser.click("tbody a");
    browser.wait_for("As a command");
    assert_eq!(browser.count(".body .line.left"), 1);
    browser.open(&running.url("#/"));
    browser.click("#live");
    until("the run's own is shown", || regressed(&browser) == own);
    assert_eq!(browser.count("#judged:not([hidden])"), 0);
    browser.click("#range option[value='all']");
    browser.wait_for("Judged anew: 300 of 300 pairs");
    browser.click("#range option[value='own']");
    until("times can be given", || {
        browser.count("form:not([hidden]) input[type='datetime-local']") == 2
    });
    browser.value("(document.querySelector('[data-key=range-to]').value = '1999-01-01T00:00')");
    browser.click("[data-key='range-show']");
    browser.wait_for("Nothing is compared yet");
    browser.wait_for("to 1 Jan 1999");
    browser.click("#live");
    browser.wait_for("GET /products/{id}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_takes_no_captured_byte_for_markup() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let browser = Browser::start();
    browser.open(&running.url("#/endpoint/GET%20%2Fproducts%2F%7Bid%7D"));
    until("its fields are shown", || browser.count(".leaf") == 2);
    browser.click(".leaf[title='body.name']");
    browser.wait_for("onerror=");
    browser.click("article.sample h3 a");
    browser.wait_for("As a command");
    assert!(browser.text().contains("<script>document.title=2</script>"));
    assert_eq!(browser.count("main img") + browser.count("main script"), 0);
    assert!(browser.value("document.title").as_str().unwrap().contains("mirror compare"));
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_is_led_by_keys_alone_and_told_what_is_shown() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let browser = Browser::start();
    browser.open(&running.url(""));
    browser.wait_for("GET /products/{id}");
    assert_eq!(browser.value("document.activeElement.id"), "main");
    until("the first endpoint has the focus", || {
        browser.press("\u{e004}");
        browser.value("document.activeElement.dataset.key") == "GET /products/{id}"
    });
    browser.press("\u{e007}");
    browser.wait_for("Latency");
    assert_eq!(browser.value("document.activeElement.id"), "main");
    assert_eq!(browser.value("document.getElementById('said').textContent"), "GET /products/{id}");
    for landmark in
        ["header", "main", "nav[aria-label]", "h1", "[aria-live]", "svg[role=img][aria-label]"]
    {
        assert!(browser.count(landmark) > 0, "{landmark}");
    }
    let unnamed = "[...document.querySelectorAll('button, a, input, select')].filter((one) => \
        !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length)).length";
    assert_eq!(browser.value(unnamed), 0);
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_shows_a_reset_without_being_asked() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let browser = Browser::start();
    browser.open(&running.url(""));
    browser.wait_for("300 pairs");
    assert_eq!(running.ask("POST", "/api/v1/reset", &["Host: localhost"]).0, 204);
    browser.wait_for("Nothing is compared yet");
    browser.wait_for("0 pairs");
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_asks_for_a_token_where_there_is_one() {
    let workspace = Workspace::new();
    let token = workspace.file("token", b"sesame\n");
    let running = Running::start(&shop(false), &shop(true), &["--dashboard-token-file", &token]);
    let browser = Browser::start();
    browser.open(&running.url(""));
    until("it asks", || browser.count("#token") == 1);
    browser.type_into("#token", "sesame\u{e007}");
    browser.wait_for("GET /products/{id}");
}

/// A recording of 300 endpoints, whose responses have 200 members each, all of which the candidate changed.
fn wide(candidate: bool) -> Vec<u8> {
    let value = if candidate { 2 } else { 1 };
    let fields: Vec<String> =
        (0..200).map(|n| format!(r#""group{}field{n}":{value}"#, n % 10)).collect();
    let answer = response("200 OK", &format!("{{{}}}", fields.join(",")));
    let say = |talk: Talk, n: usize| {
        // Words that no template takes for identifiers, and not too many at one place.
        let letter = |n: usize| char::from(b'a' + u8::try_from(n).unwrap());
        let path = format!("/part{}/list{}", letter(n / 20), letter(n % 20));
        talk.client(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).server(&answer)
    };
    (0..WIDE_REQUESTS).fold(Talk::new().open(), |talk, _| (0..300).fold(talk, say)).close().pcap()
}

/// Requests to each of its endpoints: enough for a verdict.
const WIDE_REQUESTS: usize = 8;

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_stays_usable_with_300_endpoints_of_200_fields() {
    let running = Running::start(&wide(false), &wide(true), &[]);
    let browser = Browser::start();
    let rows = || browser.count("table.endpoints tbody tr");
    browser.open(&running.url(""));
    until("all endpoints are shown", || rows() == 300);
    assert_eq!(browser.count("table.endpoints svg.spark"), 300);
    browser.type_into("#search", "partb/listc");
    until("one is left", || rows() == 1);
    let drawn = browser.value(
        "(() => { const from = performance.now(); const input = document.getElementById('search'); input.value = ''; \
         input.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - from; })()",
    );
    eprintln!("300 endpoints are drawn in {drawn} ms");
    browser.click("[data-key='only']");
    until("all of them fail", || rows() == 300);
    browser.click("[data-key='sort-name']");
    let first = "document.querySelector('table.endpoints tbody a').textContent";
    until("they are in order", || browser.value(first) == "GET /parta/lista");
    browser.click("table.endpoints tbody tr:first-child a");
    until("all fields are shown", || browser.count(".leaf") == 200);
    browser.wait_for("Latency");
    assert_eq!(browser.count("section figure svg[role=img]"), 2, "latency and trend");
    pictures(&browser, "large");
    browser.type_into("main [data-key='search']", "field199");
    until("one field is left", || browser.count(".leaf") == 1);
    browser.click(".leaf");
    browser.wait_for("Sample pairs");
    // Samples of 60,000 fields have room for the first ones of each.
    assert!(browser.count("article.sample") >= 1);
    browser.click("#ignore");
    browser.wait_for("Judged anew with a rule made here: 2,400 of 2,400 pairs");
    browser.click("article.sample h3 a");
    browser.wait_for("As a command");
    assert_eq!(browser.count(".body .line.left") + browser.count(".body .line.right"), 398);
    browser.open(&running.url("#/rules"));
    browser.wait_for("Rules made here");
    browser.open(&running.url("#/"));
    browser.click("#live");
    browser.wait_for("GET /parta/lista");
    browser.open(&running.url("#/requests"));
    until("the last requests are shown", || browser.count("tbody tr") == 200);
    browser.open(&running.url("#/health"));
    browser.wait_for("Delivered");
    browser.value("(window.confirm = () => true)");
    browser.click("#reset");
    browser.wait_for("0 pairs");
    browser.open(&running.url("#/"));
    browser.wait_for("Nothing is compared yet");
    browser.click("#range option[value='all']");
    browser.wait_for("Judged anew: 2,400 of 2,400 pairs");
    until("they are there again", || rows() == 300);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_fits_a_phone_and_follows_the_colours_that_are_wished() {
    let running = Running::start(&shop(false), &shop(true), &[]);
    let browser = Browser::start();
    let product = "GET%20%2Fproducts%2F%7Bid%7D";
    let pages = [
        ("#/".to_owned(), "GET /products/{id}"),
        (format!("#/endpoint/{product}"), "Latency"),
        (format!("#/field/{product}/body.price/value"), "Sample pairs"),
        ("#/requests".to_owned(), "without a difference"),
        ("#/rules".to_owned(), "Rules in effect"),
        ("#/health".to_owned(), "Delivered"),
    ];
    browser.size(390, 844, true);
    let mut colours = Vec::new();
    for dark in [false, true] {
        browser.dark(dark);
        for (page, text) in &pages {
            browser.open(&running.url(page));
            browser.wait_for(text);
            let wide = browser.value("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= 390, "{page}: {wide}");
        }
        colours.push(browser.value("getComputedStyle(document.documentElement).backgroundColor"));
    }
    assert_ne!(colours[0], colours[1]);
}
