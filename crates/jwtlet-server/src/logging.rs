//! Log lines on standard error.
//!
//! `RUST_LOG` sets the level (`info` without it, `error` in the development mode). No line holds a token or a claim beyond identity and context: the
//! types that carry them do not show them.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, Layer, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::LogFormat;

/// Starts logging for the whole process, at this level unless `RUST_LOG` says otherwise. A second call changes nothing.
pub fn init(format: LogFormat, level: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    // The development mode and tests may have started it already.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}
