#![doc = include_str!("../README.md")]
#![allow(unsafe_code)] // The border to C: ARCHITECTURE.md. Each block has its proof.
#![allow(unreachable_pub)] // C reaches the functions by their names.

//! # The border
//!
//! `include/mmstats.h` says what a caller must do; the functions here trust it, as C does. What the types
//! of Rust guarantee elsewhere is then kept by rules:
//!
//! - A pointer that a caller passes is NULL, where the header allows it, or points to a value of its type
//!   that does not change during the call. Texts end with a zero byte.
//! - Handles point to fields that their lane owns, in boxes that are not moved before the lane is detached.
//! - A lane and its handles are used by the thread that attached it.

// Layers, from the lowest to the highest.
//   layout       structs and numbers of the header
//   error        the last error of a thread
//   input        texts, lists and structs of the caller
//   declare      a field of the header as one of the library
//   publisher    publishers
//   lane         lanes of threads, and handles
//   update       updates by call
mod declare;
mod error;
mod input;
mod lane;
pub mod layout;
mod publisher;
mod update;
