//! The bad days of both systems: those of `protocols` that can be had on the wire.

use std::time::Duration;

use jwtlet_testkit::{Fault, Faults, Vault};
use serde_json::Value;

use crate::random::Random;

/// What a system does to every request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bad {
    /// A status about the server, with its usual body; 429 comes with Retry-After.
    Status(u16),
    /// A status about jwtlet's own credentials, key or mount.
    Refusal(u16),
    /// Every answer comes late, but in time.
    Late,
    /// No answer, for longer than jwtlet waits.
    Hang,
    Garbage,
    Truncated,
    Close,
    Oversized,
    Redirect,
    /// Some requests fail, others do not.
    Flaky(u16),
    /// The port is closed, and opened again.
    Restart,
    /// Only Vault: 503 to everything.
    Seal,
    /// Only Vault: answers to batches with less, reordered or foreign signatures.
    Muddle(Muddle),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Muddle {
    Short,
    Reordered,
    ForeignVersion,
    Halved,
}

pub(crate) const KUBERNETES: &[Bad] = &[
    Bad::Status(429),
    Bad::Status(500),
    Bad::Status(502),
    Bad::Status(503),
    Bad::Status(504),
    Bad::Refusal(401),
    Bad::Refusal(403),
    Bad::Late,
    Bad::Hang,
    Bad::Garbage,
    Bad::Truncated,
    Bad::Close,
    Bad::Oversized,
    Bad::Redirect,
    Bad::Flaky(500),
    Bad::Flaky(503),
    Bad::Restart,
];

pub(crate) const VAULT: &[Bad] = &[
    Bad::Status(412),
    Bad::Status(413),
    Bad::Status(429),
    Bad::Status(500),
    Bad::Status(502),
    Bad::Status(503),
    Bad::Refusal(400),
    Bad::Refusal(403),
    Bad::Refusal(404),
    Bad::Late,
    Bad::Hang,
    Bad::Garbage,
    Bad::Truncated,
    Bad::Close,
    Bad::Oversized,
    Bad::Redirect,
    Bad::Flaky(500),
    Bad::Flaky(503),
    Bad::Restart,
    Bad::Seal,
    Bad::Muddle(Muddle::Short),
    Bad::Muddle(Muddle::Reordered),
    Bad::Muddle(Muddle::ForeignVersion),
    Bad::Muddle(Muddle::Halved),
];

impl Bad {
    /// Whether jwtlet may answer 500.
    pub(crate) fn refuses_jwtlet(self) -> bool {
        matches!(self, Self::Refusal(_))
    }

    /// What it does to the requests of either system; the rest is the driver's.
    pub(crate) fn apply(self, faults: &Faults, random: &mut Random, word: fn(u16) -> Fault) {
        let elsewhere = || Fault::Redirect("http://127.0.0.1:1/elsewhere".to_owned());
        match self {
            Self::Status(429) => faults.always(Fault::too_many_requests(Duration::from_secs(1))),
            Self::Status(code) | Self::Refusal(code) => faults.always(word(code)),
            Self::Late => faults.set_latency(random.millis(20, 400)),
            Self::Hang => faults.always(Fault::Hang),
            Self::Garbage => faults.always(Fault::Garbage),
            Self::Truncated => faults.always(Fault::Truncated),
            Self::Close => faults.always(Fault::Close),
            Self::Oversized => faults.always(Fault::Oversized(8 * 1024 * 1024)),
            Self::Redirect => faults.always(elsewhere()),
            Self::Flaky(code) => faults.next(u32::try_from(1 + random.below(40)).unwrap(), word(code)),
            Self::Restart | Self::Seal | Self::Muddle(_) => {}
        }
    }
}

/// A failure as the API server words it.
pub(crate) fn kubernetes_words(code: u16) -> Fault {
    Fault::kubernetes(code, "Soak", "the soak wants it so")
}

/// A failure as Vault words it.
pub(crate) fn vault_words(code: u16) -> Fault {
    let text = match code {
        400 => "signing key not found",
        403 => "permission denied",
        404 => "no handler for route",
        413 => "http: request body too large",
        503 => "Vault is sealed",
        _ => "the soak wants it so",
    };
    Fault::vault(code, text)
}

impl Muddle {
    /// Spoils every answer to a batch, and to a single signature where that makes sense.
    pub(crate) fn apply(self, vault: &Vault) {
        vault.on_answer(move |_, path, answer| {
            if path.starts_with("transit/sign/") {
                match answer["data"]["batch_results"].as_array_mut() {
                    Some(results) => self.spoil_batch(results),
                    None => self.spoil_signature(&mut answer["data"]),
                }
            }
        });
    }

    fn spoil_batch(self, results: &mut Vec<Value>) {
        match self {
            Self::Short => drop(results.pop()),
            Self::Reordered => results.reverse(),
            Self::ForeignVersion | Self::Halved => {
                for item in results {
                    self.spoil_signature(item);
                }
            }
        }
    }

    fn spoil_signature(self, item: &mut Value) {
        let Some(signature) = item["signature"].as_str() else { return };
        let payload = signature.rsplit(':').next().unwrap_or_default();
        let spoilt = match self {
            Self::ForeignVersion => format!("vault:v9999:{payload}"),
            Self::Halved => signature[..signature.len() - payload.len() / 2].to_owned(),
            Self::Short | Self::Reordered => return,
        };
        item["signature"] = spoilt.into();
    }
}
