//! The threads of the process: those that answer exchanges, and one for the management API.
//!
//! An exchange is a few microseconds of work between long waits. With as many threads as CPUs, most of those pauses end with
//! one thread waking another to share what one of them would have done sooner, on a CPU that the kernel's part of the network
//! needs too. So there is one thread less than CPUs. What takes long in the management API, a list or a review of a large
//! policy, has a thread of its own and keeps no exchange waiting. `docs/performance.md` has the figures.

use std::{io, num::NonZero, thread::available_parallelism};

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime for exchanges and for everything in the background, with this many threads, or one less than CPUs.
///
/// # Errors
/// The system gives no more threads or files.
pub fn runtime(worker_threads: Option<NonZero<usize>>) -> io::Result<Runtime> {
    let spared = || available_parallelism().map_or(1, |cpus| cpus.get().saturating_sub(1).max(1));
    let threads = worker_threads.map_or_else(spared, NonZero::get);
    Builder::new_multi_thread().worker_threads(threads).thread_name("exchange").enable_all().build()
}

/// The thread of the management API. Dropping it ends what runs there.
#[derive(Debug)]
pub(crate) struct ManagementThread {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl ManagementThread {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("management").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where to run.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for ManagementThread {
    fn drop(&mut self) {
        // To wait for its end is not allowed in a task of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
