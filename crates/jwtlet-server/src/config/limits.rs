//! The table `[limits]`: how often somebody may ask.

use std::{net::IpAddr, num::NonZeroU32};

use ipnet::IpNet;

use super::reader::{Given, Reader, Rule};
use crate::limits::{ForwardedHeader, Proxies, Rate};

const MAX_PER_SECOND: i64 = 1_000_000;

const TRUSTED_PROXIES: &str = "limits.trusted_proxies";
const FORWARDED_HEADER: &str = "limits.forwarded_header";

/// The `[limits]` table.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// What each source address may do; `None` does not count.
    pub source: Option<Rate>,
    /// What each verified client may do; `None` does not count.
    pub client: Option<Rate>,
    /// Whose word about the source counts.
    pub proxies: Proxies,
}

pub(super) fn read(reader: &mut Reader) -> LimitsConfig {
    let source = rate(reader, "limits.source_requests_per_second", "limits.source_burst");
    let client = rate(reader, "limits.client_requests_per_second", "limits.client_burst");
    let trusted = reader.with_default(TRUSTED_PROXIES, Vec::new(), |given| networks(&given.texts()?));
    let header = reader.with_default(FORWARDED_HEADER, ForwardedHeader::XForwardedFor, |given| {
        given.parse(forwarded_header)
    });
    LimitsConfig { source, client, proxies: Proxies { trusted, header } }
}

fn rate(reader: &mut Reader, per_second: &str, burst: &str) -> Option<Rate> {
    let is_burst_alone = reader.is_set(burst) && !reader.is_set(per_second);
    let number = |given: &Given| given.integer::<u32>(1, MAX_PER_SECOND);
    let rate = reader.optional(per_second, number).and_then(NonZeroU32::new);
    let most = reader.optional(burst, number).and_then(NonZeroU32::new);
    if is_burst_alone {
        reader.problem(burst, format!("has a meaning only together with {per_second}"));
    }
    rate.map(|per_second| Rate { per_second, burst: most.unwrap_or(per_second) })
}

fn networks(texts: &[String]) -> Result<Vec<IpNet>, Rule> {
    let network = |text: &String| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().ok().or(address.ok())
    };
    let networks: Option<Vec<_>> = texts.iter().map(network).collect();
    networks.ok_or_else(|| "must be a list of networks, such as \"10.0.0.0/8\" or \"fd00::/8\"".into())
}

fn forwarded_header(text: &str) -> Result<ForwardedHeader, Rule> {
    if text.eq_ignore_ascii_case("X-Forwarded-For") {
        Ok(ForwardedHeader::XForwardedFor)
    } else if text.eq_ignore_ascii_case("Forwarded") {
        Ok(ForwardedHeader::Forwarded)
    } else {
        Err("must be X-Forwarded-For or Forwarded".into())
    }
}
