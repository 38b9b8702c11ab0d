# shellcheck shell=bash
# The checks, in the order of a file server's life. Sourced by `check`.
# shellcheck disable=SC2034,SC2154 # shared with check and guest.sh

# --- what several checks do ----------------------------------------------------------------------
part() { echo "# $*"; }
says() { grep -qF -- "$1" "$run/guest/fileserver/status" || { cat "$run/guest/fileserver/status"; return 1; }; }
logged() { grep -qaF -- "$1" "$run/serial.log"; }
fails_with() { await failed "$2" && says "$1"; } # reason, seconds
is_untouched() { [[ $(sha256sum <"$run/$1.img") == "$(cat "$run/$1.sum")" ]]; }
# A refusal counts only with the server's own words for it: a dead server must not pass.
refused() { # words, command...
  local output
  if output=$("${@:2}" 2>&1); then echo "not refused: $output"; return 1; fi
  echo "$output"
  grep -qE -- "$1" <<<"$output"
}
port() { as_allowed timeout 600 bash -c "</dev/tcp/$guest_address/$1"; }
ports() { local one; for one; do port "$one" || { echo "port $one"; return 1; }; done; }
closed() { local one; for one; do refused "Connection refused" port "$one" || return 1; done; }

url() { echo "nfs://$guest_address/data/$1?version=$2${3:-}"; } # file, version, options
smb() { "$1" smbclient --configfile=/dev/null -N "//$guest_address/data" -c "$2"; }
contains() { [[ $(cat "$1") == "$2" ]] || { echo "got: $(head -c 200 "$1")"; return 1; }; }
nfs_reads() { # file, version, content, options
  as_allowed nfs-cat "$(url "$1" "$2" "${4:-}")" >"$run/got" && contains "$run/got" "$3"
}
smb_reads() { smb as_allowed "get $1 $run/got" && contains "$run/got" "$2"; } # file, content
served_to() { "$1" nfs-ls "$(url '' 4)" && smb "$1" ls; }
refused_nfs() { refused 'mount_cb|MNT3ERR_(ACCES|NOENT)|NFS(3ERR_ACCES|4ERR_(NOENT|ACCESS|PERM))' "$1" nfs-ls "$(url '' "$2")"; }
refused_smb() {
  refused 'NT_STATUS_(CONNECTION_RESET|CONNECTION_DISCONNECTED|ACCESS_DENIED|INVALID_NETWORK_RESPONSE)' smb "$1" ls
}
refused_to() { refused_nfs "$1" 4 && refused_smb "$1"; }
owners() { as_allowed nfs-ls "$(url '' 3)" | grep -v lost+found; }
one_owner() { owners | awk '{ print } $3 == 2049 { n++ } $3 != 2049 { bad = 1 } END { exit bad || n < 2 }'; }
own_name() { # a file of a user who is not squashed
  as_allowed nfs-cp "$run/one" "$(url mine 3 '&uid=4711&gid=2049')" && owners | awk '/ mine$/ && $3 == 4711 { n++ } END { exit !n }'
}
grown() { # more bytes than
  (($(sed -n 's/.*bytes=//p' "$run/guest/fileserver/status") > $1)) || { says "more than $1"; return 1; }
}
shared_files() { as_allowed python3 "$here/shared_files.py" "$guest_address" /data "$1"; }
exchange_disk() { # disk, a range that was not there before: the script runs again
  if [[ ${plugged:-} ]]; then unplug; fi
  plugged=$1
  plug "$run/$1.img" && metadata "allowedRanges=[$2]"
}

# --- disks ---
truncate -s 1G "$run/data.img"
truncate -s 64M "$run/swap.img" "$run/partitions.img" "$run/unknown.img"
mkswap -q "$run/swap.img" >/dev/null 2>&1
# One partition of 32 MiB from 1 MiB on, and the boot sector's signature.
printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\0\1\0' | dd of="$run/partitions.img" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$run/partitions.img" bs=1 seek=510 conv=notrunc status=none
printf 'page of a database that nobody knows' | dd of="$run/unknown.img" bs=1M seek=1 conv=notrunc status=none
foreign=(swap partitions unknown)
for disk in "${foreign[@]}"; do sha256sum <"$run/$disk.img" >"$run/$disk.sum"; done
part "A new VM, without its data disk"
boot_disk bare
edit='DISK_WAIT=300=>DISK_WAIT=3'
metadata
first=$generation
guest_start
check "the script starts to install packages" waits_for "step=packages" 300
metadata "allowedRanges=[198.18.90.0/24]"
check "new metadata meanwhile: its run reports that there is no disk" fails_with "no data disk" 900
check "the first run was not cut off" logged "FAILED generation=$first step=data-disk reason=no data disk"
edit=''

