//! Two network namespaces with a cable between them, nginx in one, its customers in the other.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::capture::Guard;
use crate::{cargo, run_command, setup};

/// The server's end of the cable.
pub(super) const CABLE: &str = "srv";

/// Where nginx listens.
pub(super) const SERVER: &str = "10.78.0.1:8080";

/// Where shadows go.
pub(super) const TARGET: &str = "http://127.0.0.1:8081";

/// The size of the file that nginx serves as `/big`.
pub(super) const BIG_BYTES: u64 = 10_000_000_000;

/// User and system time of a process: fields 14 and 15 of its `stat`, in hundredths of a second.
pub(super) fn cpu_time(id: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the process ended")?;
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |place: usize| fields.get(place).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0);
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
}

/// Both namespaces and nginx, gone when this is dropped.
pub(super) struct Lab {
    server: String,
    client: String,
    _nginx: Guard,
}

impl Lab {
    /// Starts another nginx in the server's namespace, for shadows, at [`TARGET`].
    pub(super) fn target(&self, folder: &Path) -> anyhow::Result<Guard> {
        let (config, name) = (folder.join("target.conf"), folder.display());
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; user root; pid {name}/target.pid; error_log stderr crit;\n\
                 events {{}}\n\
                 http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {name}/tb;\n\
                 proxy_temp_path {name}/tp; fastcgi_temp_path {name}/tf; uwsgi_temp_path {name}/tu; scgi_temp_path {name}/ts;\n\
                 server {{ listen 8081; location / {{ return 200 \"hello\"; }} }} }}\n"
            ),
        )?;
        let nginx = in_namespace(&self.server, &["nginx", "-c", &config.to_string_lossy()]).spawn();
        let nginx = Guard(nginx?);
        self.until("the target answers", || {
            let curl = in_namespace(&self.server, &["curl", "--silent", TARGET]).output();
            curl.is_ok_and(|output| output.status.success())
        })?;
        Ok(nginx)
    }

    /// The same with a release build of `mirror` and the programs that measure. Needs root.
    pub(super) fn with_mirror(folder: &Path) -> anyhow::Result<Self> {
        ensure!(setup::is_root(), "network namespaces need root");
        setup::ensure_tools(setup::BENCH_TOOLS);
        cargo(&["build", "--release", "--package", "mirror-user"])?;
        Self::new(folder)
    }

    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        let (server, client) =
            (format!("bench{}s", std::process::id()), format!("bench{}c", std::process::id()));
        for line in [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("link add {CABLE} netns {server} type veth peer name cli netns {client}"),
            format!("-n {server} link set lo up"),
            format!("-n {server} addr add 10.78.0.1/24 dev {CABLE}"),
            format!("-n {client} addr add 10.78.0.2/24 dev cli"),
            format!("-n {server} link set {CABLE} up"),
            format!("-n {client} link set cli up"),
        ] {
            run_command(Command::new("ip").args(line.split(' ')))?;
        }
        let name = folder.display();
        // Sparse: it takes no room.
        File::create(folder.join("big"))?.set_len(BIG_BYTES)?;
        let config = folder.join("nginx.conf");
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; user root; pid {name}/pid; error_log stderr crit;\n\
                 events {{}}\n\
                 http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {name}/b;\n\
                 proxy_temp_path {name}/p; fastcgi_temp_path {name}/f; uwsgi_temp_path {name}/u; scgi_temp_path {name}/s;\n\
                 sendfile on; server {{ listen 8080; location / {{ return 200 \"hello\"; }} location /big {{ root {name}; }} }} }}\n"
            ),
        )?;
        let nginx = in_namespace(&server, &["nginx", "-c", &config.to_string_lossy()]).spawn()?;
        let lab = Self { server, client, _nginx: Guard(nginx) };
        lab.until("nginx answers", || {
            let curl =
                in_namespace(&lab.client, &["curl", "--silent", "http://10.78.0.1:8080/"]).output();
            curl.is_ok_and(|output| output.status.success())
        })?;
        Ok(lab)
    }

    /// The name of the server's namespace.
    pub(super) fn server_name(&self) -> &str {
        &self.server
    }

    /// Both ends of the cable take packets as long as IPv4 can say.
    pub(super) fn let_pass_large_packets(&self) -> anyhow::Result<()> {
        for (namespace, device) in [(&self.server, CABLE), (&self.client, "cli")] {
            let line = ["-n", namespace, "link", "set", device, "mtu", "65535"];
            run_command(Command::new("ip").args(line))?;
        }
        Ok(())
    }

    /// A command on the server's side.
    pub(super) fn server(&self, command: &[String], output: Stdio) -> anyhow::Result<Child> {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut child = in_namespace(&self.server, &command);
        child.stdout(output).stderr(Stdio::piped());
        child.spawn().with_context(|| format!("{}: cannot be run", command.join(" ")))
    }

    /// Both mirror and tcpdump say so on standard error once they capture. What they say there
    /// afterwards is what the thread gives: whoever writes to a closed pipe would end.
    pub(super) fn wait_until_attached(
        &self,
        child: &mut Child,
    ) -> anyhow::Result<JoinHandle<Vec<u8>>> {
        let mut stderr = child.stderr.take().context("a pipe")?;
        let mut said = String::new();
        let mut byte = [0];
        while stderr.read(&mut byte)? == 1 {
            said.push(char::from(byte[0]));
            let attached = ["attached to", "listening on", "Version:"];
            if said.ends_with('\n') && attached.iter().any(|word| said.contains(word)) {
                return Ok(std::thread::spawn(move || {
                    let mut rest = Vec::new();
                    // What could not be read is missed by whoever looks for it.
                    let _ = stderr.read_to_end(&mut rest);
                    rest
                }));
            }
        }
        bail!("the capture ended: {said}")
    }

    /// A command on the customers' side.
    pub(super) fn client(&self, command: &[&str]) -> Command {
        in_namespace(&self.client, command)
    }

    #[expect(clippy::disallowed_methods, reason = "waits for a real server, with a deadline")]
    fn until(&self, what: &str, condition: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !condition() {
            ensure!(std::time::Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// A command that becomes the process in the namespace, so that its id is the child's.
pub(super) fn in_namespace(name: &str, command: &[&str]) -> Command {
    let mut ip = Command::new("ip");
    ip.args(["netns", "exec", name]).args(command);
    ip
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in [&self.server, &self.client] {
            // What is left in them ends with them.
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}
