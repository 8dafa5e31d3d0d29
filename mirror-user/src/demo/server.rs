//! A small HTTP server for the demo: parses requests with mirror's own `http` module, answers each, and reports what
//! arrived.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use bytes::Bytes;

use super::tap::{Tap, Tapped};
use crate::http::message::{Message, Moment};
use crate::http::{HttpOptions, HttpTable};
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

/// What a server answers to a request, byte for byte.
pub(super) type Answer = dyn Fn(&Arc<Message>) -> Vec<u8> + Send + Sync;

/// A server on a free loopback port. Its threads end with the process.
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts it; `tap` gets the packets of its connections.
    pub(super) fn start(answer: Arc<Answer>, tap: Option<Arc<Tap>>) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("127.0.0.1: cannot listen")?;
        let address = listener.local_addr().context("127.0.0.1: has no address")?;
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (answer, tap) = (Arc::clone(&answer), tap.clone());
                thread::spawn(move || serve(connection, &*answer, tap));
            }
        });
        Ok(Self { address })
    }
}

/// Serves one connection until either side closes it.
fn serve(mut stream: TcpStream, answer: &Answer, tap: Option<Arc<Tap>>) -> Option<()> {
    let (client, server) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    let mut tapped = tap.and_then(|tap| Tapped::open(tap, client, server));
    let conn = ConnId { slot: 0, serial: 0 };
    let mut http = HttpTable::new(HttpOptions::default());
    let mut exchanges = Vec::new();
    let mut push = |change| {
        http.push(StreamEvent { conn, at: Timestamp::default(), change }, &mut exchanges);
        std::mem::take(&mut exchanges)
    };
    let peers = Arc::new(Peers { client, server, interface: InterfaceId::default() });
    push(Change::Opened { peers, midstream: false });
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        let bytes = Bytes::copy_from_slice(buffer.get(..n)?);
        tapped.iter_mut().for_each(|tapped| tapped.send(Side::Client, &bytes));
        let received = push(Change::Data(Side::Client, bytes));
        for request in received.into_iter().filter(|exchange| exchange.moment == Moment::Asked) {
            let response = answer(&request.request?);
            // Before it leaves, so that the packets are in the order in which they passed.
            tapped.iter_mut().for_each(|tapped| tapped.send(Side::Server, &response));
            stream.write_all(&response).ok()?;
        }
    }
}
