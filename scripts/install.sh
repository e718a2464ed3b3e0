# Installs on Debian what the other scripts need and is missing. Sourced by them, after `set -eu`.
# shellcheck shell=sh

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:${HOME:-/root}/.cargo/bin

say() { printf '\n== %s\n' "$*" >&2; }

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs packages. What they bring is not started: a test machine needs no SSH server that listens.
install_packages() {
	say "installing $*"
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		echo "Missing, and there is no sudo to install it with: $*" >&2
		return 1
	fi
	policy=/usr/sbin/policy-rc.d
	if [ -e $policy ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
		as_root chmod 755 $policy
	fi
	status=0
	{
		as_root apt-get update -qq &&
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
	} </dev/null >&2 || status=$?
	[ -z "$policy" ] || as_root rm -f $policy
	return $status
}

# Installs the packages of those programs that are missing: PROGRAM:PACKAGE...
need_programs() {
	packages=
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair#*:}"
	done
	# shellcheck disable=SC2086 # several words are several packages
	[ -z "$packages" ] || install_packages $packages
}

# Installs Rust if there is none. Debian's own rustc is older than Cargo.toml asks for; from Debian 13 on there is a rustup
# package, before that the Rust project's own installer does it, into the home directory.
need_rust() {
	need_programs cc:build-essential
	if command -v cargo >/dev/null; then return; fi
	if install_packages rustup; then
		rustup default stable >&2
	else
		need_programs curl:curl
		need_programs update-ca-certificates:ca-certificates
		say "installing Rust with rustup"
		curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
			sh -s -- -y --no-modify-path --profile minimal --component rustfmt,clippy >&2
	fi
	command -v cargo >/dev/null || {
		echo "Rust is missing. Install it as https://www.rust-lang.org/tools/install says, then run this again." >&2
		return 1
	}
}
