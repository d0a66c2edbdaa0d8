//! Lists: a page with a link to the next one, or everything as a stream that takes the memory of a page.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::channel::{Channel, Sender};
use jwtlet_core::{
    ClientIdentifier, ParticipantContext, Scope, UpstreamError, mapping::MappingKey, store::Page,
};
use jwtlet_store::Store;
use serde::Serialize;
use tracing::{Instrument, Span};

use super::{access::Call, path::Query};
use crate::http::{
    Service,
    error::{Problem, log_upstream},
};

/// How many items of a stream are read at a time.
const STREAM_PAGE: usize = 1_000;

/// How many pages of a stream wait for a slow reader.
const PAGES_AHEAD: usize = 1;

/// What the descriptions of lists of records say.
pub(super) const ABOUT: &str = "Filters add up. Without `limit` everything is answered, as a stream; with it a page, and `Link` \
                                has the next one.";

/// Something that can be listed page by page.
pub(super) trait Listing: Send + Sync + 'static {
    /// Where the list is.
    const PATH: &str;
    /// What the items are sorted by.
    type Key: CursorKey;
    /// What is listed.
    type Item: Serialize + Send + Sync;

    /// Reads a page. Rows of the database that cannot be read are missing in it, so only an empty page is the end.
    fn read(
        &self,
        store: &Store,
        page: &Page<Self::Key>,
    ) -> impl Future<Output = Result<Vec<Self::Item>, UpstreamError>> + Send;

    /// The key of an item.
    fn key(item: &Self::Item) -> Self::Key;
}

/// A key as a cursor carries it.
pub(super) trait CursorKey: Send + Sync + Sized {
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

impl CursorKey for MappingKey {
    fn to_text(&self) -> String {
        format!("{}\n{}", self.client_identifier, self.participant_context)
    }

    fn from_text(text: &str) -> Option<Self> {
        // No name has a line feed.
        let (client, context) = text.split_once('\n')?;
        Some(Self {
            client_identifier: ClientIdentifier::parse(client).ok()?,
            participant_context: ParticipantContext::parse(context).ok()?,
        })
    }
}

impl CursorKey for Scope {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl CursorKey for u64 {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Answers with a list: a page when the query has a limit or there is a default one, and everything otherwise.
pub(super) async fn answer<L: Listing>(
    call: &Call,
    query: &Query<'_>,
    listing: L,
    default_limit: Option<usize>,
) -> Result<Response, Problem> {
    let limit = query.limit()?.or(default_limit);
    let after = query.get("cursor", |text| {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        text.and_then(|text| L::Key::from_text(&text)).ok_or("must be the cursor of a Link header")
    })?;
    match limit {
        Some(limit) => page(call, query, &listing, after, limit).await,
        None => everything(call, listing, after).await,
    }
}

async fn page<L: Listing>(
    call: &Call,
    query: &Query<'_>,
    listing: &L,
    after: Option<L::Key>,
    limit: usize,
) -> Result<Response, Problem> {
    let mut items = Vec::new();
    let mut after = after;
    // One more tells whether there is a next page.
    while items.len() <= limit {
        let page = Page { after, limit: limit + 1 - items.len() };
        let mut more = listing.read(call.store(), &page).await?;
        after = more.last().map(L::key);
        if more.is_empty() {
            break;
        }
        items.append(&mut more);
    }
    if items.len() <= limit {
        return Ok(Json(items).into_response());
    }
    items.truncate(limit);
    let cursor = items.last().map(|item| URL_SAFE_NO_PAD.encode(L::key(item).to_text())).unwrap_or_default();
    let link = format!("<{}{}>; rel=\"next\"", L::PATH, query.with_cursor(&cursor));
    Ok(([(header::LINK, link)], Json(items)).into_response())
}

/// A failure before the first byte is an error like any other; one after it breaks the connection, so that nobody takes
/// a part for the whole.
async fn everything<L: Listing>(call: &Call, listing: L, after: Option<L::Key>) -> Result<Response, Problem> {
    let first = listing.read(call.store(), &Page { after, limit: STREAM_PAGE }).await?;
    if first.is_empty() {
        return Ok(Json(first).into_response());
    }
    let (sender, body) = Channel::<Bytes, UpstreamError>::new(PAGES_AHEAD);
    let stream = stream(Arc::clone(&call.service), listing, first, sender);
    tokio::spawn(stream.instrument(Span::current()));
    Ok(([(header::CONTENT_TYPE, "application/json")], Body::new(body)).into_response())
}

async fn stream<L: Listing>(
    service: Arc<Service>,
    listing: L,
    first: Vec<L::Item>,
    mut sender: Sender<Bytes, UpstreamError>,
) {
    let (mut items, mut separator) = (first, b'[');
    while let Some(last) = items.last().map(L::key) {
        // A caller who has gone away needs no more.
        if sender.send_data(json(separator, &items)).await.is_err() {
            return;
        }
        separator = b',';
        items = match listing
            .read(service.exchange.store(), &Page { after: Some(last), limit: STREAM_PAGE })
            .await
        {
            Ok(items) => items,
            Err(error) => {
                log_upstream(&error);
                return sender.abort(error);
            }
        };
    }
    // As above.
    let _ = sender.send_data(Bytes::from_static(b"]")).await;
}

/// The items with this before the first and commas between them.
fn json(first: u8, items: &[impl Serialize]) -> Bytes {
    let mut text = Vec::new();
    for (position, item) in items.iter().enumerate() {
        text.push(if position == 0 { first } else { b',' });
        // Records are JSON already, and a Vec takes everything.
        let _ = serde_json::to_writer(&mut text, item);
    }
    text.into()
}
