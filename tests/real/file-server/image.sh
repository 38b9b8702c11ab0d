#!/usr/bin/env bash
# Builds what the guest boots from and prints the folder it is in:
#   vmlinuz      the kernel
#   bare.ext4    a boot disk as a new VM has it: what the file server needs is not installed, apt finds it
#   ready.ext4   the same with those packages installed, as an image of one's own would bring them
#   packages     names and versions of what is in them
# All of it is of the distribution that the product boots by default. It is kept in the user's cache under a hash of the files
# that make it; --rebuild makes it again, with the packages of today.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=trixie
# What the start-up script installs by itself; the rest stands in for Google's image.
wanted=(nfs-kernel-server samba e2fsprogs unattended-upgrades curl)
system=(apt systemd systemd-sysv udev dbus iproute2 kmod procps ca-certificates curl e2fsprogs util-linux passwd adduser
  netbase tzdata python3 unattended-upgrades google-guest-agent)

key=$(cat "$here/image.sh" "$here/customize.sh" | sha256sum | cut -c1-16)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov/file-server-$key
mkdir -p "${folder%/*}"
use_cached() { if [[ ${1:-} != --rebuild && -d $folder ]]; then echo "$folder"; exit; fi; }
use_cached "$@"
# One build at a time; those who wait find it done.
exec 8>"${folder%/*}/file-server.lock"
flock 8
use_cached "$@"
[[ $(id -u) == 0 ]] || { echo "building the guest's image needs root: sudo -E $0" >&2; exit 1; }

work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=1700000000
nice mmdebstrap --quiet --mode=root --variant=apt --include="${system[*]}" \
  --aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt=force-unsafe-io \
  --customize-hook="$here/customize.sh \"\$1\" ${wanted[*]}" \
  "$suite" "$work/root.tar" >&2
mkdir "$work/root" "$work/made"
tar -C "$work/root" -xf "$work/root.tar"
# The kernel is not installed but unpacked: it needs no initial RAM disk here.
nice mmdebstrap --quiet --mode=root --variant=extract --include=linux-image-cloud-amd64 "$suite" "$work/kernel.tar" >&2
mkdir "$work/kernel"
tar -C "$work/kernel" -xf "$work/kernel.tar" ./boot ./usr/lib/modules
mv "$work"/kernel/boot/vmlinuz-* "$work/made/vmlinuz"
mv "$work/kernel/usr/lib/modules" "$work/root/usr/lib/"
chroot "$work/root" depmod "$(ls "$work/root/usr/lib/modules")"

# Fixed identifiers; no journal, and no mount needed to fill it.
disk() { # file
  truncate -s 2G "$1"
  mke2fs -q -t ext4 -L boot -U 6f3c7f0e-0000-4000-8000-000000000001 -O ^has_journal \
    -E hash_seed=6f3c7f0e-0000-4000-8000-000000000002,lazy_itable_init=1,root_owner=0:0 -d "$work/root" "$1"
}
disk "$work/made/bare.ext4"
nice unshare --mount --pid --fork --mount-proc="$work/root/proc" chroot "$work/root" \
  env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -euc '
  printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  apt-get -qq update
  apt-get -qq install --no-install-recommends "$@"
  rm -f /usr/sbin/policy-rc.d /var/cache/apt/archives/*.deb' sh "${wanted[@]}" >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; exit 1; }
disk "$work/made/ready.ext4"
dpkg-query --admindir="$work/root/var/lib/dpkg" -W -f='${Package} ${Version}\n' >"$work/made/packages"

rm -rf "$folder"
mv "$work/made" "$folder"
echo "$folder"
