//! Fragmented datagrams.

use super::*;

/// `whole`, an IPv4 packet without options, in fragments of at most `size` bytes (in eights).
pub(super) fn fragments(whole: &[u8], size: usize, id: u16) -> Vec<Packet> {
    let payload = &whole[20..];
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(n, part)| {
            let mut header = Ipv4Header::from_slice(whole).unwrap().0;
            header.identification = id;
            header.dont_fragment = false;
            header.more_fragments = n + 1 < count;
            header.fragment_offset = IpFragOffset::try_new((n * size / 8) as u16).unwrap();
            header.set_payload_len(part.len()).unwrap();
            packet(LinkType::RawIp, [&header.to_bytes()[..], part].concat())
        })
        .collect()
}

/// The same for IPv6.
pub(super) fn fragments6(whole: &[u8], size: usize, id: u32) -> Vec<Packet> {
    let payload = &whole[40..];
    let count = payload.len().div_ceil(size);
    payload
        .chunks(size)
        .enumerate()
        .map(|(n, part)| {
            let more = u16::from(n + 1 < count);
            let field = (n * size) as u16 | more;
            let extension = [&[6, 0][..], &field.to_be_bytes(), &id.to_be_bytes()].concat();
            let mut bytes = [&whole[..40], &extension, part].concat();
            bytes[6] = 44;
            bytes[4..6].copy_from_slice(&((part.len() + 8) as u16).to_be_bytes());
            packet(LinkType::RawIp, bytes)
        })
        .collect()
}

#[test]
fn fragments_are_reassembled_and_counted() {
    let body = vec![b'x'; 3000];
    for parts in [fragments(&ipv4(&body), 1480, 5), fragments6(&ipv6(&body), 1448, 5)] {
        let mut decoder = Decoder::new(Limits::default());
        let outcomes: Vec<_> = parts.iter().map(|part| decoder.push(part)).collect();
        let (last, first) = outcomes.split_last().unwrap();
        assert!(first.iter().all(|outcome| matches!(outcome, Err(Skip::Fragment))));
        assert_eq!(last.as_ref().unwrap().payload, body);
        assert_eq!(decoder.datagrams().get(DatagramEnd::Whole), 1);
        assert!(decoder.account().is_settled());
    }
}

#[test]
fn fragments_of_a_tunnel_are_reassembled() {
    let inner = ethernet(0x0800, &ipv4(&[b'x'; 1400]));
    let outer = over_udp(4789, &[8, 0, 0, 0, 0, 0, 5, 0], &inner);
    let mut decoder = Decoder::new(Limits::default());
    let last = fragments(&outer, 1400, 9).iter().map(|part| decoder.push(part)).last().unwrap();
    assert_eq!(last.unwrap().payload, vec![b'x'; 1400]);
}

#[test]
fn a_repeated_fragment_is_ignored_and_an_overlapping_one_ends_the_datagram() {
    let parts = fragments(&ipv4(&[b'x'; 3000]), 1480, 5);
    let mut decoder = Decoder::new(Limits::default());
    let again = [&parts[0], &parts[0], &parts[1], &parts[1], &parts[2]];
    let last = again.map(|part| decoder.push(part)).into_iter().next_back().unwrap();
    assert_eq!(last.unwrap().payload.len(), 3000);

    let other = fragments(&ipv4(&[b'y'; 3000]), 1600, 5);
    let mut decoder = Decoder::new(Limits::default());
    for part in [&parts[0], &other[1], &parts[1], &parts[2]] {
        assert_eq!(decoder.push(part).unwrap_err(), Skip::Fragment);
    }
    assert_eq!(decoder.datagrams().get(DatagramEnd::Overlapping), 1);
}

#[test]
fn unfinished_datagrams_expire_and_are_evicted() {
    let mut decoder = Decoder::new(Limits { fragment_bytes: 64 * 1024, ..Limits::default() });
    let first = |id| fragments(&ipv4(&[b'x'; 8000]), 4000, id).swap_remove(0);
    for id in 0..100 {
        assert_eq!(decoder.push(&first(id)).unwrap_err(), Skip::Fragment);
    }
    let evicted = decoder.datagrams().get(DatagramEnd::Evicted);
    assert_eq!(evicted, 84);
    let late = Packet { at: Timestamp::from_nanos(40_000_000_000), ..first(200) };
    assert_eq!(decoder.push(&late).unwrap_err(), Skip::Fragment);
    assert_eq!(decoder.datagrams().get(DatagramEnd::Expired), 16);
}

proptest! {
    #[test]
    fn fragments_in_any_order_give_the_same_datagram(
        len in 1usize..4000,
        size in 8usize..1500,
        order in any::<u64>(),
    ) {
        let body: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
        let size = size / 8 * 8;
        for mut parts in [fragments(&ipv4(&body), size.max(32), 1), fragments6(&ipv6(&body), size.max(32), 1)] {
            // Any permutation, by the order of hashes; each part twice.
            parts.extend(parts.clone());
            let key = |n: usize| (n as u64 + 1).wrapping_mul(order | 1).rotate_left(29);
            let mut shuffled: Vec<_> = parts.into_iter().enumerate().collect();
            shuffled.sort_by_key(|(n, _)| key(*n));
            let mut decoder = Decoder::new(Limits { duplicate_slots: 0, ..Limits::default() });
            let given: Vec<_> =
                shuffled.iter().filter_map(|(_, part)| decoder.push(part).ok()).collect();
            prop_assert!(!given.is_empty());
            for segment in given {
                prop_assert_eq!(&segment.payload, &body);
            }
        }
    }
}
