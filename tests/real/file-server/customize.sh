#!/usr/bin/env bash
# Makes a fresh root look like Google's image of that distribution, as far as the start-up script can see it: its names of
# disks, its network, its runner of start-up scripts, a serial console, and packages that apt can get at.
# mmdebstrap calls it with the root and the packages that are to be found but not installed.
set -euo pipefail
root=$1
shift
wanted=("$@")
in_root() { chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@"; }

: >"$root/etc/machine-id"
: >"$root/etc/fstab"
echo fileserver >"$root/etc/hostname"
# The last line is written by Google's agent.
printf '%s\n' '127.0.0.1 localhost' '169.254.169.254 metadata.google.internal metadata' \
  '198.18.77.2 fileserver.c.test.internal fileserver' >"$root/etc/hosts"
rm -f "$root/etc/resolv.conf"
echo 'nameserver 169.254.169.254' >"$root/etc/resolv.conf"

# The metadata server's address is on the link, as there.
mkdir -p "$root/etc/systemd/network"
cat >"$root/etc/systemd/network/10-test.network" <<'N'
[Match]
Name=e*
[Network]
Address=198.18.77.2/24
Gateway=198.18.77.1
[Route]
Destination=169.254.169.254/32
Scope=link
N
in_root systemctl -q enable systemd-networkd.service

# The part of Google's rules that names a SCSI disk after its deviceName.
mkdir -p "$root/etc/udev/rules.d"
cat >"$root/etc/udev/rules.d/65-gce-disk-naming.rules" <<'U'
ACTION=="remove", GOTO="end"
SUBSYSTEM!="block", GOTO="end"
KERNEL!="sd*", GOTO="end"
IMPORT{program}="scsi_id --export --whitelisted -d $devnode"
ENV{ID_VENDOR}!="Google", GOTO="end"
ENV{DEVTYPE}=="disk", SYMLINK+="disk/by-id/google-$env{ID_SERIAL_SHORT}"
ENV{DEVTYPE}=="partition", SYMLINK+="disk/by-id/google-$env{ID_SERIAL_SHORT}-part%n"
LABEL="end"
U
# What start-up scripts say goes to the serial console, as on Google's images.
mkdir -p "$root/etc/systemd/system/google-startup-scripts.service.d"
printf '[Service]\nStandardOutput=journal+console\nStandardError=journal+console\n' \
  >"$root/etc/systemd/system/google-startup-scripts.service.d/console.conf"
in_root systemctl -q enable google-startup-scripts.service
# Of Google's agent only the runner of scripts is wanted: users and keys are another matter. The rest saves time at boot.
in_root systemctl -q disable google-guest-agent.service google-shutdown-scripts.service
in_root systemctl -q mask apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service e2scrub_all.timer \
  e2scrub_reap.service fstrim.timer dpkg-db-backup.timer getty.target systemd-binfmt.service \
  systemd-tmpfiles-clean.timer google-oslogin-cache.timer

# Packages for apt, since nothing leaves the guest's network: it installs them as it would from anywhere else. What they
# depend on is there already but for the servers themselves: emulated, installing takes long.
repository=$root/var/lib/test-packages
mkdir -p "$repository"
mapfile -t others < <(in_root apt-get -s --no-install-recommends install "${wanted[@]}" | awk '
  $1 == "Inst" && $2 !~ /^(nfs-kernel-server|samba)$/ { print $2 }')
in_root apt-get -qq --no-install-recommends install "${others[@]}"
in_root apt-get -qq --download-only --no-install-recommends install "${wanted[@]}"
mv "$root"/var/cache/apt/archives/*.deb "$repository/"
(cd "$repository" && dpkg-scanpackages --multiversion . >Packages)
rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/var/lib/apt/lists/* "$root"/var/log/*
echo 'deb [trusted=yes] file:/var/lib/test-packages ./' >"$root/etc/apt/sources.list"
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/var/cache/debconf/*-old
