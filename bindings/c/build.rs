//! The shared library stays loaded after `dlclose`: its threads and its handler of SIGBUS have no end that a
//! program could wait for. Of macOS this is true of all libraries with thread-local variables.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if ["linux", "android", "freebsd", "netbsd", "openbsd", "dragonfly"].contains(&&*system) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
