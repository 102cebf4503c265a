#!/usr/bin/env bash
# collect_root.sh INSTALLED IMAGE: makes IMAGE the root of an image that holds the programs of
# INSTALLED/usr/bin, the libraries that they load, certificate authorities and an account. Times are
# SOURCE_DATE_EPOCH: the same input gives the same files, byte for byte.
set -euo pipefail
export LC_ALL=C
installed=$1 image=$2
: "${SOURCE_DATE_EPOCH:?wanted seconds since 1970 in SOURCE_DATE_EPOCH}"
[ ! -e "$image" ] || { echo "error: $image is there already" >&2; exit 1; }

install -d "$image"/{etc/ssl/certs,etc/penstock,usr/bin,usr/lib/ssl,usr/lib64,var/lib/dpkg/status.d}
# As Debian has it: the libraries' own paths name /lib and /lib64.
for merged in bin lib lib64; do ln -s "usr/$merged" "$image/$merged"; done
cp "$installed"/usr/bin/* "$image/usr/bin/"

# "libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)", and the loader without an arrow.
ldd "$installed"/usr/bin/* | awk '
  /not found/ {print "error: no " $1 >"/dev/stderr"; failed = 1}
  $2 == "=>" && $3 ~ /^\// {print $3}
  $1 ~ /^\/.*\.so/ {print $1}
  END {exit failed}' | sort -u >"$installed/libraries"
while read -r library; do
  place=$(realpath "$(dirname "$library")")
  install -d "$image$place"
  cp -L "$library" "$image$place/"
  # Who scans the image for known faults finds versions here, a file a package.
  # Packages name /lib or /usr/lib, whichever they were built with: one of the two is nobody's.
  owner=$({ dpkg -S "$library" "$place/$(basename "$library")" 2>/dev/null || true; } |
    head -n 1 | cut -d: -f1)
  [ -n "$owner" ] || { echo "error: no package has $library" >&2; exit 1; }
  dpkg-query -s "$owner" >"$image/var/lib/dpkg/status.d/$owner"
done <"$installed/libraries"
[ -s "$installed/libraries" ] || { echo "error: ldd named no libraries" >&2; exit 1; }

cp -L /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
# Where OpenSSL looks by itself, as it was built for Debian: rediss:// without `ca`.
ln -s /etc/ssl/certs/ca-certificates.crt "$image/usr/lib/ssl/cert.pem"
# NVIDIA's runtime and scanners go by these.
cp -L /etc/os-release /etc/debian_version "$image/etc/"
echo 'hosts: files dns' >"$image/etc/nsswitch.conf"
printf '%s\n' 'root:x:0:0:root:/:/nonexistent' \
  'penstock:x:65532:65532:Penstock:/:/nonexistent' >"$image/etc/passwd"
printf '%s\n' 'root:x:0:' 'penstock:x:65532:' >"$image/etc/group"
install -d -m 1777 "$image/tmp"
# A volume that is new takes the folder's owner.
install -d -o 65532 -g 65532 -m 750 "$image/var/lib/penstock"
find "$image" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
