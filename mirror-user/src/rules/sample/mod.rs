//! Samples of the matching requests: each request has one draw, out of 2³², and is in a sample if the
//! draw is below the sample's threshold. A smaller sample is therefore a subset of a larger one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use mirror_common::flow::{Address, End, Ends};

use super::select::RequestFacts;
use crate::http::message::ExchangeId;

/// Exclusive upper bound of draws, as in the kernel program.
const ALL: u64 = 1 << 32;

/// Steps per percent: the resolution is 0.0001 %, as in Envoy.
const PER_PERCENT: u64 = 10_000;

/// A portion of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    numerator: u64,
    denominator: u64,
}

impl Default for Portion {
    fn default() -> Self {
        Self::ALL
    }
}

impl Portion {
    /// Every request.
    pub const ALL: Self = Self { numerator: 1, denominator: 1 };
    /// No request.
    pub const NONE: Self = Self { numerator: 0, denominator: 1 };

    /// The larger of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let smaller =
            wide(self.numerator, other.denominator) < wide(other.numerator, self.denominator);
        if smaller { other } else { self }
    }

    /// In lowest terms, so that equal portions compare equal however they were written.
    fn reduced(numerator: u64, denominator: u64) -> Self {
        let (mut divisor, mut rest) = (denominator, numerator);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        let divisor = divisor.max(1);
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// Parses a percentage, such as `12.5` or `0.0001%`, in decimal: as a binary fraction, 0.57 would
    /// become 0.5699.
    ///
    /// # Errors
    /// If it is not a percentage, or above 100, or finer than 0.0001.
    pub fn percent(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a percentage; write 0 to 100, in steps of 0.0001");
        let digits = text.trim().trim_end_matches('%').trim_end();
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let part = if part.len() > 4 { part.trim_end_matches('0') } else { part };
        if (whole.is_empty() && part.is_empty()) || !plain(whole) || !plain(part) || part.len() > 4
        {
            return Err(wrong());
        }
        let whole: u64 = format!("0{whole}").parse().map_err(|_| wrong())?;
        let part: u64 = format!("{part:0<4}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(PER_PERCENT)
            .and_then(|whole| whole.checked_add(part))
            .filter(|parts| *parts <= 100 * PER_PERCENT)
            .map(|numerator| Self::reduced(numerator, 100 * PER_PERCENT))
            .ok_or_else(wrong)
    }

    /// Parses a fraction, such as `1/1000`.
    ///
    /// # Errors
    /// If it is not a fraction, or above 1.
    pub fn fraction(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(numerator, denominator)| {
            let numerator: u32 = numerator.trim().parse().ok()?;
            let denominator: u32 = denominator.trim().parse().ok()?;
            (denominator > 0 && numerator <= denominator).then_some((numerator, denominator))
        });
        parts
            .map(|(numerator, denominator)| Self::reduced(numerator.into(), denominator.into()))
            .ok_or_else(|| format!("{text:?} is not a fraction; write 1/1000"))
    }

    /// True if this exchange is among those of a portion that is drawn for each alone; `seed` is that of the run.
    #[must_use]
    pub fn takes(self, id: ExchangeId, seed: u64) -> bool {
        random(id, seed) < self.threshold()
    }

    /// The threshold for draws out of 2³²; at least 1 unless the portion is zero.
    #[must_use]
    pub fn threshold(self) -> u64 {
        let scaled = u128::from(self.numerator) * u128::from(ALL);
        let draws = scaled.div_ceil(u128::from(self.denominator.max(1)));
        u64::try_from(draws).unwrap_or(ALL).min(ALL)
    }
}

/// `12.5` or `1/3`, which can be parsed again.
impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.numerator.saturating_mul(100 * PER_PERCENT);
        match (parts.checked_rem(self.denominator), parts.checked_div(self.denominator)) {
            (Some(0), Some(parts)) => {
                let (whole, part) = (parts / PER_PERCENT, parts % PER_PERCENT);
                let text = format!("{whole}.{part:04}");
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
            _ => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

/// Which requests share a draw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stickiness {
    /// None: each request has its own draw.
    #[default]
    Random,
    /// Those with the same value of this header field. Requests without it have their own draw.
    Header(String),
    /// Those with the same value of this cookie. Requests without it have their own draw.
    Cookie(String),
    /// Those with the same client address.
    Source,
    /// Those of the same connection, with the draw of the kernel program.
    Connection,
}

/// A sample of the matching requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Its size.
    pub portion: Portion,
    /// Which requests share a draw.
    pub by: Stickiness,
}

impl Stickiness {
    /// The draw of a request: below 2³², and the same for every event of its exchange. Sticky draws are
    /// also the same in every run and on every host; random ones depend on the run's `seed`.
    #[must_use]
    pub fn draw(&self, facts: &RequestFacts<'_>, id: ExchangeId, seed: u64) -> u64 {
        let of_value = |value: Option<&[u8]>| {
            value.map_or_else(|| random(id, seed), |value| upper(mix(digest(value))))
        };
        match self {
            Self::Random => random(id, seed),
            Self::Header(name) => of_value(facts.header(name).as_deref()),
            Self::Cookie(name) => of_value(facts.cookie(name)),
            Self::Source => match facts.client().ip().to_canonical() {
                IpAddr::V4(ip) => of_value(Some(&ip.octets())),
                IpAddr::V6(ip) => of_value(Some(&ip.octets())),
            },
            Self::Connection => {
                let ends = Ends { source: end(facts.client()), destination: end(facts.server()) };
                u64::from(ends.hash())
            }
        }
    }
}

fn random(id: ExchangeId, seed: u64) -> u64 {
    upper(mix(mix(seed ^ id.connection.number()).wrapping_add(u64::from(id.index))))
}

fn end(address: SocketAddr) -> End {
    let ip = match address.ip() {
        IpAddr::V4(ip) => Address::v4(ip.to_bits()),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            Address::v6((bits >> 64) as u64, bits as u64)
        }
    };
    End { address: ip, port: address.port() }
}

/// FNV-1a: samples on several hosts must agree across versions, which the standard library's hasher does
/// not guarantee.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The output function of SplitMix64: spreads small differences over all bits.
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn upper(bits: u64) -> u64 {
    bits >> 32
}

#[cfg(test)]
mod tests;
