#!/usr/bin/env bash
# Prove that every locked package installs, hashes checked, on each Python that we promise (3.11 and 3.13).
#   tools/prove-lock.sh [PYTHON…]     interpreters to use instead of those found on this machine
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() {
  local minor=$1 name
  for name in "python3.$minor" "$(pyenv root 2>/dev/null || true)"/versions/3."$minor".*/bin/python /usr/bin/"python3.$minor"; do
    if "$name" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
      printf '%s\n' "$name"
      return
    fi
  done
  printf 'no Python 3.%s on this machine\n' "$minor" >&2
  return 1
}

if [ $# -eq 0 ]; then
  first=$(find_python 11)
  second=$(find_python 13)
  set -- "$first" "$second"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "$@"; do
  version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
  "$python" -m venv "$work/$version"
  pip=("$work/$version/bin/python" -m pip --disable-pip-version-check --no-input)
  for lock in requirements.lock requirements-dev.lock requirements-build.lock; do
    "${pip[@]}" install --quiet --require-hashes -r "$lock" </dev/null
  done
  "${pip[@]}" check
  "${pip[@]}" install --quiet --no-deps --no-build-isolation . </dev/null
  "$work/$version/bin/python" -c 'import mailrelay; print("mailrelay", mailrelay.__version__)'
  printf 'Python %s: %s packages installed, hashes checked\n' "$version" "$("${pip[@]}" list --format=freeze | wc -l)"
done
