//! `relay._native`: what Python sees of the native relay. Nothing but PyO3 lives in this crate.
//!
//! Every call lets other Python threads run while it waits for the plane's, and a defect comes to Python as a
//! RuntimeError, never as a panic.
#![forbid(unsafe_code)]

mod values;

use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

/// Run it without the interpreter's lock.
fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|_| PyRuntimeError::new_err("a defect in the native plane"))
}

#[pymodule]
mod _native {
    use super::*;
    use crate::values::{
        address_text, drops_of, five_tuple_of, CountersValue, EgressBoundsValue, FiveTupleValue,
        LegCounters, LegValue, LimiterValue, PuntBoundsValue, RouteValue,
    };
    use pyo3::types::PyBytes;
    use turngate_plane::Plane as NativePlane;

    /// The version of the extension; it equals the version of the Python distribution it was built with.
    #[pyfunction]
    fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// A bound and running plane.
    #[pyclass(frozen)]
    struct Plane(NativePlane);

    #[pymethods]
    impl Plane {
        /// Raises OSError when a listener cannot be bound; then none stays bound.
        #[new]
        fn start(
            py: Python<'_>,
            listeners: Vec<(String, u16)>,
            workers: usize,
            buffer_bytes: usize,
            punt_bounds: PuntBoundsValue,
            egress_bounds: EgressBoundsValue,
        ) -> PyResult<Self> {
            let addresses = listeners
                .iter()
                .map(values::parse)
                .collect::<PyResult<Vec<_>>>()?;
            let (punts, egress) = (punt_bounds.into(), egress_bounds.into());
            let started = detached(py, || {
                NativePlane::start(&addresses, workers, buffer_bytes, punts, egress)
            })?;
            started.map(Self).map_err(|(error, address)| {
                let place = address
                    .map(|address| format!(": udp://{address}"))
                    .unwrap_or_default();
                // As the interpreter itself words it: number and text apart.
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                PyOSError::new_err((error.raw_os_error(), format!("{text}{place}")))
            })
        }

        fn listeners(&self) -> Vec<(String, u16)> {
            self.0
                .listeners()
                .iter()
                .copied()
                .map(address_text)
                .collect()
        }

        fn stop(&self, py: Python<'_>) -> PyResult<()> {
            detached(py, || self.0.stop())
        }

        fn own(&self, py: Python<'_>, five_tuple: FiveTupleValue) -> PyResult<()> {
            let five_tuple = five_tuple.value()?;
            detached(py, || self.0.own(five_tuple))
        }

        fn disown(&self, py: Python<'_>, five_tuple: FiveTupleValue) -> PyResult<()> {
            let five_tuple = five_tuple.value()?;
            detached(py, || self.0.disown(&five_tuple))
        }

        /// `transaction_id` is that of the row's Data indications, if its target has no channel.
        fn install(
            &self,
            py: Python<'_>,
            route: RouteValue,
            transaction_id: [u8; 12],
        ) -> PyResult<()> {
            let route = route.value()?;
            if detached(py, || self.0.install(route, transaction_id))? {
                return Ok(());
            }
            Err(pyo3::exceptions::PyKeyError::new_err("no such listener"))
        }

        fn remove(&self, py: Python<'_>, source: LegValue) -> PyResult<Option<CountersValue>> {
            let source = source.value()?;
            Ok(detached(py, || self.0.remove(&source))?.map(drops_of))
        }

        fn remove_sessions(
            &self,
            py: Python<'_>,
            session_ids: Vec<String>,
        ) -> PyResult<Vec<LegCounters>> {
            let removed = detached(py, || self.0.remove_sessions(&session_ids))?;
            Ok(removed.into_iter().map(values::leg_counters).collect())
        }

        fn remove_all(&self, py: Python<'_>) -> PyResult<Vec<LegCounters>> {
            let removed = detached(py, || self.0.remove_all())?;
            Ok(removed.into_iter().map(values::leg_counters).collect())
        }

        fn set_limit(
            &self,
            py: Python<'_>,
            limiter_id: String,
            limiter: Option<LimiterValue>,
        ) -> PyResult<()> {
            detached(py, || self.0.set_limit(limiter_id, limiter.map(Into::into)))
        }

        fn counters(&self, py: Python<'_>, session_id: String) -> PyResult<Vec<LegCounters>> {
            let counters = detached(py, || self.0.counters(&session_id))?;
            Ok(counters.into_iter().map(values::leg_counters).collect())
        }

        fn totals(&self, py: Python<'_>) -> PyResult<CountersValue> {
            Ok(drops_of(detached(py, || self.0.totals())?))
        }

        /// Punted, refused of owners, refused of strangers, refused for streams, unsent replies, faults.
        fn plane_counters(&self) -> (u64, u64, u64, u64, u64, u64) {
            let counters = self.0.plane_counters();
            let punts = counters.punts;
            (
                punts.punted,
                punts.refused_owned,
                punts.refused_stranger,
                counters.egress_refused,
                counters.send_failed,
                counters.faults,
            )
        }

        fn send(
            &self,
            py: Python<'_>,
            five_tuple: FiveTupleValue,
            datagram: &[u8],
        ) -> PyResult<()> {
            let five_tuple = five_tuple.value()?;
            detached(py, || self.0.send(&five_tuple, datagram))
        }

        fn forward(&self, py: Python<'_>, source: LegValue, payload: &[u8]) -> PyResult<()> {
            let source = source.value()?;
            detached(py, || self.0.forward(&source, payload))
        }

        fn inject(
            &self,
            py: Python<'_>,
            five_tuple: FiveTupleValue,
            message: &[u8],
        ) -> PyResult<()> {
            let five_tuple = five_tuple.value()?;
            detached(py, || self.0.inject(five_tuple, message))
        }

        fn punts_descriptor(&self) -> i32 {
            self.0.punts_descriptor()
        }

        /// At most so many; until `settle_punts`, later datagrams of theirs wait.
        fn take_punts<'py>(
            &self,
            py: Python<'py>,
            most: usize,
        ) -> PyResult<Vec<(FiveTupleTuple, Bound<'py, PyBytes>)>> {
            let punts = detached(py, || self.0.take_punts(most))?;
            let values = punts.into_iter();
            Ok(values
                .map(|punt| {
                    (
                        five_tuple_of(punt.five_tuple),
                        PyBytes::new(py, &punt.datagram),
                    )
                })
                .collect())
        }

        fn settle_punts(&self, py: Python<'_>) -> PyResult<()> {
            detached(py, || self.0.settle_punts())
        }

        fn egress_descriptor(&self) -> i32 {
            self.0.egress_descriptor()
        }

        fn take_egress<'py>(
            &self,
            py: Python<'py>,
            most: usize,
        ) -> PyResult<Vec<(FiveTupleTuple, Bound<'py, PyBytes>)>> {
            let egress = detached(py, || self.0.take_egress(most))?;
            let values = egress.into_iter();
            Ok(values
                .map(|one| {
                    (
                        five_tuple_of(one.five_tuple),
                        PyBytes::new(py, &one.message),
                    )
                })
                .collect())
        }

        fn pause(&self, py: Python<'_>, five_tuple: FiveTupleValue) -> PyResult<()> {
            let five_tuple = five_tuple.value()?;
            detached(py, || self.0.pause(five_tuple))
        }

        fn resume(&self, py: Python<'_>, five_tuple: FiveTupleValue) -> PyResult<()> {
            let five_tuple = five_tuple.value()?;
            detached(py, || self.0.resume(&five_tuple))
        }
    }

    type FiveTupleTuple = values::FiveTupleTuple;
}
