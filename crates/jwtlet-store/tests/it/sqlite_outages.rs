//! SQLite outages.
