//! The feed of changes: what other replicas and people change is forgotten here.
//!
//! Triggers notify of every change on one channel, and PostgreSQL delivers notifications in the order of commits. The
//! feed also notifies itself, at short intervals on a channel of its own. When such a beat comes back, every change that
//! was committed before it was sent has come, so what is remembered is trusted for a while from that moment. Whatever is
//! wrong with the feed, beats stop coming back, and the trust ends by itself.

use std::{convert::Infallible, time::Duration};

use jwtlet_core::{ClientIdentifier, ParticipantContext, mapping::MappingKey, upstream::chain};
use jwtlet_upstream::Backoff;
use serde::Deserialize;
use sqlx::{
    error::BoxDynError,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use super::lease::{limited, no_answer};
use crate::cache::PolicyCache;

const CHANGES: &str = "jwtlet_policy";
/// Between two beats.
const PERIOD: Duration = Duration::from_millis(200);
/// How long what is remembered is trusted after the sending of a beat that came back. Below the second after which a
/// deletion counts on every replica.
const TRUST: Duration = Duration::from_millis(800);
/// A feed whose beat did not come back for so long is made anew.
const BEAT_LIMIT: Duration = Duration::from_secs(3);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a trigger tells.
#[derive(Debug, Deserialize)]
struct Change {
    client: String,
    context: String,
}

/// Follows the changes, for ever. A failure is logged when it begins and when it ends.
pub(super) async fn follow(options: &PgConnectOptions, cache: &PolicyCache) {
    let mut feed = Feed { cache, is_failing: false, backoff: backoff() };
    loop {
        let Err(error) = feed.listen(options).await;
        cache.distrust();
        if !feed.is_failing {
            warn!(
                error = chain(&error),
                "changes of others are not followed; meanwhile every look-up asks the database"
            );
        }
        feed.is_failing = true;
        sleep(feed.backoff.pause()).await;
    }
}

fn backoff() -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE)
}

struct Feed<'a> {
    cache: &'a PolicyCache,
    is_failing: bool,
    backoff: Backoff,
}

impl Feed<'_> {
    /// Follows the changes on one connection, until it fails.
    async fn listen(&mut self, options: &PgConnectOptions) -> Result<Infallible, sqlx::Error> {
        // The listener takes its connection from a pool. This one is given up with it.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_LIMIT)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options.clone());
        let mut listener = limited(PgListener::connect_with(&pool)).await?;
        // What passes between a loss and a new connection is lost, so a loss is an error here.
        listener.eager_reconnect(false);
        let beats: String = limited(
            sqlx::query_scalar("SELECT 'jwtlet_beat_' || gen_random_uuid()").fetch_one(&mut listener),
        )
        .await?;
        limited(listener.listen_all([CHANGES, &beats])).await?;
        self.cache.clear();
        let mut number: u64 = 0;
        loop {
            number += 1;
            self.beat(&mut listener, &beats, &number.to_string()).await?;
        }
    }

    /// One period: sends a beat, and takes what comes until it is time for the next one and this one is back.
    async fn beat(
        &mut self,
        listener: &mut PgListener,
        beats: &str,
        number: &str,
    ) -> Result<(), sqlx::Error> {
        let sent_at = Instant::now();
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(beats).bind(number);
        limited(notify.execute(&mut *listener)).await?;
        let mut is_back = false;
        loop {
            let until = sent_at + if is_back { PERIOD } else { BEAT_LIMIT };
            let notification = match timeout_at(until, listener.try_recv()).await {
                Ok(received) => received?.ok_or_else(lost)?,
                Err(_) if is_back => return Ok(()),
                Err(_) => return Err(no_answer()),
            };
            if notification.channel() != beats {
                self.forget(notification.payload());
            } else if notification.payload() == number {
                self.cache.trust_until((sent_at + TRUST).into_std());
                is_back = true;
                self.recovered();
            }
        }
    }

    fn forget(&self, payload: &str) {
        match serde_json::from_str::<Change>(payload)
            .map_err(BoxDynError::from)
            .and_then(|change| key(&change))
        {
            Ok(key) => self.cache.forget([&key]),
            // Too many at once to be named, or something that only a newer program understands.
            Err(_) => self.cache.clear(),
        }
    }

    fn recovered(&mut self) {
        self.backoff = backoff();
        if std::mem::take(&mut self.is_failing) {
            info!("changes of others are followed again");
        }
    }
}

fn key(change: &Change) -> Result<MappingKey, BoxDynError> {
    Ok(MappingKey {
        client_identifier: ClientIdentifier::parse(&change.client)?,
        participant_context: ParticipantContext::parse(&change.context)?,
    })
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the connection was lost"))
}
