//! How rows are read and written, the same for both databases.
