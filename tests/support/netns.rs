//! Two hosts in network namespaces with a cable between them: a server, in whose namespace a test
//! runs, and a client.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::binary;

/// How long anything may take before a test fails, on a machine of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long anything may take before a test fails. An emulated machine says how slow it is.
pub(crate) fn patience() -> Duration {
    PATIENCE * slowness()
}

/// How many times slower than a machine of its own an emulated one says it is.
pub(crate) fn slowness() -> u32 {
    let told = std::env::var("MIRROR_TEST_SLOWNESS").ok();
    told.and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// The server's end of the cable.
pub(crate) const CABLE: &str = "srv";

/// Names must differ among the tests of one process and among processes.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two namespaces. Both end, with all that runs in them, when this is dropped.
pub(crate) struct Lab {
    name: String,
    folder: tempfile::TempDir,
    nginx: Option<Child>,
}

impl Lab {
    /// Runs a test in the server's namespace.
    pub(crate) fn run(test: impl FnOnce(&mut Lab) + Send + 'static) {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("mirror{}x{number}", std::process::id());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut lab = Self { name, folder, nginx: None };
        lab.build();
        // Threads and processes that the test starts are born into its namespace.
        let outcome = thread::spawn(move || {
            let namespace = File::open(format!("/run/netns/{}s", lab.name)).expect("the namespace");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("to move into it");
            test(&mut lab);
        })
        .join();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    fn build(&self) {
        let (server, client) = (format!("{}s", self.name), format!("{}c", self.name));
        for line in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("link add {CABLE} netns {server} type veth peer name cli netns {client}"),
            format!("-n {server} link set lo up"),
            format!("-n {client} link set lo up"),
            format!("-n {server} addr add 10.77.0.1/24 dev {CABLE}"),
            format!("-n {client} addr add 10.77.0.2/24 dev cli"),
            // Without duplicate address detection, which would take a second.
            format!("-n {server} addr add fd00:77::1/64 dev {CABLE} nodad"),
            format!("-n {client} addr add fd00:77::2/64 dev cli nodad"),
            format!("-n {server} link set {CABLE} up"),
            format!("-n {client} link set cli up"),
        ] {
            succeed(Command::new("ip").args(line.split(' ')));
        }
    }

    /// The name of the server's namespace.
    pub(crate) fn server(&self) -> String {
        format!("{}s", self.name)
    }

    /// The name of the client's namespace.
    pub(crate) fn client_name(&self) -> String {
        format!("{}c", self.name)
    }

    /// Sends the packets of a capture into the client's end of the cable.
    pub(crate) fn send(&self, name: &str, pcap: &[u8]) {
        let file = self.path(name);
        std::fs::write(&file, pcap).expect("a file");
        succeed(self.client("tcpreplay").args(["--quiet", "--topspeed", "--intf1=cli"]).arg(file));
    }

    /// Starts nginx on port 8080 of every address of the server. `/post` takes any body and responds when
    /// it has all of it, `/big` is 8 MiB, everything else is a small page.
    pub(crate) fn start_nginx(&mut self) {
        self.start_nginx_by(|nginx| nginx.spawn().expect("nginx can be run"));
    }

    /// The same, started in some way of the test's.
    pub(crate) fn start_nginx_by(&mut self, start: impl FnOnce(&mut Command) -> Child) {
        let folder = self.folder.path().display().to_string();
        let config = self.folder.path().join("nginx.conf");
        std::fs::write(self.folder.path().join("big"), vec![b'y'; 8 << 20]).expect("a file");
        let socket = format!("{folder}/posted");
        // One that was killed leaves it.
        drop(std::fs::remove_file(&socket));
        std::fs::write(
            &config,
            format!(
                "daemon off; master_process off; user root; pid {folder}/pid; error_log stderr crit;\n\
                 events {{}}\n\
                 http {{ access_log off; client_max_body_size 64m; client_body_temp_path {folder}/b;\n\
                 proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;\n\
                 scgi_temp_path {folder}/s; keepalive_requests 1000000;\n\
                 server {{ listen 8080; listen [::]:8080; root {folder};\n\
                 location / {{ return 200 \"hello\\n\"; }} location /big {{ }}\n\
                 location /post {{ proxy_pass http://unix:{socket}:/; proxy_pass_request_body off;\n\
                 proxy_set_header Content-Length \"\"; }} }}\n\
                 server {{ listen unix:{socket}; return 200 \"posted\\n\"; }} }}\n"
            ),
        )
        .expect("a configuration");
        self.nginx = Some(start(Command::new("nginx").arg("-c").arg(config)));
        until("nginx listens", || std::net::TcpStream::connect("127.0.0.1:8080").is_ok());
    }

    /// A command in the client's namespace.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}c", self.name), program]);
        command
    }

    /// Asks for these URLs with curl, on one connection where the server lets it.
    pub(crate) fn curl(&self, args: &[&str]) -> Output {
        succeed(
            self.client("curl").args(["--silent", "--show-error", "--max-time", "20"]).args(args),
        )
    }

    /// A file of the lab.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of so many bytes, to post.
    pub(crate) fn file(&self, name: &str, bytes: usize) -> String {
        let path = self.path(name);
        std::fs::write(&path, vec![b'x'; bytes]).expect("a file");
        path.to_str().expect("a plain path").to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut nginx) = self.nginx.take() {
            let _ = nginx.kill();
            let _ = nginx.wait();
        }
        for end in ["s", "c"] {
            let _ =
                Command::new("ip").args(["netns", "del", &format!("{}{end}", self.name)]).status();
        }
    }
}