part "Disks that are not its own"
exchange_disk swap 198.18.91.0/24
check "a disk with swap space is refused" fails_with "not touched" 200
exchange_disk partitions 198.18.92.0/24
check "a disk with partitions is refused" fails_with "not touched" 200
exchange_disk unknown 198.18.93.0/24
check "a disk with data of an unknown format is refused" fails_with "not touched" 200
for disk in "${foreign[@]}"; do check "its bytes are as before: $disk" is_untouched "$disk"; done
check "nothing is served meanwhile" closed 2049 445

part "Its own disk"
unplug
plug "$run/data.img"
metadata
check "a blank disk is formatted and served" await ready 400

part "Clients"
printf one >"$run/one"
printf two >"$run/two"
check "NFSv4 writes as root" as_allowed nfs-cp "$run/one" "$(url one 4)"
check "NFSv3 writes as user 1000" as_allowed nfs-cp "$run/one" "$(url one3 3 '&uid=1000&gid=1000')"
check "SMB reads what NFS wrote" smb_reads one one
check "SMB writes over it" smb as_allowed "put $run/two one"
check "NFSv3 reads that" nfs_reads one 3 two
check "NFSv4 reads it as another user" nfs_reads one 4 two "&uid=4711&gid=4711"
check "every file has the one owner" one_owner
check "NFSv4 refuses an address outside the ranges" refused_nfs as_denied 4
check "NFSv3 refuses it" refused_nfs as_denied 3
check "SMB refuses it" refused_smb as_denied
check "the ports are those of the firewall's rule" ports 111 2049 20048 32765 32803 445

part "A grown disk and new metadata, without a reboot"
machine grow $((2 << 30))
metadata "nodeRanges=[$denied_range]"
check "other ranges: applied" await ready 200
check "the file system has grown to 2 GiB" grown 1900000000
check "who is in them now is served by NFS and SMB" served_to as_denied
check "who was in them is refused by NFS and SMB" refused_to as_allowed
edit='without enable-guest-attributes' serial_only=1
metadata "smb=false"
check "no SMB, and no guest attributes: the serial console says it is ready" await ready 200
check "SMB is off" closed 445
check "NFS goes on" nfs_reads one 4 two
edit='' serial_only=''
metadata "squash=root"
check "root alone is squashed, SMB on again: applied" await ready 200
check "a user keeps his name" own_name
check "SMB is served again" smb_reads one two

part "What Exhibitor needs"
check "a lock keeps another client out, and lets it in afterwards" shared_files locks
sed -n 's/^waited/     waited/p' "$run/check.out"
check "writing, truncating, renaming and deleting are seen by the other at once" shared_files configuration
check "the guest stops when asked to" power_off
check "the file system is clean" e2fsck -fn "$run/data.img"

part "Another boot"
metadata
guest_start "$run/data.img"
check "ready" await ready 400
check "the data is there" nfs_reads one 3 two
check "NFSv4 lists it" as_allowed nfs-ls "$(url "" 4)"

part "A power cut, then a new boot disk that brings the packages"
check "NFSv3 writes just before" as_allowed nfs-cp "$run/one" "$(url last 3)"
power_cut
boot_disk ready
guest_start "$run/data.img"
check "ready" await ready 400
check "the disk was kept, not formatted" logged "data disk has ext4: kept"
check "the data is there by NFS" nfs_reads one 3 two
check "what was written last is there" nfs_reads last 3 one
check "the data is there by SMB" smb_reads one two
check "the guest stops when asked to" power_off
check "the file system is clean" e2fsck -fn "$run/data.img"
