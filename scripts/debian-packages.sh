#!/usr/bin/env bash
# Installs the Debian packages that a make target needs, if they are missing. $1: setup | test
set -euo pipefail

case "${1:?setup or test}" in
  setup)
    python3 -c 'import ensurepip, venv' 2>/dev/null && exit 0
    wanted=(python3 python3-venv)
    ;;
  test)
    wanted=(debootstrap ca-certificates openssl postgresql chromium prometheus prometheus-alertmanager faketime libatomic1 libnss-wrapper systemd)
    ;;
  *)
    echo "unknown set of packages: $1" >&2
    exit 2
    ;;
esac

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "missing Debian packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
