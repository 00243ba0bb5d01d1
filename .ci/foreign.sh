# Sourced: how to install, and how to build for a target that this machine is not.

# Waits while another installation runs.
apt() {
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends -qq "$@" >/dev/null
}

# install COMMAND PACKAGE...: the packages, if there is no such command yet.
install() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    apt-get -o DPkg::Lock::Timeout=300 update -qq && apt "$@"
}

# foreign TARGET STD CARGO-ARGUMENT...: cargo for a target. A toolchain that can build the
# standard library for any target: rustup's targets where they can be had, else Debian's
# packages (rustc with the library's sources), which build the crates STD first.
foreign() {
    local target=$1 std=$2 command
    # Of one word or two, as `nextest run`.
    read -ra command <<<"$3"
    shift 3
    if rustup target list --installed 2>/dev/null | grep -qx "$target" \
        || rustup target add "$target" >/dev/null 2>&1; then
        [ "${command[0]}" != clippy ] || cargo clippy --version >/dev/null 2>&1 \
            || rustup component add clippy || return 1
        cargo "${command[@]}" --target "$target" "$@"
        return
    fi
    if [ ! -e /usr/lib/rustlib/src/rust/library/Cargo.lock ]; then
        apt-get -o DPkg::Lock::Timeout=300 update -qq \
            && apt rustc-web cargo-web rust-web-src || return 1
    fi
    if [ "${command[0]}" = clippy ] && [ ! -e /usr/bin/cargo-clippy ]; then
        apt rust-web-clippy || return 1
    fi
    rustup toolchain link deb /usr 2>/dev/null
    RUSTC_BOOTSTRAP=1 cargo +deb "${command[@]}" -Z "build-std=$std" --target "$target" "$@"
}
