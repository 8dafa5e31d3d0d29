//! A small HTTP server for the demo: parses requests with mirror's own `http` module, responds to each,
//! and reports what arrived.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::http::message::{Message, Moment};
use crate::http::{HttpOptions, HttpTable};
use crate::packet::{InterfaceId, Timestamp};
use crate::tcp::event::{Change, ConnId, Peers, Side, StreamEvent};

/// A server on a free loopback port. Its threads end with the process.
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Every received request, in order.
    pub(super) arrived_rx: Receiver<Arc<Message>>,
}

impl Server {
    /// Starts it; every request gets `response`.
    pub(super) fn start(response: &'static [u8]) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("127.0.0.1: cannot listen")?;
        let address = listener.local_addr().context("127.0.0.1: has no address")?;
        // connections --requests--> the demo, which prints them
        let (arrived_tx, arrived_rx) = unbounded();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let arrived_tx = arrived_tx.clone();
                thread::spawn(move || serve(connection, response, &arrived_tx));
            }
        });
        Ok(Self { address, arrived_rx })
    }
}

/// Serves one connection until either side closes it.
fn serve(mut stream: TcpStream, response: &[u8], arrived_tx: &Sender<Arc<Message>>) -> Option<()> {
    let (client, server) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
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
        let received = push(Change::Data(Side::Client, bytes));
        for request in received.into_iter().filter(|exchange| exchange.moment == Moment::Asked) {
            arrived_tx.send(request.request?).ok()?;
            stream.write_all(response).ok()?;
        }
    }
}
