//! The captures that the benches read: one of real traffic, one that is generated.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use etherparse::PacketBuilder;

/// How large the capture of real traffic becomes.
const MIXED_BYTES: u64 = 400_000_000;

/// How many packets a generated capture holds.
const GENERATED_PACKETS: u32 = 1_200_000;

/// How long making the real capture may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A child process that ends with its owner.
pub(super) struct Guard(pub(super) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended already; either way it is reaped.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// GETs and POSTs of 100 B to 50 KB over keep-alive connections, nginx and wrk on loopback,
/// written by tcpdump.
#[expect(clippy::disallowed_methods, reason = "the capture grows in real time")]
pub(super) fn mixed(file: &Path) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    println!("making a capture of {} MB with nginx, wrk and tcpdump", MIXED_BYTES / 1_000_000);
    let _nginx = nginx(folder.path(), port)?;
    let mut tcpdump = Guard(
        Command::new("tcpdump")
            .args(["-i", "lo", "-s", "0", "-B", "131072", "-U", "-w"])
            .arg(file)
            .arg(format!("tcp port {port}"))
            .stderr(Stdio::null())
            .spawn()
            .context("tcpdump: cannot be run")?,
    );
    let deadline = std::time::Instant::now() + PATIENCE;
    let reached = |bytes: u64, child: &mut Child| -> anyhow::Result<()> {
        while fs::metadata(file).map_or(0, |metadata| metadata.len()) < bytes {
            ensure!(
                std::time::Instant::now() < deadline,
                "the capture did not grow to {bytes} bytes in time"
            );
            ensure!(
                child.try_wait()?.is_none(),
                "tcpdump ended early: it needs the right to capture on lo"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    };
    reached(1, &mut tcpdump.0)?;
    let script = folder.path().join("mixed.lua");
    fs::write(&script, WRK_SCRIPT)?;
    let wrk = Guard(
        Command::new("wrk")
            .args(["-t1", "-c16", "-d100s", "-s"])
            .arg(&script)
            .arg(format!("http://127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .spawn()
            .context("wrk: cannot be run")?,
    );
    reached(MIXED_BYTES, &mut tcpdump.0)?;
    drop(wrk);
    // SIGINT lets tcpdump write out what it holds.
    let status = Command::new("kill").args(["-INT", &tcpdump.0.id().to_string()]).status()?;
    ensure!(status.success(), "tcpdump could not be ended");
    tcpdump.0.wait()?;
    Ok(())
}

const WRK_SCRIPT: &str = r#"
math.randomseed(1)
local sizes = {100, 500, 2000, 8000, 20000, 50000}
local bodies = {}
for _, size in ipairs(sizes) do bodies[size] = string.rep("x", size) end
request = function()
  local size = sizes[math.random(#sizes)]
  if math.random(3) == 1 then
    return wrk.format("POST", "/post", {["Content-Type"] = "text/plain"}, bodies[size])
  end
  return wrk.format("GET", "/get/" .. size .. ".txt?n=" .. math.random(100000))
end
"#;

fn nginx(folder: &Path, port: u16) -> anyhow::Result<Guard> {
    let files = folder.join("get");
    fs::create_dir(&files)?;
    for size in [100, 500, 2_000, 8_000, 20_000, 50_000] {
        fs::write(files.join(format!("{size}.txt")), "y".repeat(size))?;
    }
    let folder_name = folder.display();
    let config = folder.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off; master_process off; user root; pid {folder_name}/nginx.pid; error_log stderr crit;\n\
             events {{}}\n\
             http {{ access_log off; keepalive_requests 1000000; client_max_body_size 1m; client_body_buffer_size 64k;\n\
             client_body_temp_path {folder_name}/body; proxy_temp_path {folder_name}/proxy;\n\
             fastcgi_temp_path {folder_name}/fcgi; uwsgi_temp_path {folder_name}/uwsgi; scgi_temp_path {folder_name}/scgi;\n\
             server {{ listen 127.0.0.1:{port}; root {folder_name}; location /post {{ return 200 \"posted\"; }} }} }}\n"
        ),
    )?;
    let child =
        Command::new("nginx").arg("-c").arg(&config).spawn().context("nginx: cannot be run")?;
    let mut nginx = Guard(child);
    wait_for_port(port, &mut nginx.0)?;
    Ok(nginx)
}

/// The configuration of an nginx of one thread that gives `body` to everybody, at `listen`.
pub(super) fn nginx_config(folder: &Path, listen: &str, body: &str) -> anyhow::Result<PathBuf> {
    let name = folder.display();
    let config = folder.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off; master_process off; user root; pid {name}/pid; error_log stderr crit;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {name}/b;\n\
             proxy_temp_path {name}/p; fastcgi_temp_path {name}/f; uwsgi_temp_path {name}/u; scgi_temp_path {name}/s;\n\
             server {{ listen {listen}; location / {{ return 200 \"{body}\"; }} }} }}\n"
        ),
    )?;
    Ok(config)
}

#[expect(clippy::disallowed_methods, reason = "waits for a real server")]
pub(super) fn wait_for_port(port: u16, child: &mut Child) -> anyhow::Result<()> {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(child.try_wait()?.is_none(), "nginx ended early");
        ensure!(std::time::Instant::now() < deadline, "nginx does not listen on port {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A capture in which `connections` connections are open at once and take turns, a request and an
/// answer each; returns how many packets it holds.
pub(super) fn open_connections(file: &Path, connections: u32) -> anyhow::Result<u64> {
    rounds(file, connections, (GENERATED_PACKETS / connections).saturating_sub(2) / 2)
}

/// The same with so many requests on each connection.
pub(super) fn rounds(file: &Path, connections: u32, rounds: u32) -> anyhow::Result<u64> {
    let mut talks = Talks::begin(file, connections)?;
    for _ in 0..rounds {
        talks.round(1)?;
    }
    talks.end()
}

/// The same with answers of many packets, until the file has so many bytes.
pub(super) fn long_answers(file: &Path, connections: u32, bytes: u64) -> anyhow::Result<u64> {
    const PACKETS: usize = 10;
    let mut talks = Talks::begin(file, connections)?;
    while talks.bytes < bytes {
        talks.round(PACKETS)?;
    }
    talks.end()
}

/// So many exchanges on one connection, each with its own request and answer.
pub(super) fn exchanges(
    file: &Path,
    count: u32,
    exchange: impl Fn(u32) -> (String, String),
) -> anyhow::Result<u64> {
    let mut talks = Talks::begin(file, 1)?;
    for n in 0..count {
        let (request, answer) = exchange(n);
        talks.say(request.as_bytes(), answer.as_bytes())?;
    }
    talks.end()
}

/// How much of a body one generated packet holds.
const SEGMENT_BYTES: usize = 1_400;

/// Conversations that are being written to a file, and how far each side is, the same in all.
struct Talks {
    out: BufWriter<File>,
    connections: u32,
    client_seq: u32,
    server_seq: u32,
    packets: u64,
    bytes: u64,
}

impl Talks {
    fn begin(file: &Path, connections: u32) -> anyhow::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
        // The header of a little-endian pcap file with nanoseconds, version 2.4, Ethernet.
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            out.write_all(&word.to_le_bytes())?;
        }
        let (client_seq, server_seq) = (0, 0);
        let mut talks = Self { out, connections, client_seq, server_seq, packets: 0, bytes: 0 };
        for client in 0..connections {
            talks.write(client, true, (0, 0), (true, false), b"")?;
            talks.write(client, false, (0, 1), (true, true), b"")?;
        }
        (talks.client_seq, talks.server_seq) = (1, 1);
        Ok(talks)
    }

    /// Every client asks once; each answer fills so many packets, if more than one.
    fn round(&mut self, packets: usize) -> anyhow::Result<()> {
        let request = b"GET /item?id=1234 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n";
        let body = if packets == 1 { 5 } else { (packets - 1) * SEGMENT_BYTES };
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body}\r\n\r\n"
        )
        .into_bytes();
        answer.resize(answer.len() + body, b'x');
        self.say(request, &answer)
    }

    /// Every client asks this, and is answered that.
    fn say(&mut self, request: &[u8], answer: &[u8]) -> anyhow::Result<()> {
        let (asked, answered) = (u32::try_from(request.len())?, u32::try_from(answer.len())?);
        let (client_seq, server_seq) = (self.client_seq, self.server_seq);
        for client in 0..self.connections {
            self.write(client, true, (client_seq, server_seq), (false, true), request)?;
            let mut seq = server_seq;
            for part in answer.chunks(SEGMENT_BYTES) {
                let ack = client_seq.wrapping_add(asked);
                self.write(client, false, (seq, ack), (false, true), part)?;
                seq = seq.wrapping_add(u32::try_from(part.len())?);
            }
        }
        self.client_seq = client_seq.wrapping_add(asked);
        self.server_seq = server_seq.wrapping_add(answered);
        Ok(())
    }

    fn write(
        &mut self,
        client: u32,
        from_client: bool,
        (seq, ack): (u32, u32),
        (syn, acknowledges): (bool, bool),
        payload: &[u8],
    ) -> anyhow::Result<()> {
        let [_, a, b, c] = client.to_be_bytes();
        let (client_address, port) = ([10, a, b, c], 40_000);
        let server = [192, 0, 2, 1];
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
        let builder = if from_client {
            builder.ipv4(client_address, server, 64).tcp(port, 80, seq, 65_000)
        } else {
            builder.ipv4(server, client_address, 64).tcp(80, port, seq, 65_000)
        };
        let builder = if syn { builder.syn() } else { builder };
        let builder = if acknowledges { builder.ack(ack) } else { builder };
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut packet, payload)?;
        self.packets += 1;
        let length = u32::try_from(packet.len())?.to_le_bytes();
        let (seconds, nanos) = (self.packets / 1_000_000, self.packets % 1_000_000 * 1_000);
        self.out.write_all(&u32::try_from(seconds)?.to_le_bytes())?;
        self.out.write_all(&u32::try_from(nanos)?.to_le_bytes())?;
        self.out.write_all(&length)?;
        self.out.write_all(&length)?;
        self.out.write_all(&packet)?;
        self.bytes += packet.len() as u64 + 16;
        Ok(())
    }

    /// How many packets were written.
    fn end(mut self) -> anyhow::Result<u64> {
        self.out.flush()?;
        Ok(self.packets)
    }
}
