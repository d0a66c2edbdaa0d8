//! The token exchange service: configuration, the two HTTP APIs, and the process around them.
//!
//! [`config`] turns text into checked values, [`app`] joins the three ports with the two servers, `http` translates
//! between the protocol and the rules of `jwtlet-core`. The rest is small: logging, the clock, and (with the feature
//! `dev`) a development mode that brings its own Kubernetes and Vault.

pub mod app;
mod clock;
pub mod config;
pub mod descriptors;
#[cfg(feature = "dev")]
pub mod dev;
mod http;
pub mod logging;
pub mod metrics;
pub mod output;
pub mod probe;
mod serve;
pub mod threads;

pub use app::App;
pub use config::Config;