/// Another web server, on port 8080 of the client's host: its traffic passes the same cable.
pub(crate) struct Shadow {
    child: Child,
    log: PathBuf,
}

impl Shadow {
    /// Starts it and waits until it listens.
    pub(crate) fn start(lab: &Lab) -> Self {
        let log = lab.path("shadow.log");
        let mut python = lab.client("python3");
        python.args(["-u", "-m", "http.server", "8080", "--bind", "10.77.0.2"]);
        python.stdout(Stdio::null()).stderr(File::create(&log).expect("a file"));
        let child = python.spawn().expect("python3 can be run");
        until("the shadow listens", || std::net::TcpStream::connect("10.77.0.2:8080").is_ok());
        Self { child, log }
    }

    /// Waits until it has logged a request for this path.
    pub(crate) fn has_served(&self, path: &str) {
        let line = format!("\"GET {path} ");
        until("the shadow was asked", || {
            std::fs::read_to_string(&self.log).is_ok_and(|log| log.contains(&line))
        });
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `mirror`, killed when it is dropped.
pub(crate) struct Mirror {
    child: Option<Child>,
    said: PathBuf,
}

impl Mirror {
    /// Starts it and waits until it says that it is attached.
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Self {
        Self::start_as(lab, Command::new(binary()), args)
    }

    /// The same by this command, which is `mirror` in some guise.
    pub(crate) fn start_as(lab: &Lab, mut command: Command, args: &[&str]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let said = lab.path(&format!("stderr{number}"));
        let child = command
            .args(args)
            // The machine may be busy with other tests: what is asked for is captured nevertheless.
            .env("MIRROR_SHED_LOAD", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&said).expect("a file"))
            .spawn()
            .expect("mirror can be run");
        let mut mirror = Self { child: Some(child), said };
        until("mirror is attached", || {
            let ended = mirror.child().try_wait().expect("a child").is_some();
            assert!(!ended, "mirror ended: {}", mirror.said());
            mirror.said().contains("attached to")
        });
        mirror
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    /// Its process.
    pub(crate) fn id(&mut self) -> u32 {
        self.child().id()
    }

    /// What it said on standard error.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, signal: &str) {
        let id = self.child().id().to_string();
        succeed(Command::new("kill").args([signal, &id]));
    }

    /// Ends it by SIGINT, and reads the JSON summary that it prints then.
    pub(crate) fn summary(self) -> serde_json::Value {
        self.told(0)
    }

    /// Ends it by SIGINT, and reads the JSON that it prints before it ends with this code.
    pub(crate) fn told(mut self, code: i32) -> serde_json::Value {
        self.signal("-INT");
        let output = self.child.take().expect("it runs").wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{}", self.said());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Waits until it ends by itself with this code, and returns what it said on standard error.
    pub(crate) fn ends_with(mut self, code: i32) -> String {
        until("mirror ends", || self.child().try_wait().expect("a child").is_some());
        let ended = self.child().wait().expect("a child");
        assert_eq!(ended.code(), Some(code), "{}", self.said());
        self.said()
    }

    /// Kills it so that it can do nothing more.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a child");
        child.wait().expect("a child");
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the command can be run");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// How long something real takes. For figures that are printed: no test depends on them.
#[expect(clippy::disallowed_methods, reason = "measures in real time")]
pub(crate) fn timed(what: impl FnOnce()) -> Duration {
    let start = Instant::now();
    what();
    start.elapsed()
}

/// Waits until `condition` holds, no longer than [`patience`].
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "waits for a real process, with a deadline")]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience();
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
