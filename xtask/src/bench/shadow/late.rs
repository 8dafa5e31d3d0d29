//! A target that responds a second after each request.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// How late it responds.
const LATE: Duration = Duration::from_secs(1);

/// Serves until it is ended. Says so on standard output once it listens.
pub(in crate::bench) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening");
    for stream in listener.incoming() {
        let stream = stream?;
        // As many as mirror has connections.
        thread::spawn(move || respond(&stream));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "being late is what it is for")]
fn respond(mut stream: &TcpStream) {
    let lines = BufReader::new(stream).lines();
    for line in lines.map_while(Result::ok) {
        // The end of a head; the bench's requests have no body.
        if line.is_empty() {
            thread::sleep(LATE);
            if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").is_err() {
                return;
            }
        }
    }
}
