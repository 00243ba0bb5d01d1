# Sourced: functions that install tools and cross-compile.

# Waits while another installation runs.
apt() {
    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends -qq "$@" >/dev/null
}

# install COMMAND PACKAGE...: installs the packages, if the command is missing.
install() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    apt-get -o DPkg::Lock::Timeout=300 update -qq && apt "$@"
}

# foreign TARGET STD COMMAND ARGUMENT...: runs cargo COMMAND for a target, with the standard library of
# rustup if it has the target, else with Debian's rustc, which builds the crates STD first.
foreign() {
    local target=$1 std=$2 command
    # COMMAND can be two words: `nextest run`.
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
