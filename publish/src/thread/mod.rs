//! The lanes and handles of one thread.

pub(crate) mod family;
pub(crate) mod lane;
pub(crate) mod lanes;
pub(crate) mod local;
pub(crate) mod member;
