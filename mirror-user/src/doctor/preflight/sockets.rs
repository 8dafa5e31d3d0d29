//! TCP connections of this host's network namespace, and whose they are, as `/proc` has them (proc(5)).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket of `/proc/net/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) state: State,
    pub(super) inode: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Established,
    Listening,
    Other,
}

/// A process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// All sockets of this namespace.
pub(super) fn all() -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| read(&text)).collect()
}

fn read(text: &str) -> Vec<Socket> {
    text.lines().skip(1).filter_map(socket).collect()
}

/// `0: 0100007F:1F90 00000000:0000 0A … inode …`.
fn socket(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    Some(Socket {
        local: address(fields.get(1)?)?,
        remote: address(fields.get(2)?)?,
        state: match *fields.get(3)? {
            "01" => State::Established,
            "0A" => State::Listening,
            _ => State::Other,
        },
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// Words of 32 bits in the order of this machine, in hexadecimal, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.is_ascii() || !matches!(address.len(), 8 | 32) {
        return None;
    }
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address: IpAddr = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Ipv4Addr::from(bytes).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
    };
    Some(SocketAddr::new(address.to_canonical(), port))
}

/// Who has these sockets open. A process of another user is seen by root alone.
pub(super) fn owners(inodes: &HashSet<u64>) -> HashMap<u64, Vec<Owner>> {
    let mut found: HashMap<u64, Vec<Owner>> = HashMap::new();
    if inodes.is_empty() {
        return found;
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        let own: HashSet<u64> = links
            .filter_map(|link| inode(link.to_str()?))
            .filter(|it| inodes.contains(it))
            .collect();
        if own.is_empty() {
            continue;
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let owner = Owner { pid, name: name.trim().to_owned() };
        for inode in own {
            found.entry(inode).or_default().push(owner.clone());
        }
    }
    found
}

/// `socket:[4711]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_sockets_of_this_process_are_found_with_their_owner() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            // Not every host has IPv6.
            let Ok(listener) = TcpListener::bind(any) else { continue };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (ours, theirs) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            let all = all();
            let find = |local, remote| {
                all.iter().find(|one| one.local == local && one.remote == remote).copied().unwrap()
            };
            let connected = find(ours, theirs);
            assert_eq!(connected.state, State::Established);
            let listening = all
                .iter()
                .find(|one| one.local == theirs && one.state == State::Listening)
                .unwrap();
            let owners = owners(&HashSet::from([connected.inode, listening.inode]));
            for inode in [connected.inode, listening.inode] {
                let pids: Vec<u32> = owners[&inode].iter().map(|owner| owner.pid).collect();
                assert!(pids.contains(&std::process::id()), "{owners:?}");
            }
        }
    }

    #[test]
    fn an_address_of_ipv6_that_holds_one_of_ipv4_is_that() {
        let mapped =
            format!("{}{:08X}", "0000000000000000FFFF0000", u32::from_ne_bytes([127, 0, 0, 1]));
        if cfg!(target_endian = "little") {
            assert_eq!(address(&format!("{mapped}:0050")), Some("127.0.0.1:80".parse().unwrap()));
        }
        assert_eq!(inode("socket:[12]"), Some(12));
        assert_eq!(inode("pipe:[12]"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in "[0-9A-Fa-f: é\n]{0,200}") {
            let _ = read(&text);
        }
    }
}
