//! Whether production uses the shadow's database, and whether replication writes to it.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::sockets::{self, Owner, Socket, State};
use super::{Finding, PATIENCE};
use crate::config::Preflight;
use crate::psql;

const USED: &str = "database";
const REPLICATED: &str = "replication";

/// Which database a connection has, by the port of its client.
const SESSIONS: &str = "SELECT client_port, datname FROM pg_stat_activity WHERE client_port > 0 AND datname IS NOT NULL";

/// Other clients of this database by its Unix socket.
const LOCAL_SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND client_port = -1 AND pid <> pg_backend_pid()";

/// Subscriptions of this database that are at work.
const SUBSCRIPTIONS: &str = "SELECT string_agg(DISTINCT s.subname, ', ') FROM pg_subscription AS s
    JOIN pg_stat_subscription AS w ON w.subid = s.oid AND w.pid IS NOT NULL
    WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The database as `psql` has reached it.
struct Reached {
    /// A name, an address, or the folder of its socket.
    host: String,
    port: u16,
    database: String,
    /// The address of the server, as it knows it.
    server: Option<IpAddr>,
}

pub(super) fn look(preflight: &Preflight) -> Vec<Finding> {
    let Some(dsn) = &preflight.database else {
        let advice = "name the shadow's database: --database 'host=test-db dbname=run'";
        return vec![Finding::not_known(USED, "not looked at", advice)];
    };
    let reached = match reach(dsn) {
        Ok(reached) => reached,
        Err(why) => return vec![Finding::not_known(USED, "not looked at", why)],
    };
    let used = match reached.host.starts_with('/') {
        true => used_by_its_socket(dsn, &reached),
        false => used_by_production(dsn, &reached, preflight),
    };
    vec![used, replicated(dsn, preflight)]
}

fn ask(dsn: &str, commands: &[&str]) -> Result<String, String> {
    psql::ask(dsn, commands, PATIENCE, None)
}

fn reach(dsn: &str) -> Result<Reached, String> {
    let server = "SELECT current_database(), host(inet_server_addr())";
    let said = ask(dsn, &["\\echo :HOST", "\\echo :PORT", server])?;
    let strange = || format!("psql: what it says of its connection is not understood: {said:?}");
    let lines: Vec<&str> = said.lines().collect();
    let [host, port, row] = lines.as_slice() else { return Err(strange()) };
    // The name of a database may have the character.
    let (database, server) = row.rsplit_once('|').ok_or_else(strange)?;
    Ok(Reached {
        host: (*host).to_owned(),
        port: port.parse().map_err(|_| strange())?,
        database: database.to_owned(),
        server: server.parse().ok(),
    })
}

fn used_by_its_socket(dsn: &str, reached: &Reached) -> Finding {
    let Reached { host, database, .. } = reached;
    match ask(dsn, &[LOCAL_SESSIONS]).map(|said| said.trim().parse::<u64>().unwrap_or(0)) {
        Ok(0) => Finding::good(
            USED,
            format!("nobody else uses {database} by the socket in {host} (pg_stat_activity)"),
        ),
        Ok(others) => Finding::not_known(
            USED,
            format!("{others} others use {database} by the socket in {host} (pg_stat_activity)"),
            "whose they are cannot be seen for Unix sockets: see that none is production's",
        ),
        Err(why) => Finding::not_known(USED, "not looked at", why),
    }
}

fn used_by_production(dsn: &str, reached: &Reached, preflight: &Preflight) -> Finding {
    let Reached { host, port, database, server } = reached;
    let place = format!("{database} at {host}:{port}");
    let addresses: HashSet<IpAddr> = (host.as_str(), *port)
        .to_socket_addrs()
        .into_iter()
        .flatten()
        .map(|address| address.ip().to_canonical())
        .chain(*server)
        .collect();
    let is_of_server =
        |remote: SocketAddr| remote.port() == *port && addresses.contains(&remote.ip());
    let all = sockets::all();
    let established = all.iter().filter(|socket| socket.state == State::Established);
    let connected: Vec<&Socket> =
        established.clone().filter(|socket| is_of_server(socket.remote)).collect();
    let looked_at = format!("{} connections of this host (/proc/net/tcp)", established.count());
    if connected.is_empty() {
        return Finding::good(USED, format!("none to {place} among {looked_at} at this moment"));
    }
    let databases = databases(dsn);
    let is_listening = |socket: &&Socket| {
        socket.state == State::Listening && preflight.ports.contains(socket.local.port())
    };
    let listening: Vec<&Socket> = all.iter().filter(is_listening).collect();
    let inodes = connected.iter().chain(&listening).map(|socket| socket.inode).collect();
    let owners = sockets::owners(&inodes);
    let of = |socket: &Socket| owners.get(&socket.inode).map(Vec::as_slice).unwrap_or_default();
    let production: HashSet<&Owner> = listening.iter().flat_map(|socket| of(socket)).collect();
    // One whose database is not known may be the shadow's.
    let is_same = |socket: &&&Socket| {
        databases.get(&socket.local.port()).is_none_or(|other| other == database)
    };
    let same: Vec<&&Socket> = connected.iter().filter(is_same).collect();
    let used = same.iter().flat_map(|socket| of(socket)).find(|owner| production.contains(owner));
    if let Some(Owner { pid, name }) = used {
        return Finding::warning(
            USED,
            format!("{name} ({pid}), which listens on a captured port, uses {place}"),
            "shadows would write to production's data: give the shadow a copy (docs/database.md)",
        );
    }
    if same.is_empty() {
        return Finding::good(
            USED,
            format!("{} connections to {host}:{port}, of other databases", connected.len()),
        );
    }
    let names: Vec<String> = same
        .iter()
        .flat_map(|socket| of(socket))
        .map(|Owner { pid, name }| format!("{name} ({pid})"))
        .collect();
    let whose = match names.as_slice() {
        [] => "processes that are not visible (root sees them)".to_owned(),
        names => names.join(", "),
    };
    let advice = match preflight.ports.is_empty() {
        true => "name the ports of production: --port 8080, or --config FILE",
        false => "none of them is seen to listen on a captured port: see that none is production's",
    };
    Finding::not_known(USED, format!("{whose} of this host use {place}"), advice)
}

/// The database of each session, by the port of its client; empty if that is not to be seen.
fn databases(dsn: &str) -> HashMap<u16, String> {
    let said = ask(dsn, &[SESSIONS]).unwrap_or_default();
    let row = |line: &str| {
        let (port, database) = line.split_once('|')?;
        Some((port.parse().ok()?, database.to_owned()))
    };
    said.lines().filter_map(row).collect()
}

fn replicated(dsn: &str, preflight: &Preflight) -> Finding {
    let names = match ask(dsn, &[SUBSCRIPTIONS]) {
        Ok(names) => names.trim().to_owned(),
        Err(why) => return Finding::not_known(REPLICATED, "not looked at", why),
    };
    if names.is_empty() {
        return Finding::good(REPLICATED, "no subscription writes to it (pg_stat_subscription)");
    }
    let found = format!("{names} is at work (pg_stat_subscription)");
    if preflight.rolls_back {
        return Finding::good(REPLICATED, format!("{found}, and shadows are rolled back"));
    }
    if !preflight.writes {
        return Finding::good(REPLICATED, format!("{found}, and no rule sends unsafe methods"));
    }
    Finding::warning(
        REPLICATED,
        format!("{found}, and shadows write to it, too"),
        "replication stops at the first row that both have: send only GET, use --mode rollback, or give each run a clone \
         (docs/database.md)",
    )
}
