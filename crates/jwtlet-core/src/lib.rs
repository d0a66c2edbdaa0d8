//! The rules of jwtlet, without I/O.
//!
//! A token exchange is a decision about who may act for which participant context. This crate holds that decision and
//! everything it rests on: checked names, policy, claims, the shape of the issued JWT, and the order in which things
//! happen. Whatever needs a network or a disk is behind one of three ports ([`SubjectVerifier`], [`PolicyStore`],
//! [`Signer`]) that other crates implement; the clock is an argument. So the rules can be read, tested and trusted on
//! their own.
//!
//! The way to read it: [`exchange`] is the flow, [`policy`] the decision, [`claims`] the token that results.

pub mod apply;
pub mod audit;
pub mod change;
pub mod claims;
pub mod evaluation;
pub mod exchange;
pub mod explain;
pub mod health;
pub mod jwk;
pub mod jws;
pub mod lint;
pub mod mapping;
pub mod merge;
pub mod metadata;
pub mod name;
pub mod policy;
pub mod role;
mod schema;
pub mod scope_claims;
pub mod service_account;
pub mod signer;
pub mod store;
pub mod strict_json;
pub mod subject;
pub mod subject_token;
pub mod upstream;

pub use exchange::{Exchange, ExchangeError, ExchangeRequest};
pub use name::{Audience, ClientIdentifier, ParticipantContext, Scope};
pub use signer::Signer;
pub use store::PolicyStore;
pub use subject::{Subject, SubjectVerifier};
pub use subject_token::SubjectToken;
pub use upstream::UpstreamError;
