//! Misuse of the derive macros that must not compile, each beside the use that it is close to.
//!
//! Options of a kind on a field of this kind compile:
//!
//! ```
//! use mmstats::{Counter, Events, Family, Info, Latency, Rate, Stats};
//!
//! #[derive(Stats)]
//! struct Web {
//!     #[stats(error = 0.02, range(1000, 60_000_000_000))]
//!     latency: Latency,
//!     #[stats(entries = 7)]
//!     log: Events,
//!     #[stats(windows(60))]
//!     rate: Rate,
//!     #[stats(value = "1.2")]
//!     version: Info,
//!     #[stats(labels("method"), cap = 10)]
//!     requests: Family<Counter, 1>,
//!     #[stats(labels("method"), error = 0.02)]
//!     latencies: Family<Latency, 1>,
//! }
//! ```
//!
//! The same options on a counter do not.
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(error = 0.02)]
//!     latency: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(range(1000, 60_000_000_000))]
//!     latency: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(entries = 7)]
//!     log: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(windows(60))]
//!     rate: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(value = "1.2")]
//!     version: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(cap = 10)]
//!     requests: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(labels("method"), error = 0.02)]
//!     latencies: mmstats::Family<mmstats::Counter, 1>,
//! }
//! ```
//!
//! `labels` belongs to a family, and a family needs as many as it has attributes.
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(labels("method"))]
//!     requests: mmstats::Counter,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     requests: mmstats::Family<mmstats::Counter, 1>,
//! }
//! ```
//!
//! ```compile_fail,E0308
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     #[stats(labels("method", "code"))]
//!     requests: mmstats::Family<mmstats::Counter, 1>,
//! }
//! ```
//!
//! Labels by name are a struct of values that are texts, numbers, `bool` or states.
//!
//! ```compile_fail,E0277
//! use mmstats::{Counter, FamilyBy};
//!
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     requests: FamilyBy<Counter, u64>,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Labels)]
//! struct Request {
//!     time: std::time::Duration,
//! }
//! ```
//!
//! A set of handles is marked `nested`.
//!
//! ```compile_fail,E0277
//! #[derive(mmstats::Stats)]
//! struct Pool {
//!     busy: mmstats::Flag,
//! }
//!
//! #[derive(mmstats::Stats)]
//! struct Web {
//!     pool: Pool,
//! }
//! ```
