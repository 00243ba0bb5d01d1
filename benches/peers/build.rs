//! `cfg(pcp)` where the C library of PCP is installed (Debian: libpcp-mmv1-dev).

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if Path::new("/usr/include/pcp/mmv_stats.h").exists() {
        println!("cargo::rustc-cfg=pcp");
        println!("cargo::rustc-link-lib=pcp_mmv");
    }
}
