#!/usr/bin/env bash
# Prepare the working copy: Debian packages (when root), .venv from the hashed locks, the package itself.
#   tools/setup.sh run    what the service needs
#   tools/setup.sh test   that, and what the tests need (real mail servers, oracles, linters)
# A second run does nothing but look. Never starts a system service. Exit 1 with the list when something is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin"
kind=${1:-run}
venv=.venv

say() { printf '%s\n' "$*" >&2; }

# --- what must be on the machine: "probe=Debian package"; a probe is a command, lib:NAME or file:PATTERN -----------------
needs=(gpg=gnupg lib:libmagic.so.1=libmagic1 lib:libarchive.so.13=libarchive13 openssl=openssl)
case $kind in
run) ;;
test)
  needs+=(postfix=postfix dovecot=dovecot-core file:/usr/lib/dovecot/imap=dovecot-imapd file:/usr/lib/dovecot/lmtp=dovecot-lmtpd
    file:/usr/lib/postgresql/*/bin/postgres=postgresql clamd=clamav-daemon rspamd=rspamd swaks=swaks s-nail=s-nail nmap=nmap
    pdfsig=poppler-utils file:/usr/share/perl5/Mail/DKIM.pm=libmail-dkim-perl
    file:/usr/share/perl5/Mail/DeliveryStatus/BounceParser.pm=libmail-deliverystatus-bounceparser-perl
    strace=strace gpgv=gpgv zip=zip setpriv=util-linux mkfs.ext4=e2fsprogs
    file:/usr/lib/*/faketime/libfaketimeMT.so.1=faketime slapd=slapd xmlsec1=xmlsec1)
  ;;
*) say "usage: tools/setup.sh run|test"; exit 64 ;;
esac

present() {
  case $1 in
  lib:*) { ldconfig -p 2>/dev/null || true; } | grep -qF "${1#lib:} " ;;
  file:*) compgen -G "${1#file:}" >/dev/null ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

list_missing() {
  for need in "${needs[@]}"; do
    present "${need%=*}" || printf '%s\n' "${need##*=}"
  done
}

find_python() {
  for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python3.14; do # the locks are proved on 3.11 and 3.13
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
  done
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  local guard=/usr/sbin/policy-rc.d placed=
  if [ ! -e "$guard" ]; then # packages of mail servers must not start them
    trap "rm -f $guard" EXIT # left behind by Ctrl-C it would keep every later package from starting its service
    printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod 755 "$guard" && placed=1
  fi
  printf 'postfix postfix/main_mailer_type select No configuration\n' | debconf-set-selections || true
  local rc=0
  apt-get install -y -q --no-install-recommends "$@" </dev/null >&2 ||
    { apt-get update -q </dev/null >&2 && apt-get install -y -q --no-install-recommends "$@" </dev/null >&2; } || rc=$?
  [ -z "$placed" ] || { rm -f "$guard" && trap - EXIT; }
  return "$rc"
}

mapfile -t missing < <(list_missing)
python=$(find_python)
[ -n "$python" ] || missing+=(python3 python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Cài gói hệ thống / installing packages: ${missing[*]}"
    apt_install "${missing[@]}" || true
    python=$(find_python)
    mapfile -t missing < <(list_missing)
    [ -n "$python" ] || missing+=("python3 (>= 3.11, venv)")
  fi
  if [ ${#missing[@]} -gt 0 ]; then
    say "Còn thiếu / missing: ${missing[*]}"
    say "Hãy chạy / please run:  sudo apt-get install ${missing[*]}"
    exit 1
  fi
fi

# --- .venv: rebuilt when Python changed, filled when a lock changed ---------------------------------------------------
if [ -x $venv/bin/python ] && ! $venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "Tạo lại $venv / making $venv again"
  rm -rf $venv
fi
[ -x $venv/bin/python ] || "$python" -m venv $venv

wanted() { # what a complete .venv of a kind was made from
  local lock=requirements.lock
  [ "$1" = run ] || lock=requirements-dev.lock
  printf '%s %s %s' "$(cat $lock requirements-build.lock pyproject.toml mailrelay/__init__.py | sha256sum | cut -c1-64)" \
    "$($venv/bin/python -c 'import sys; print(sys.version)' | tr '\n' ' ')" "$PWD"
}

is_complete() { [ "$(cat "$venv/.setup-$1" 2>/dev/null || true)" = "$(wanted "$1")" ]; }

# The test set contains the run set.
if is_complete "$kind" || { [ "$kind" = run ] && is_complete test; }; then
  exit 0
fi
say "Cài thư viện Python vào $venv / installing Python packages"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input)
lock=requirements.lock
[ "$kind" = run ] || lock=requirements-dev.lock
"${pip[@]}" --require-hashes -r $lock </dev/null >&2
"${pip[@]}" --require-hashes -r requirements-build.lock </dev/null >&2
"${pip[@]}" --no-deps --no-build-isolation -e . </dev/null >&2
wanted "$kind" >"$venv/.setup-$kind"
