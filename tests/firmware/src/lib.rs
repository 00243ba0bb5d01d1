//! Shared by the firmware for the tests: a board, memory that survives a reset, and ten fields.
#![no_std]

pub mod board;
pub mod fields;
pub mod retained;
