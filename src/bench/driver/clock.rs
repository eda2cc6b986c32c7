//! Time as the device sees it: events, and graphs of launches between them.

#![expect(unsafe_code, reason = "libcuda is a C library")]

use std::ptr;

use super::api::{Handle, call};
use super::{Error, Gpu};

/// `CU_STREAM_CAPTURE_MODE_THREAD_LOCAL`.
const CAPTURE_OF_THREAD: i32 = 1;

/// Launches that are started together, so that the host's own time is not measured.
#[derive(Debug)]
pub(in crate::bench) struct Graph<'a> {
    gpu: &'a Gpu,
    executable: Handle,
}

impl Gpu {
    /// Records what `work` puts into the stream instead of doing it.
    pub(in crate::bench) fn record(&self, work: impl FnOnce() -> Result<(), Error>) -> Result<Graph<'_>, Error> {
        call!(self.api, cuStreamBeginCapture_v2(self.stream, CAPTURE_OF_THREAD))?;
        let done = work();
        let (mut graph, mut executable) = (ptr::null_mut(), ptr::null_mut());
        let ended = call!(self.api, cuStreamEndCapture(self.stream, &raw mut graph));
        done?;
        ended?;
        let made = call!(self.api, cuGraphInstantiateWithFlags(&raw mut executable, graph, 0));
        let _ = call!(self.api, cuGraphDestroy(graph));
        made?;
        Ok(Graph { gpu: self, executable })
    }

    /// Seconds on the device from the start to the end of what `work` puts into the stream. `meanwhile` runs on the host
    /// while the device works.
    pub(in crate::bench) fn seconds(&self, work: impl FnOnce() -> Result<(), Error>, meanwhile: impl FnOnce()) -> Result<f64, Error> {
        let (from, to) = (Event::new(self)?, Event::new(self)?);
        from.record()?;
        work()?;
        to.record()?;
        meanwhile();
        call!(self.api, cuEventSynchronize(to.event))?;
        let mut milliseconds = 0.0_f32;
        call!(self.api, cuEventElapsedTime(&raw mut milliseconds, from.event, to.event))?;
        let seconds = f64::from(milliseconds) / 1e3;
        self.timed.set(self.timed.get() + seconds);
        Ok(seconds)
    }

    /// Waits until everything in both streams is done.
    pub(in crate::bench) fn wait(&self) -> Result<(), Error> {
        call!(self.api, cuStreamSynchronize(self.stream))?;
        call!(self.api, cuStreamSynchronize(self.second_stream))
    }
}

impl Graph<'_> {
    /// Starts all of it.
    pub(in crate::bench) fn launch(&self) -> Result<(), Error> {
        call!(self.gpu.api, cuGraphLaunch(self.executable, self.gpu.stream))
    }
}

impl Drop for Graph<'_> {
    fn drop(&mut self) {
        let _ = call!(self.gpu.api, cuGraphExecDestroy(self.executable));
    }
}

struct Event<'a> {
    gpu: &'a Gpu,
    event: Handle,
}

impl<'a> Event<'a> {
    fn new(gpu: &'a Gpu) -> Result<Self, Error> {
        let mut event = ptr::null_mut();
        call!(gpu.api, cuEventCreate(&raw mut event, 0))?;
        Ok(Self { gpu, event })
    }

    fn record(&self) -> Result<(), Error> {
        call!(self.gpu.api, cuEventRecord(self.event, self.gpu.stream))
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        let _ = call!(self.gpu.api, cuEventDestroy_v2(self.event));
    }
}
