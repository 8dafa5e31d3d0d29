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
        let said = workspace.path("stderr");
        let child = Command::new(binary())
            .args([
                "compare",
                "--from",
                &files[0],
                "--with",
                &files[1],
                "--dashboard",
                "127.0.0.1:0",
            ])
            .args(more)
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
    assert_eq!(running.ask("GET", &format!("/{}", "a".repeat(100_000)), &[&host]).0 / 100, 4);
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
    until_told(r#"data: {"pairs":300,"resets":0,"ended":true}"#);
    assert_eq!(running.ask("POST", "/api/v1/reset", &["Host: localhost"]).0, 204);
    until_told(r#"data: {"pairs":0,"resets":1,"ended":true}"#);
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
    // The name and the price, on both sides.
    assert_eq!(browser.count(".body .line.left") + browser.count(".body .line.right"), 4);
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

#[test]
#[ignore = "needs chromium: cargo xtask test"]
fn chromium_stays_usable_with_300_endpoints_of_200_fields() {
    let body = |candidate: bool| {
        let value = if candidate { 2 } else { 1 };
        let fields: Vec<String> =
            (0..200).map(|n| format!(r#""group{}field{n}":{value}"#, n % 10)).collect();
        response("200 OK", &format!("{{{}}}", fields.join(",")))
    };
    let recording = |candidate: bool| {
        let answer = body(candidate);
        let say = |talk: Talk, n: usize| {
            // Words that no template takes for identifiers, and not too many at one place.
            let letter = |n: usize| char::from(b'a' + u8::try_from(n).unwrap());
            let path = format!("/part{}/list{}", letter(n / 20), letter(n % 20));
            talk.client(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).server(&answer)
        };
        (0..3).fold(Talk::new().open(), |talk, _| (0..300).fold(talk, say)).close().pcap()
    };
    let running = Running::start(&recording(false), &recording(true), &[]);
    let browser = Browser::start();
    browser.open(&running.url(""));
    until("all endpoints are shown", || browser.count("table.endpoints tbody tr") == 300);
    browser.type_into("#search", "partb/listc");
    until("one is left", || browser.count("table.endpoints tbody tr") == 1);
    let drawn = browser.value(
        "(() => { const from = performance.now(); const input = document.getElementById('search'); input.value = ''; \
         input.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - from; })()",
    );
    eprintln!("300 endpoints are drawn in {drawn} ms");
    browser.click("table.endpoints tbody tr:first-child a");
    until("all fields are shown", || browser.count(".leaf") == 200);
    pictures(&browser, "large");
    browser.click(".leaf");
    browser.wait_for("Sample pairs");
    assert_eq!(browser.count("article.sample"), 3);
}
